//! The run document and its parts: what is stored between windows, and what follows from it alone.

mod changes;
mod counts;
mod cursor;
mod destination;
mod digest_text;
mod digests;
mod document;
mod document_size;
mod drift;
mod entry_name;
mod failed_records;
mod failures;
mod history;
mod id_range;
mod id_span;
mod job;
mod killed_windows;
mod last_error;
mod lease;
mod options;
mod pace;
mod removal;
mod report;
mod resource;
mod sample;
mod set_aside;
mod soundness;
mod status;
mod stored_jobs;
mod succession;

pub use changes::{Changes, Source};
pub use counts::{Counts, Note};
pub use cursor::Cursor;
pub use destination::Destination;
pub use digests::Digests;
pub use document::{
    MAX_KILLED_WINDOWS, MAX_SET_ASIDE, MAX_STALLED_WINDOWS, OLDEST_SCHEMA, RunDocument, SCHEMA,
};
pub use drift::{Differences, Drift};
pub use entry_name::{EntryName, own_name};
pub use failed_records::{FAILED_RECORDS_SCHEMA, FailedRecords, MAX_REMEMBERED};
pub use failures::{FailureNews, Failures};
pub use history::{History, MAX_POINTS};
pub use id_range::{IdRange, Only};
pub use job::Job;
pub use last_error::{LastError, REMOVAL_UNCONFIRMED};
pub use lease::{CLOCK_TOLERANCE, Lease, MARGIN};
pub use options::RunOptions;
pub use pace::Pace;
pub use removal::{Removal, RemovalKind};
pub use report::Report;
pub use resource::Resource;
pub use sample::Sample;
pub use set_aside::{Outcome, SetAside};
pub use status::Status;
