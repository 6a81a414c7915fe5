//! How a check ends when it does not pass.

use crate::api::ApiError;
use crate::api::deadline::WaitError;

/// What a check gives.
pub type CheckResult<T = ()> = Result<T, CheckFault>;

/// Why a check did not pass. The three are never mixed: a harness fault must not read as a product fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckFault {
    /// The product does not do what it must: what was expected, what was seen.
    Failed(String),
    /// The server lacks what the check needs.
    Skipped(String),
    /// It could not be examined.
    Errored(String),
}

impl From<ApiError> for CheckFault {
    fn from(error: ApiError) -> Self {
        Self::Errored(error.to_string())
    }
}

impl From<WaitError<CheckFault>> for CheckFault {
    fn from(error: WaitError<CheckFault>) -> Self {
        match error {
            WaitError::Late {
                what,
                granted,
                last_seen,
            } => Self::Failed(format!(
                "expected within {granted:?}: {what}; last seen: {last_seen}"
            )),
            WaitError::Look(fault) => fault,
        }
    }
}
