//! The world in `wit/`, which says what the component may import.

use std::path::Path;

use anyhow::{Context, Result};
use wit_parser::{Resolve, WorldItem, WorldKey};

/// The world that the component lives in.
const WORLD: &str = "component";

/// The names of the interfaces that the world in the directory `wit` imports, sorted; to be compared with
/// [`imports`](crate::imports).
///
/// # Errors
/// When the directory holds no valid WIT with that world.
pub fn world_imports(wit: &Path) -> Result<Vec<String>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(wit)
        .with_context(|| format!("reading the WIT in {}", wit.display()))?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
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
        let names = world_imports(&wit).unwrap();
        for name in ["spin:variables/variables@3.0.0", "wasi:http/client@0.3.0"] {
            assert!(
                names.iter().any(|known| known == name),
                "{name} in {names:?}"
            );
        }
    }
}
