//! The memory of an instance: one budget in bytes for everything that its requests hold at the same time.
//!
//! ```text
//! pages      1/5   responses with records, on their way and until they are mapped; each window has its fair part
//! a page     2/5   a response with one record that is too large for that, while there is no other page, and few batches
//! batches    1/3   requests to Klaviyo, from their first document until they are acknowledged
//! look-ups   1/8   responses of look-ups
//! caches     1/6   what was looked up
//! ```
//!
//! What is left is for the program itself, its documents and its other responses. Memory is taken before a request is sent,
//! for the most that its response may have, and given back when nothing of that is held any more.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::ports::Ports;

/// The pause between two looks for free memory. Memory may be given back by a task of another request, which cannot
/// wake this one.
pub const LOOK: Duration = Duration::from_millis(10);
/// A window does not work with less: a page and a batch have to fit, whatever else there is.
const LEAST_BYTES: usize = 8 * 1024 * 1024;

/// The memory of an instance.
#[derive(Debug, Clone)]
pub struct Memory {
    /// All there is, in bytes.
    bytes: usize,
    pages: Rc<Cell<usize>>,
    batches: Rc<Cell<usize>>,
    windows: Rc<Cell<usize>>,
    /// The window that has, or waits for, a page alone.
    alone: Rc<Cell<Option<usize>>>,
    next_window: Rc<Cell<usize>>,
    lookups: Pool,
}

impl Memory {
    /// The memory of an instance that the platform allows so many MiB.
    #[must_use]
    pub fn of(memory_mib: usize) -> Self {
        let bytes = memory_mib * 1024 * 1024;
        Self {
            bytes,
            pages: Rc::default(),
            batches: Rc::default(),
            windows: Rc::default(),
            alone: Rc::default(),
            next_window: Rc::default(),
            lookups: Pool::of(bytes / 8),
        }
    }

    /// The memory for responses of look-ups.
    #[must_use]
    pub fn lookups(&self) -> Pool {
        self.lookups.clone()
    }

    /// The most bytes of each of two caches.
    #[must_use]
    pub fn cache(&self) -> usize {
        self.bytes / 12
    }

    /// A window begins. Imports that go side by side may meet in one instance. With `halvings` it takes as much as if the
    /// memory were halved so often.
    #[must_use]
    pub fn begin_window(&self, halvings: u32) -> WindowMemory {
        let number = self.next_window.get();
        self.next_window.set(number.wrapping_add(1));
        self.windows.set(self.windows.get() + 1);
        WindowMemory {
            memory: self.clone(),
            number,
            bytes: (self.bytes >> halvings.min(16)).max(LEAST_BYTES),
            batches: Cell::new(0),
        }
    }
}

/// The memory as a window sees it, for as long as it is worked on.
#[derive(Debug)]
pub struct WindowMemory {
    memory: Memory,
    number: usize,
    /// All that it reckons with.
    bytes: usize,
    /// What its batches hold.
    batches: Cell<usize>,
}

impl WindowMemory {
    /// The most bytes of its pages together, and of each of them: it grows and shrinks with the windows that go side by
    /// side.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.bytes / 5 / self.memory.windows.get().max(1)
    }

    /// The most bytes of a page with one record, while no other page is held: more than commercetools' 16 MB for a record
    /// in the least memory (<https://docs.commercetools.com/api/limits>).
    #[must_use]
    pub fn alone(&self) -> usize {
        self.bytes * 2 / 5
    }

    /// The most batches of full size that are being sent at the same time.
    #[must_use]
    pub fn sends(&self) -> usize {
        (self.bytes / (24 * 1024 * 1024)).clamp(2, 5)
    }

    /// Whether other windows have a part of it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.memory.windows.get() > 1
    }

    /// Takes memory for a page, if there is enough beside the `own` bytes that this window's pages have.
    pub fn take_page(&self, own: usize, bytes: usize) -> Option<Taken> {
        let Memory { pages, .. } = &self.memory;
        let is_others = self
            .memory
            .alone
            .get()
            .is_some_and(|number| number != self.number);
        let fits_own = own == 0 || own + bytes <= self.pages();
        let fits = pages.get() == 0 || pages.get() + bytes <= self.memory.bytes / 5;
        (!is_others && fits_own && fits).then(|| Taken::from(pages, bytes))
    }

    /// Takes memory for a page alone, when no other page is held and few batches are. From the first time on that it asks
    /// no window gets memory for another page, until [`WindowMemory::is_not_alone`].
    pub fn take_alone(&self, bytes: usize) -> Option<Taken> {
        let Memory {
            pages,
            batches,
            alone,
            ..
        } = &self.memory;
        match alone.get() {
            Some(number) if number != self.number => return None,
            _ => alone.set(Some(self.number)),
        }
        let is_free = pages.get() == 0 && batches.get() <= self.memory.bytes / 8;
        is_free.then(|| Taken::from(pages, bytes))
    }

    /// This window neither has nor wants a page alone.
    pub fn is_not_alone(&self) {
        let alone = &self.memory.alone;
        if alone.get() == Some(self.number) {
            alone.set(None);
        }
    }

    /// Notes how many bytes its batches have now.
    pub fn note_batches(&self, bytes: usize) {
        let all = &self.memory.batches;
        all.set(all.get() - self.batches.replace(bytes) + bytes);
    }

    /// Whether there is memory for so many bytes of batches more. If it has none, there always is: else it could do nothing.
    #[must_use]
    pub fn has_room_for_batches(&self, bytes: usize) -> bool {
        self.batches.get() == 0 || self.memory.batches.get() + bytes <= self.bytes / 3
    }
}

impl Drop for WindowMemory {
    fn drop(&mut self) {
        self.note_batches(0);
        self.is_not_alone();
        let windows = &self.memory.windows;
        windows.set(windows.get() - 1);
    }
}

/// Memory of which anybody may take what is free.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its size in bytes.
    most: usize,
    taken: Rc<Cell<usize>>,
}

impl Pool {
    fn of(bytes: usize) -> Self {
        Self {
            most: bytes,
            taken: Rc::default(),
        }
    }

    /// Its size in bytes.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// Waits until this many bytes are free, and reserves them. If nothing is reserved, any number of bytes is.
    pub async fn take(&self, ports: &Ports, bytes: usize) -> Taken {
        while self.taken.get() > 0 && self.taken.get() + bytes > self.most {
            ports.clock.sleep(LOOK).await;
        }
        Taken::from(&self.taken, bytes)
    }
}

/// Memory that is reserved for as long as this lives.
#[derive(Debug)]
pub struct Taken {
    bytes: usize,
    from: Rc<Cell<usize>>,
}

impl Taken {
    fn from(from: &Rc<Cell<usize>>, bytes: usize) -> Self {
        from.set(from.get() + bytes);
        Self {
            bytes,
            from: from.clone(),
        }
    }

    /// How many bytes are reserved.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back what is not needed beyond so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.bytes -= surplus;
        self.from.set(self.from.get() - surplus);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.from.set(self.from.get() - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn a_window_has_all_pages_until_there_is_another() {
        let memory = Memory::of(100);
        let one = memory.begin_window(0);
        assert_eq!((one.pages(), one.alone()), (20 * MIB, 40 * MIB));
        let mut held = one.take_page(0, 15 * MIB).expect("it is free");
        assert!(one.take_page(15 * MIB, 6 * MIB).is_none());
        let other = memory.begin_window(0);
        assert_eq!(one.pages(), 10 * MIB);
        // until the first has given back what was its own
        assert!(other.take_page(0, 10 * MIB).is_none());
        held.shrink_to(10 * MIB);
        let others = other.take_page(0, 10 * MIB).expect("it is free");
        assert!(one.take_page(10 * MIB, 1).is_none());
        drop((held, others, other));
        assert_eq!(one.pages(), 20 * MIB);
        assert!(one.take_page(0, 20 * MIB).is_some());
        assert_eq!(memory.pages.get(), 0);
    }

    #[test]
    fn who_wants_a_page_alone_gets_it_when_the_others_have_none() {
        let memory = Memory::of(100);
        let (one, other) = (memory.begin_window(0), memory.begin_window(0));
        let page = other.take_page(0, MIB).expect("it is free");
        assert!(one.take_alone(40 * MIB).is_none());
        assert!(other.take_page(MIB, MIB).is_none());
        assert!(other.take_alone(40 * MIB).is_none());
        drop(page);
        other.note_batches(15 * MIB);
        assert!(one.take_alone(40 * MIB).is_none());
        other.note_batches(5 * MIB);
        let alone = one.take_alone(40 * MIB).expect("nobody has a page");
        assert!(other.take_page(0, MIB).is_none());
        drop(alone);
        // it may want the next one, too
        assert!(other.take_page(0, MIB).is_none());
        one.is_not_alone();
        assert!(other.take_page(0, MIB).is_some());
        // one that waits in vain until its window ends
        assert!(other.take_alone(MIB).is_some());
        drop(other);
        assert!(one.take_page(0, MIB).is_some());
    }

    #[test]
    fn every_window_has_room_for_its_first_batch() {
        let memory = Memory::of(60);
        let (one, other) = (memory.begin_window(0), memory.begin_window(1));
        one.note_batches(19 * MIB);
        assert!(one.has_room_for_batches(MIB));
        assert!(!one.has_room_for_batches(2 * MIB));
        assert!(other.has_room_for_batches(5 * MIB));
        other.note_batches(MIB);
        assert!(!other.has_room_for_batches(5 * MIB));
        drop(one);
        assert!(other.has_room_for_batches(5 * MIB));
        drop(other);
        assert_eq!(memory.batches.get(), 0);
    }
}
