//! The generator against the specimen's shim, in this process.

use std::time::Duration;

use fixtures::etcd::shim::{self, Listen, Running, ShimOptions, Synchronous};
use futures::StreamExt;
use harness::cancel::Cancel;
use harness::distribution::DatastoreAccess;
use harness::load::{self, Kind, LoadError, Mix, Pace, Recorder, Store, Workload};
use reports::history::{Answer, Header, History, Level, Request, WatchedKind};

struct Scene {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    _shim: Running,
    store: Store,
}

async fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("etcd.sock");
    let shim = shim::start(ShimOptions {
        database: folder.path().join("state.db"),
        synchronous: Synchronous::Normal,
        listen: Listen::Unix(socket.clone()),
        bug: None,
    })
    .await
    .unwrap();
    let store = Store::at(DatastoreAccess::unix(&socket), "/registry/assay/test/");
    Scene {
        path: folder.path().to_owned(),
        store: store.await.unwrap(),
        _folder: folder,
        _shim: shim,
    }
}

fn short(pace: Pace, mix: Mix) -> Workload {
    Workload {
        mix,
        keys: 64,
        value_bytes: 256,
        pace,
        seconds: 0.5,
        warm_up: 0.1,
        ..Workload::default()
    }
}

fn never() -> Cancel {
    Cancel::pair().1
}

#[tokio::test]
async fn a_closed_loop_counts_what_it_did_and_its_history_says_the_same() {
    let scene = scene().await;
    let mix = Mix {
        get: 20,
        list: 5,
        ..Mix::default()
    };
    let workload = short(Pace::Closed { clients: 4 }, mix);
    let header = Header {
        level: scene.store.level(),
        suite: "datastore".into(),
        scenario: "test".into(),
        part: "all".into(),
        keys: scene.store.key_names(workload.key_count()),
        revision: scene.store.revision().await.unwrap(),
        floor: 1,
    };
    let path = scene.path.join("history.jsonl");
    let recorder = Recorder::at(path.clone(), header).unwrap();
    let handle = recorder.handle();
    let load = load::run(&scene.store, &workload, Some(&handle), &never())
        .await
        .unwrap();
    recorder.close().unwrap();
    assert_eq!((load.errors(), load.conflicts(), load.unsent), (0, 0, 0));
    assert!(load.own_cpu > Duration::ZERO && load.achieved() > 0.0);
    assert!(load.done() > 0 && load.writes() > 0 && load.writes() <= load.done());
    let history = History::from_text(&fs_err::read_to_string(&path).unwrap()).unwrap();
    let counted = load.done() - load.kind(Kind::List).latency.len();
    // The history also holds the warm-up.
    assert!(history.operations.len() as u64 >= counted && history.open.is_empty());
    let mut values: Vec<u64> = Vec::new();
    for operation in &history.operations {
        match operation.request {
            Request::Create { value } | Request::Update { value, .. } => values.push(value),
            _ => {}
        }
        assert!(!matches!(operation.answer, Answer::Unknown { .. }));
    }
    let written = values.len();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), written, "each value is written once");
    let last = scene.store.list(7, None).await.unwrap();
    assert!(last.pages > 1 && last.strangers.is_empty());
    assert!(
        last.items
            .iter()
            .all(|(_, version)| values.binary_search(&version.value).is_ok())
    );
    scene.store.clear().await.unwrap();
    assert_eq!(scene.store.list(0, None).await.unwrap().items, []);
}

#[tokio::test]
async fn shared_keys_meet_conflicts_and_updates_alone_find_their_keys_there() {
    let scene = scene().await;
    let workload = Workload {
        shared: true,
        keys: 4,
        ..short(Pace::Closed { clients: 8 }, Mix::UPDATES)
    };
    let load = load::run(&scene.store, &workload, None, &never())
        .await
        .unwrap();
    assert!(load.conflicts() > 0 && load.errors() == 0, "{load:?}");
    assert!(load.kind(Kind::Create).latency.is_empty());
}

#[tokio::test]
async fn a_watch_delivers_each_change_and_an_old_list_is_as_it_was() {
    let scene = scene().await;
    let store = &scene.store;
    assert_eq!(store.level(), Level::Datastore);
    let written = store.send(0, Request::Create { value: 5 }, 100).await;
    let Answer::Written {
        revision: Some(first),
    } = written
    else {
        panic!("{written:?}")
    };
    let mut watch = store.watch(first).await.unwrap();
    let gone = store.send(0, Request::Delete { expected: first }, 0).await;
    assert!(matches!(gone, Answer::Written { .. }));
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let next = tokio::time::timeout(Duration::from_secs(20), watch.next());
        seen.push(next.await.unwrap().unwrap().unwrap());
    }
    assert!(matches!(seen[0], WatchedKind::Began { from, .. } if from == first));
    assert!(matches!(seen[1], WatchedKind::Changed { key: 0, revision, .. } if revision == first));
    assert!(matches!(seen[2], WatchedKind::Changed { key: 0, .. }));
    let then = store.list(0, Some(first)).await.unwrap();
    assert_eq!(then.items.len(), 1);
    assert_eq!(then.items[0].1.value, 5);
    let now = store.revision().await.unwrap();
    store.compact(now).await.unwrap();
    assert_eq!(store.list(0, Some(first)).await, Err(LoadError::Compacted));
    let again = store.send(0, Request::Create { value: 6 }, 100).await;
    assert!(matches!(again, Answer::Written { .. }));
    let conflict = store.send(0, Request::Create { value: 7 }, 100).await;
    assert!(matches!(conflict, Answer::Conflict { .. }), "{conflict:?}");
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_written_and_nothing_runs() {
    let scene = scene().await;
    let Scene { store, _shim, .. } = scene;
    _shim.stop().await.unwrap();
    let answer = store.send(0, Request::Create { value: 1 }, 64).await;
    // The first answer may still be of the connection that broke.
    let answer = match answer {
        Answer::Unknown { .. } => store.send(0, Request::Create { value: 2 }, 64).await,
        other => other,
    };
    assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}");
    let workload = short(Pace::Closed { clients: 1 }, Mix::default());
    let refused = load::run(&store, &workload, None, &never()).await;
    let words = refused.unwrap_err().to_string();
    assert!(
        words.contains("failed to connect to the datastore"),
        "{words}"
    );
}

#[tokio::test]
async fn an_open_loop_offers_its_rate_and_counts_what_it_could_not_send() {
    let scene = scene().await;
    let open = Pace::Open { per_second: 200.0 };
    let workload = short(open, Mix::default());
    let load = load::run(&scene.store, &workload, None, &never())
        .await
        .unwrap();
    assert_eq!((load.due, load.unsent, load.errors()), (100, 0, 0));
    assert_eq!(load.done() + load.conflicts(), 100);
    // One request under way at a time, and far more due than a server can do: what is not sent is told.
    let flood = Workload {
        in_flight: 1,
        ..short(
            Pace::Open {
                per_second: 400_000.0,
            },
            Mix::default(),
        )
    };
    let load = load::run(&scene.store, &flood, None, &never())
        .await
        .unwrap();
    assert_eq!(load.due, 200_000);
    assert!(
        load.unsent > 0 && load.backlog_max >= load.unsent,
        "{load:?}"
    );
    assert!(load.done() <= load.due - load.unsent);
    assert!(load.above_floor().is_err());
}

#[tokio::test]
async fn a_run_that_is_stopped_says_so() {
    let scene = scene().await;
    let (stop, cancel) = Cancel::pair();
    let workload = Workload {
        seconds: 600.0,
        ..short(Pace::Closed { clients: 2 }, Mix::default())
    };
    let stopped = async {
        // As soon as something is written.
        while scene.store.list(0, None).await.unwrap().items.is_empty() {
            tokio::task::yield_now().await;
        }
        stop.send(true).unwrap();
    };
    let (outcome, ()) = tokio::join!(load::run(&scene.store, &workload, None, &cancel), stopped);
    assert!(outcome.unwrap_err().to_string().contains("interrupted"));
}
