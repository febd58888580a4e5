//! The built component and the world that it lives in.

use native::Setup;

use crate::support::component::Shop;
use crate::support::{root, target};

/// What the component may ask of a platform is what `wit/` names, no more: a dependency that reaches for files or
/// sockets shows up here.
#[tokio::test(flavor = "multi_thread")]
async fn the_component_imports_only_what_its_world_names() {
    // builds it where it is stale
    let _shop = Shop::open(Setup::customers(0)).await;
    let wasm = target().join("wasm32-wasip2/release/klaviyo_bulk_import.wasm");
    let named = host::world_imports(&root().join("wit")).expect("the world can be read");
    let imports = host::imports(&wasm).expect("the component can be read");
    assert!(
        imports
            .iter()
            .any(|import| import.starts_with("spin:variables/variables@")),
        "{imports:#?}"
    );
    let unnamed: Vec<_> = imports
        .iter()
        .filter(|import| !named.contains(import))
        .collect();
    assert!(unnamed.is_empty(), "wit/ does not name: {unnamed:#?}");
}
