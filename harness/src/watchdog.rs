//! The watchdog: a server that runs but has stopped answering is as dead as one that ended.
//!
//! A server at its memory limit can thrash for minutes without an OOM kill: the kernel drops and reads back the
//! pages of its own program. Without this, each check would wait out its own deadline on a silent server.

use std::time::{Duration, Instant};

use crate::drive::still_serving;
use crate::scenario::Access;
use crate::target::Cluster;

/// Pause between two looks: rare, for the server answers them inside its budget.
const PAUSE: Duration = Duration::from_secs(5);
/// One look may take that long.
const LOOK: Duration = Duration::from_secs(15);
/// Silence for this long is death. Longer than the 30 s that one request is granted, so that a single slow answer
/// does not count.
const SILENCE: Duration = Duration::from_secs(60);

/// Resolves when the server has been silent for too long, with how long that was and what was seen last.
/// `patience` stretches every span, for servers that run slower; silence that the place can explain is not waited
/// out.
pub async fn silence(access: &Access, patience: u32, cluster: &dyn Cluster) -> String {
    let look = LOOK * patience;
    let mut heard = Instant::now();
    loop {
        tokio::time::sleep(PAUSE).await;
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
            return format!("has not answered for {seconds} s: {why}");
        }
        if silent >= SILENCE * patience {
            return format!("has not answered for {seconds} s; last seen: {seen}");
        }
    }
}
