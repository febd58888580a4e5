//! The worlds in `wit/`, which say what the component may import.

use std::path::Path;

use anyhow::{Context, Result};
use wit_parser::{Resolve, WorldItem, WorldKey};

/// The names of the interfaces that `world` in the directory `wit` imports, sorted; to be compared with
/// [`imports`](crate::imports).
///
/// # Errors
/// When the directory holds no valid WIT with that world.
pub fn world_imports(wit: &Path, world: &str) -> Result<Vec<String>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(wit)
        .with_context(|| format!("reading the WIT in {}", wit.display()))?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut names: Vec<_> = resolve.worlds[world]
        .imports
        .iter()
        .filter(|(_, item)| matches!(item, WorldItem::Interface { .. }))
        .map(|(key, _)| match key {
            WorldKey::Name(name) => name.clone(),
            WorldKey::Interface(id) => resolve.id_of(*id).unwrap_or_default(),
        })
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_names_its_interfaces() {
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        for (world, name) in [
            ("wasi-0-2", "wasi:http/outgoing-handler@0.2.4"),
            ("wasi-0-3", "wasi:http/client@0.3.0"),
        ] {
            let names = world_imports(&wit, world).unwrap();
            assert!(
                names.iter().any(|known| known == name),
                "{name} in {names:?}"
            );
        }
    }
}
