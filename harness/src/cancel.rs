//! Cancellation: the first Ctrl-C stops and cleans up, the second ends the process at once.

use tokio::sync::watch;

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

    /// Listens to SIGINT and SIGTERM. A second signal exits with 130 at once: the keepers notice that assay
    /// is gone and end their servers, and `assay sweep` removes the rest.
    ///
    /// # Errors
    /// When signal handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (sender, cancel) = Self::pair();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            for nth in 0.. {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if nth == 0 {
                    eprintln!(
                        "stopping: cleaning up and writing the report (press again to quit at once)"
                    );
                    let _ = sender.send(true);
                } else {
                    eprintln!("quit: run `assay sweep` to remove what may be left");
                    std::process::exit(130);
                }
            }
        });
        Ok(cancel)
    }
}
