//! Known bugs that the specimen can be given, so that what looks for such bugs can be seen to find them.

use crate::event::CellSpec;

/// The variable that asks for one. Only `--server-env` sets it, so it is in the cell's name and in the record; assay's
/// own environment never reaches a server.
pub const KNOWN_BUG: &str = "ASSAY_SPECIMEN_BUG";

impl CellSpec {
    /// The known bug that the specimen was given.
    #[must_use]
    pub fn known_bug(&self) -> Option<&str> {
        let bug = self.env.get(KNOWN_BUG).filter(|_| self.specimen);
        bug.map(String::as_str)
    }
}
