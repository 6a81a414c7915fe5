//! Histories: what clients asked a datastore, what they were answered, and what was done to it meanwhile.
//!
//! A history is recorded first and judged afterwards ([`mod@crate::judge`]); it can be judged again from its file. One
//! [`Line`] is one line of JSON. Times are nanoseconds of one monotonic clock since the history's own origin, so that
//! no step of a wall clock reorders anything. Keys are numbers, and the header tells what each is called there; values
//! are told apart by a number that their writer chose and that is unique in the history.

mod line;
mod operation;
mod read;
mod watched;

pub use line::{Header, Level, Line, Mark, MarkKind};
pub use operation::{Answer, Key, Listing, Nanos, Operation, Request, Revision, ValueId, Version};
pub use read::{History, HistoryError};
pub use watched::{Change, Watched, WatchedKind};
