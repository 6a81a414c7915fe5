//! The hold period: a server that became ready must go on serving.

use std::time::{Duration, Instant};

use reports::event::{EventKind, Measurement};
use reports::metric::Unit;

use crate::cancel::Cancel;
use crate::journal::CellSink;
use crate::runner::{RunSettings, died};
use crate::scenario::{Access, Phase, Tap};
use crate::target::Cluster;
use crate::text;

/// How long the last answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a look at its processes, or at its machine's memory, may take.
const LOOK_WITHIN: Duration = Duration::from_secs(60);
/// How long after a server fell silent its end may still become known.
const DEATH_KNOWN_WITHIN: Duration = Duration::from_secs(3);

/// How the hold period went.
pub(crate) enum Held {
    /// The server answered at its end.
    Served,
    /// It ran and did not answer.
    Silent,
    /// It ended.
    Died,
    /// Ctrl-C.
    Interrupted,
}

/// The rest of the hold period, and whether it still answers at its end.
pub(crate) async fn hold(
    settings: &RunSettings,
    cluster: &dyn Cluster,
    access: &Access,
    sink: &CellSink,
    tap: &Tap,
    cancel: &Cancel,
    ready_at: Instant,
) -> Held {
    let _phase = Phase::begin(sink, tap, "footprint", "hold/serving");
    let rest = settings.hold.saturating_sub(ready_at.elapsed());
    tokio::select! {
        () = cancel.cancelled() => return Held::Interrupted,
        exit = cluster.ended() => {
            died(cluster, sink, &exit);
            return Held::Died;
        }
        () = tokio::time::sleep(rest) => {}
    }
    // A place that does not answer has nothing to show; the last answer below says whether the server has one.
    let looks = LOOK_WITHIN * settings.target.patience();
    let processes = tokio::time::timeout(looks, cluster.processes()).await;
    for process in processes.unwrap_or_default() {
        let mut readings = vec![(reports::metric::Metric::Rss, process.rss_bytes as f64)];
        readings.extend(
            process
                .pss_bytes
                .map(|pss| (reports::metric::Metric::Pss, pss as f64)),
        );
        sink.emit(EventKind::Sample {
            source: format!("process:{}", text::tame(&process.name)),
            readings,
        });
    }
    if let Some(share) = cluster.sampler_share() {
        sink.emit(EventKind::Measurement(Measurement {
            suite: "footprint".into(),
            scenario: "observer".into(),
            name: "sampler_in_the_guest".into(),
            unit: Unit::Ratio,
            value: share,
            labels: Default::default(),
            samples: None,
            source: "its own CPU time over the guest's clock, a share of one CPU; free running, the waits of a busy host \
                     are in it"
                .into(),
        }));
    }
    let twice = tokio::time::timeout(looks, cluster.available_twice()).await;
    if let Ok(Some(seen)) = twice {
        let views = [
            (
                "available_by_sampler",
                seen.sampler,
                "the sampler in the guest",
            ),
            (
                "available_by_emulator",
                seen.emulator,
                "the guest's balloon driver, by way of the emulator",
            ),
        ];
        for (name, bytes, who) in views {
            sink.emit(EventKind::Measurement(Measurement {
                suite: "footprint".into(),
                scenario: "observer".into(),
                name: name.into(),
                unit: Unit::Bytes,
                value: bytes as f64,
                labels: Default::default(),
                samples: None,
                source: format!(
                    "MemAvailable of the machine, as told by {who} at the end of the hold period"
                ),
            }));
        }
    }
    let within = ANSWER_WITHIN * settings.target.patience();
    let still = tokio::time::timeout(within, crate::drive::still_serving(access)).await;
    let how = match still {
        Ok(Ok(())) => return Held::Served,
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("not within {within:?}"),
    };
    // Its end may be known a little later than its silence: an engine tells it when it has cleaned up.
    if let Ok(exit) = tokio::time::timeout(DEATH_KNOWN_WITHIN, cluster.ended()).await {
        died(cluster, sink, &exit);
        return Held::Died;
    }
    sink.warn(format!(
        "the server did not answer at the end of the hold period: {how}"
    ));
    Held::Silent
}
