//! The watchdog: a server that runs but has stopped answering is as dead as one that ended.
//!
//! A server at its memory limit can thrash for minutes without an OOM kill: the kernel drops and reads back the
//! pages of its own program. Without this, each check would wait out its own deadline on a silent server.

use std::time::{Duration, Instant};

use crate::drive::still_serving;
use crate::scenario::Access;
use crate::target::Cluster;
use crate::thrash::Thrash;

/// Pause between two looks: rare, for the server answers them inside its budget.
const PAUSE: Duration = Duration::from_secs(5);
/// One look may take that long.
const LOOK: Duration = Duration::from_secs(15);
/// Silence for this long is death. Longer than the 30 s that one request is granted, so that a single slow answer
/// does not count.
const SILENCE: Duration = Duration::from_secs(60);

/// Before a server is ready its silence says nothing, and its start reads its whole program. What then thrashes for
/// so long does not come up any more: an emulated control plane that fits is ready within a minute.
const STARTING: Duration = Duration::from_secs(120);

/// How a server fell silent.
pub struct Silence {
    /// In words.
    pub how: String,
    /// The place's evidence, if it thrashed.
    pub thrashed: Option<Thrash>,
}

/// Resolves when a server that is not ready yet has been thrashing for too long.
pub async fn never_ready(cluster: &dyn Cluster) -> Thrash {
    loop {
        tokio::time::sleep(PAUSE).await;
        let since = cluster.started().max(
            Instant::now()
                .checked_sub(STARTING)
                .unwrap_or(cluster.started()),
        );
        if cluster.started().elapsed() >= STARTING
            && let Some(thrash) = cluster.thrash(since)
        {
            return thrash;
        }
    }
}

/// Resolves when the server has been silent for too long, with how long that was and what was seen last.
/// `patience` stretches every span, for servers that run slower; silence that the place can explain is not waited
/// out.
pub async fn silence(access: &Access, patience: u32, cluster: &dyn Cluster) -> Silence {
    let look = LOOK * patience;
    let mut heard = Instant::now();
    loop {
        tokio::time::sleep(PAUSE).await;
        if cluster.is_disturbed() {
            // It is silent because a scenario wants it so.
            heard = Instant::now();
            continue;
        }
        let seen = match tokio::time::timeout(look, still_serving(access)).await {
            Ok(Ok(())) => {
                heard = Instant::now();
                continue;
            }
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("no answer within {look:?}"),
        };
        let silent = heard.elapsed();
        let seconds = silent.as_secs();
        if silent >= SILENCE
            && let Some(why) = cluster.thrash(heard)
        {
            return Silence {
                how: format!("has not answered for {seconds} s: {why}"),
                thrashed: Some(why),
            };
        }
        if silent >= SILENCE * patience {
            return Silence {
                how: format!("has not answered for {seconds} s; last seen: {seen}"),
                thrashed: None,
            };
        }
    }
}
