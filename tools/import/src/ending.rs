//! How the program ends: its exit codes.

use std::fmt;

/// An exit code. Scripts rely on them: they do not change, and the handbook has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Everything completed, and nothing failed.
    Done,
    /// Everything completed, but records failed.
    RecordsFailed,
    /// It could not run: the configuration is wrong, an import is in the way, or the app cannot be reached or refuses it.
    CouldNotRun,
    /// An import failed, was stopped or was left out.
    NotCompleted,
    /// Ctrl-C, or SIGTERM. The cursor is kept.
    Interrupted,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Done,
        Self::RecordsFailed,
        Self::CouldNotRun,
        Self::NotCompleted,
        Self::Interrupted,
    ];

    /// The number.
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::RecordsFailed => 1,
            // as the command line's own errors
            Self::CouldNotRun => 2,
            Self::NotCompleted => 3,
            // as shells have it for SIGINT
            Self::Interrupted => 130,
        }
    }
}

/// Why it could not run.
#[derive(Debug)]
pub struct CouldNotRun(pub anyhow::Error);

impl fmt::Display for CouldNotRun {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#}", self.0)
    }
}

impl<E: Into<anyhow::Error>> From<E> for CouldNotRun {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// As `anyhow::bail!`.
macro_rules! could_not_run {
    ($($text:tt)*) => {
        return Err($crate::ending::CouldNotRun(anyhow::anyhow!($($text)*)))
    };
}
pub(crate) use could_not_run;
