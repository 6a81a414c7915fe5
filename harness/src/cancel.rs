//! Cancellation: the first Ctrl-C stops and cleans up, the second ends the process at once.

use tokio::sync::watch;

use crate::output::stderr_line;

/// Tells whether the run is to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<bool>);

impl Cancel {
    /// Whether it is to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when it is to stop; never, if it never is.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The receiver behind it, for whoever selects on it himself.
    #[must_use]
    pub fn receiver(&self) -> watch::Receiver<bool> {
        self.0.clone()
    }

    /// The handle for tests and for whoever must stop a run: sending `true` cancels.
    #[must_use]
    pub fn pair() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Listens to SIGINT, SIGTERM and SIGHUP (a terminal that was closed). A second signal exits with 130 at once: the keepers notice that assay
    /// is gone and end their servers, and `assay sweep` removes the rest.
    ///
    /// The returned sender stops the run as well, without a signal.
    ///
    /// # Errors
    /// When signal handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<(watch::Sender<bool>, Self)> {
        use tokio::signal::unix::{SignalKind, signal};
        let (stop, cancel) = Self::pair();
        let sender = stop.clone();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Under nohup a closed terminal is to harm nothing.
        let mut hangup = match hangup_is_ignored() {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        tokio::spawn(async move {
            for nth in 0.. {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = closed(&mut hangup) => {}
                }
                if nth == 0 {
                    let _ = sender.send(true);
                    stderr_line(
                        "stopping: cleaning up and writing the report (press again to quit at once)",
                    );
                } else {
                    stderr_line("quit: run `assay sweep` to remove what may be left");
                    std::process::exit(130);
                }
            }
        });
        Ok((stop, cancel))
    }
}

/// Resolves when the terminal was closed; never, where that is ignored.
async fn closed(hangup: &mut Option<tokio::signal::unix::Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// `SigIgn` of proc(5): one bit a signal, the lowest is SIGHUP's.
fn hangup_is_ignored() -> bool {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}
