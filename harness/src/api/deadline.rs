//! Waiting for conditions: never a fixed sleep, and a timeout that says what was awaited and last seen.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// The first pause between two looks; later ones grow up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// A look costs the server a request; more than four a second would add load to what is being measured.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What one look at a condition found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen<T> {
    /// It holds.
    Done(T),
    /// It does not hold yet; this is what was seen instead.
    Not(String),
}

impl Seen<()> {
    /// [`Seen::Done`] if it holds.
    pub fn when(holds: bool, seen: impl FnOnce() -> String) -> Self {
        if holds {
            Self::Done(())
        } else {
            Self::Not(seen())
        }
    }
}

/// Why a wait ended without its condition.
#[derive(Debug, PartialEq, Eq)]
pub enum WaitError<E> {
    /// The deadline passed.
    Late {
        /// What was awaited.
        what: String,
        /// The time granted.
        granted: Duration,
        /// What was last seen.
        last_seen: String,
    },
    /// Looking itself failed.
    Look(E),
}

/// Looks until the condition holds or `granted` has passed. It looks at least once.
///
/// # Errors
/// When the deadline passes, with what was last seen, or when a look fails.
pub async fn wait_for<T, E, Look, Answer>(
    what: &str,
    granted: Duration,
    look: Look,
) -> Result<T, WaitError<E>>
where
    Look: FnMut() -> Answer,
    Answer: Future<Output = Result<Seen<T>, E>>,
{
    wait_with_pauses(what, granted, LONGEST_PAUSE, look).await
}

/// The same with pauses that grow up to `longest`, for what takes minutes and costs the server work at each look.
///
/// # Errors
/// As [`wait_for`].
pub async fn wait_with_pauses<T, E, Look, Answer>(
    what: &str,
    granted: Duration,
    longest: Duration,
    mut look: Look,
) -> Result<T, WaitError<E>>
where
    Look: FnMut() -> Answer,
    Answer: Future<Output = Result<Seen<T>, E>>,
{
    let until = Instant::now() + granted;
    let mut pause = FIRST_PAUSE;
    loop {
        let last_seen = match look().await.map_err(WaitError::Look)? {
            Seen::Done(value) => return Ok(value),
            Seen::Not(seen) => seen,
        };
        if Instant::now() + pause > until {
            return Err(WaitError::Late {
                what: what.to_owned(),
                granted,
                last_seen,
            });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn a_timeout_says_what_was_last_seen() {
        let looks = Cell::new(0);
        let result: Result<(), WaitError<()>> =
            wait_for("three", Duration::from_millis(50), || async {
                looks.set(looks.get() + 1);
                Ok(Seen::Not(format!("look {}", looks.get())))
            })
            .await;
        let Err(WaitError::Late {
            what, last_seen, ..
        }) = result
        else {
            panic!("not late: {result:?}")
        };
        assert_eq!(what, "three");
        assert_eq!(last_seen, format!("look {}", looks.get()));
        assert!(looks.get() > 1);
    }

    #[tokio::test]
    async fn a_condition_that_holds_costs_no_pause() {
        let result: Result<u8, WaitError<()>> =
            wait_for("now", Duration::ZERO, || async { Ok(Seen::Done(7)) }).await;
        assert_eq!(result, Ok(7));
    }
}
