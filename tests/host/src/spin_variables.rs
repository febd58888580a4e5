//! `spin:variables`, as the component sees it.

use wasmtime::component::{Accessor, HasSelf, Linker};

use crate::instance::Guest;
use crate::template::is_variable_name;

use bindings::spin::variables::variables::{self, Error};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "klaviyo-bulk-import:component/variables",
    });
}

/// Adds the interface to `linker`.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    variables::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)
}

impl variables::Host for Guest {}

impl<T> variables::HostWithStore<T> for HasSelf<Guest> {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> Result<String, Error> {
        if !is_variable_name(&name) {
            return Err(Error::InvalidName(name));
        }
        accessor
            .with(|mut access| access.get().variables().get(&name).cloned())
            .ok_or(Error::Undefined(name))
    }
}
