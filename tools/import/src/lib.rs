//! The operator's command line: `cargo import`.
//!
//! It imports from a terminal, with the component in the embedded engine, or steers a deployed app: the same commands for
//! both. What `cargo demo` shares with it, it has from here.
//!
//! | module | what it is about |
//! | --- | --- |
//! | `arguments`, `program`, `ending`, `interrupts` | the command line; what is done with it; exit codes; Ctrl-C |
//! | `app` | the component in the embedded engine, or a deployed app |
//! | `operator`, `patience` | the app's API as an operator uses it; what is done while it does not answer |
//! | `commands` | the import, `status`, `stop` and `check` |
//! | `follow` | imports until they are over |
//! | `ids`, `ask` | files of ids; asking before a deletion |
//! | `progress`, `report`, `table`, `figures` | what is shown while imports go on and at their end, and how numbers are written |

pub mod app;
pub mod arguments;
mod ask;
mod commands;
pub mod ending;
pub mod figures;
mod follow;
mod ids;
mod interrupts;
pub mod operator;
mod patience;
pub mod program;
pub mod progress;
mod report;
pub mod table;
