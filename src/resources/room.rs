//! The memory for responses of look-ups, shared by all requests of an instance.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::ports::Ports;

/// The pause between two looks for free memory. Memory may be given back by a task of another request, which cannot
/// wake this one.
const LOOK: Duration = Duration::from_millis(10);

/// The memory for look-ups of an instance.
#[derive(Debug, Clone)]
pub(super) struct Room {
    /// Its size in bytes.
    pub(super) most: usize,
    taken: Rc<Cell<usize>>,
}

/// Memory that is reserved for as long as this lives.
#[derive(Debug)]
pub(super) struct Taken {
    bytes: usize,
    taken: Rc<Cell<usize>>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.taken.set(self.taken.get().saturating_sub(self.bytes));
    }
}

impl Room {
    pub(super) fn of(bytes: usize) -> Self {
        Self {
            most: bytes,
            taken: Rc::default(),
        }
    }

    /// Waits until this many bytes are free, and reserves them. If nothing is reserved, any number of bytes is.
    pub(super) async fn take(&self, ports: &Ports, bytes: usize) -> Taken {
        while self.taken.get() > 0 && self.taken.get() + bytes > self.most {
            ports.clock.sleep(LOOK).await;
        }
        self.taken.set(self.taken.get() + bytes);
        Taken {
            bytes,
            taken: self.taken.clone(),
        }
    }
}
