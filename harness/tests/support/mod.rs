//! What the tests of several targets do alike.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::scope::Scope;

/// No test may hang: generous, since it bounds and does not measure.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Fails unless everything that was made in a scope has gone.
pub fn nothing_stands(scope: &Scope) -> Result<()> {
    let standing = scope.standing();
    ensure!(standing.is_empty(), "still in the ledger: {standing:?}");
    ensure!(
        std::fs::read_dir(scope.work())?.count() == 0,
        "work folders stayed"
    );
    Ok(())
}

/// Waits until something holds. The pause only spares the CPU.
pub async fn until<T>(what: &str, mut holds: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = holds() {
            return Ok(value);
        }
        ensure!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the log has a line that begins so; returns the rest of that line.
pub async fn logged(log: &Path, begins: &str) -> Result<String> {
    until(begins, || {
        let text = std::fs::read_to_string(log).ok()?;
        let (line, _) = text.split_once(begins)?.1.split_once('\n')?;
        Some(line.to_owned())
    })
    .await
    .with_context(|| format!("the log says: {:?}", std::fs::read_to_string(log)))
}

/// Runs a test's future to its end.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(future)
}
