//! The built components and the worlds that they live in.

use std::path::Path;

use host::Wasi;

/// The only version of it that Spin 3.0 finds.
const HANDLER_OF_0_2: &str = "wasi:http/incoming-handler@0.2.0";

/// What the component may ask of a platform is what `wit/` names, no more: a dependency that reaches for files or
/// sockets shows up here. It exports what its platform looks for, and nothing else.
#[test]
fn each_component_imports_only_what_its_world_names_and_exports_its_handler() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (wasi, world, variables, handler) in [
        (
            Wasi::V0_2,
            "wasi-0-2",
            "fermyon:spin/variables@2.0.0",
            HANDLER_OF_0_2,
        ),
        (
            Wasi::V0_3,
            "wasi-0-3",
            "spin:variables/variables@3.0.0",
            "wasi:http/handler@0.3.0",
        ),
    ] {
        let wasm = host::build(&root.join("spin.toml"), wasi).expect("the component is built");
        let named = host::world_imports(&root.join("wit"), world).expect("the world can be read");
        let imports = host::imports(&wasm).expect("the component can be read");
        println!("{world} imports {imports:#?}");
        assert!(
            imports.iter().any(|import| import == variables),
            "{imports:#?}"
        );
        let unnamed: Vec<_> = imports
            .iter()
            .filter(|import| !named.contains(import))
            .collect();
        assert!(unnamed.is_empty(), "{world} does not name: {unnamed:#?}");
        let exports = host::exports(&wasm).expect("the component can be read");
        assert_eq!(exports, [handler], "{world}");
    }
}

/// The host knows the keys of Spin 3.0's manifests and no later ones, such as `profile` of 4.0 and `targets` of 3.4, which
/// an earlier Spin refuses.
#[test]
fn the_manifest_keeps_to_what_spin_3_0_reads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let unknown = host::unknown_keys(&root.join("spin.toml")).expect("a manifest");
    assert!(unknown.is_empty(), "{unknown:?}");
}
