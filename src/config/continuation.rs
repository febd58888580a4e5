//! Who starts the next window.

/// Who starts the next window (`docs/HANDBOOK.md`, "Continuation").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuation {
    /// The component calls itself at the end of each window.
    SelfCall,
    /// A scheduler calls `continue`; each call works one window before its response.
    Scheduler,
}

impl Continuation {
    /// The variable's value for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SelfCall => "self",
            Self::Scheduler => "scheduler",
        }
    }
}
