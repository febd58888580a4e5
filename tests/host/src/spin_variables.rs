//! `spin:variables`, and `fermyon:spin/variables` before it, as the component sees them.

use wasmtime::component::{Accessor, HasSelf, Linker};

use crate::instance::Guest;
use crate::template::is_variable_name;

use bindings::spin::variables::variables::{self, Error};
use bindings_0_2::fermyon::spin::variables as older;

/// What a provider says that fails.
const FAILURE: &str = "the provider cannot be reached";

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "klaviyo-bulk-import:component/variables",
    });
}

mod bindings_0_2 {
    wasmtime::component::bindgen!({
        path: "../../wit/guest",
        interfaces: "import fermyon:spin/variables@2.0.0;",
    });
}

/// Adds the interfaces to `linker`.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    older::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)?;
    variables::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)
}

impl older::Host for Guest {
    fn get(&mut self, name: String) -> Result<String, older::Error> {
        if !is_variable_name(&name) {
            return Err(older::Error::InvalidName(name));
        }
        match self.variables().get(&name).cloned() {
            Some(Some(value)) => Ok(value),
            Some(None) => Err(older::Error::Provider(FAILURE.to_owned())),
            None => Err(older::Error::Undefined(name)),
        }
    }
}

impl variables::Host for Guest {}

impl<T> variables::HostWithStore<T> for HasSelf<Guest> {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> Result<String, Error> {
        if !is_variable_name(&name) {
            return Err(Error::InvalidName(name));
        }
        match accessor.with(|mut access| access.get().variables().get(&name).cloned()) {
            Some(Some(value)) => Ok(value),
            Some(None) => Err(Error::Provider(FAILURE.to_owned())),
            None => Err(Error::Undefined(name)),
        }
    }
}
