//! How fast a folder's disk makes a write durable: the recipe that etcd's documents give for fio
//! (`--rw=write --ioengine=sync --fdatasync=1 --bs=2300`), without fio.
//!
//! The file has no name, so that nothing stays of it, not even when assay is killed; and it is assay that writes, so
//! that no byte is charged to the server's cgroup.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;
use reports::event::{DiskProbe, EventKind, Latency};

use crate::journal::CellSink;
use crate::target::Cluster;

/// The suite whose figures depend on the disk, so that the disk is probed before it.
pub const BEFORE: &str = "datastore";
/// Bytes of each write: the typical size of an entry in etcd's log, by that recipe.
const WRITE_BYTES: usize = 2300;
/// It ends after so many writes: enough for a p99.
const MOST_WRITES: u64 = 500;
/// Or after this time, on a slow disk.
const MOST_TIME: Duration = Duration::from_secs(3);

/// Probes the disk of a cell's data and records what it finds, or why it could not.
pub async fn record(cluster: &dyn Cluster, sink: &CellSink) {
    let found = match cluster.disk_to_probe() {
        Ok(folder) => {
            let probing =
                tokio::task::spawn_blocking(move || probe(&folder, MOST_WRITES, MOST_TIME));
            match probing.await {
                Ok(Ok(latency)) => Ok(latency),
                Ok(Err(error)) => Err(crate::text::tame(&format!("{error:#}"))),
                Err(error) => Err(format!("the probe of the disk ended early: {error}")),
            }
        }
        Err(why) => Err(why),
    };
    let (latency, not_probed_because) = match found {
        Ok(latency) => (Some(latency), None),
        Err(why) => (None, Some(why)),
    };
    sink.emit(EventKind::DiskProbe(DiskProbe {
        write_bytes: WRITE_BYTES as u64,
        latency,
        not_probed_because,
    }));
}

/// Writes and flushes until `most` writes or `within` are over, at least once.
fn probe(folder: &Path, most: u64, within: Duration) -> anyhow::Result<Latency> {
    let hint = || format!("failed to probe the disk of {}", folder.display());
    let mut file = tempfile::tempfile_in(folder).with_context(hint)?;
    let block = [0xA5_u8; WRITE_BYTES];
    let mut times: Histogram<u64> = Histogram::new(3)?;
    let start = Instant::now();
    while times.is_empty() || (times.len() < most && start.elapsed() < within) {
        let from = Instant::now();
        file.write_all(&block)
            .and_then(|()| file.sync_data())
            .with_context(hint)?;
        times.record(from.elapsed().as_micros() as u64)?;
    }
    Ok(Latency {
        suite: BEFORE.to_owned(),
        scenario: "disk_probe".to_owned(),
        operation: "fdatasync".to_owned(),
        labels: std::collections::BTreeMap::new(),
        count: times.len(),
        errors: 0,
        interval_ms: start.elapsed().as_secs_f64() * 1e3,
        buckets: times
            .iter_recorded()
            .map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()))
            .collect(),
        min_us: times.min(),
        max_us: times.max(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_probed_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let latency = probe(folder.path(), 20, Duration::from_secs(60)).unwrap();
        assert_eq!((latency.count, latency.counted()), (20, 20));
        assert!(latency.quantile_ms(0.5).is_some() && latency.min_us <= latency.max_us);
        assert_eq!(latency.quantile_ms(0.99), None, "20 writes support no p99");
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn time_bounds_it_and_one_write_is_always_made() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(probe(folder.path(), 500, Duration::ZERO).unwrap().count, 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = probe(Path::new("/no/such/folder"), 1, Duration::ZERO).unwrap_err();
        assert!(
            format!("{error:#}").contains("/no/such/folder"),
            "{error:#}"
        );
    }
}
