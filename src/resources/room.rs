//! Room for what is looked up: how many bytes of responses may be held at a time, whoever requests them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::ports::Ports;

/// How often it is looked whether there is room. Whoever gives room back may be a task of another request, which cannot
/// wake this one.
const LOOK: Duration = Duration::from_millis(10);

/// The room of an instance.
#[derive(Debug, Clone)]
pub(super) struct Room {
    /// All of it, in bytes.
    pub(super) most: usize,
    taken: Rc<Cell<usize>>,
}

/// Room that is taken, for as long as this lives.
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

    /// Waits until there is room for so many bytes, and takes it. Whoever finds the room empty gets all that it asks for.
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
