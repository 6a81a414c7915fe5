//! What a datastore left on disk, and what it did to get it there.

use harness::scenario::ScenarioContext;

/// Bytes of the database's files; `None` where they are not seen.
///
/// # Errors
/// When the place where the server runs cannot be asked, or there is no such file.
pub async fn database_bytes(cx: &ScenarioContext<'_>) -> anyhow::Result<Option<u64>> {
    let paths = cx.distribution.database_paths(cx.datastore);
    let bytes = cx.cluster.disk_usage(paths).await?;
    anyhow::ensure!(
        bytes != Some(0),
        "failed to size the database: none of {} is there",
        paths.join(", ")
    );
    Ok(bytes)
}

/// Bytes of the database itself and of its write-ahead log; `None` where they are not seen.
///
/// # Errors
/// When the place where the server runs cannot be asked, or there is no database.
pub async fn parts(cx: &ScenarioContext<'_>) -> anyhow::Result<Option<(u64, u64)>> {
    let paths = cx.distribution.database_paths(cx.datastore);
    let Some((database, log)) = paths.first().copied().and_then(apart) else {
        return Ok(None);
    };
    let Some(database) = cx.cluster.disk_usage(database).await? else {
        return Ok(None);
    };
    anyhow::ensure!(database > 0, "failed to size the database: it is not there");
    let log = cx.cluster.disk_usage(log).await?.unwrap_or(0);
    Ok(Some((database, log)))
}

type Paths = &'static [&'static str];

/// The files of the database and those of its log, by the first of the paths that a distribution names.
fn apart(path: &str) -> Option<(Paths, Paths)> {
    match path {
        "db" => Some((&["db/state.db"], &["db/state.db-wal"])),
        "server/db/state.db" => Some((&["server/db/state.db"], &["server/db/state.db-wal"])),
        "etcd/member" => Some((&["etcd/member/snap"], &["etcd/member/wal"])),
        "server/db/etcd/member" => Some((
            &["server/db/etcd/member/snap"],
            &["server/db/etcd/member/wal"],
        )),
        _ => None,
    }
}

/// The number of fsyncs of etcd's write-ahead log so far, where etcd tells.
pub async fn fsyncs(cx: &ScenarioContext<'_>) -> Option<f64> {
    let text = reqwest::get(cx.etcd_metrics?)
        .await
        .ok()?
        .text()
        .await
        .ok()?;
    counter(&text, "etcd_disk_wal_fsync_duration_seconds_count")
}

/// A counter without labels in the Prometheus text format.
fn counter(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_whole_name() {
        let text = "# HELP x\nx_count_more 3\nx_count 7\n";
        assert_eq!(counter(text, "x_count"), Some(7.0));
        assert_eq!(counter(text, "x"), None);
    }
}
