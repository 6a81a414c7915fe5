//! QMP against a server that plays QEMU's part.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;

use super::qmp::{Qmp, QmpError};

const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}"#;

/// Answers each command with what `answer` makes of it; stops at the first `None`.
async fn play(
    listener: UnixListener,
    greeting: &'static str,
    answer: impl Fn(&str, &Value) -> Option<Vec<Value>> + Send + 'static,
) {
    let (stream, _) = listener.accept().await.unwrap();
    let (read, mut write) = stream.into_split();
    write
        .write_all(format!("{greeting}\r\n").as_bytes())
        .await
        .unwrap();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let request: Value = serde_json::from_str(&line).unwrap();
        let name = request["execute"].as_str().unwrap();
        let Some(answers) = answer(name, &request["arguments"]) else {
            return;
        };
        for mut message in answers {
            if message.get("event").is_none() {
                message["id"] = request["id"].clone();
            }
            write
                .write_all(format!("{message}\r\n").as_bytes())
                .await
                .unwrap();
        }
    }
}

async fn with(
    answer: impl Fn(&str, &Value) -> Option<Vec<Value>> + Send + 'static,
) -> (tempfile::TempDir, Qmp) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qmp");
    tokio::spawn(play(UnixListener::bind(&path).unwrap(), GREETING, answer));
    let qmp = Qmp::connect(&path, Duration::from_secs(10)).await.unwrap();
    (folder, qmp)
}

fn fine() -> Option<Vec<Value>> {
    Some(vec![json!({"return": {}})])
}

#[tokio::test]
async fn a_command_gets_its_own_answer_between_events_and_noise() {
    let (_folder, qmp) = with(|name, arguments| match name {
        "query-status" => Some(vec![
            json!({"event": "STOP", "data": {"x": 1}, "timestamp": {}}),
            json!({"return": {"status": "paused"}}),
        ]),
        "qom-get" => Some(vec![json!({"return": {"last-update": 9, "stats": {
            "stat-total-memory": 500, "stat-available-memory": 400, "stat-swap-in": u64::MAX}}})]),
        "query-cpus-fast" => Some(vec![
            json!({"return": [{"thread-id": 7}, {"thread-id": 8}]}),
        ]),
        "stop" => Some(vec![
            json!({"error": {"class": "GenericError", "desc": "no"}}),
        ]),
        "qom-set" => {
            assert_eq!(arguments["value"], 2);
            fine()
        }
        _ => fine(),
    })
    .await;
    assert_eq!(qmp.version(), "7.2.22");
    let mut events = qmp.events();
    assert_eq!(qmp.status().await.unwrap(), "paused");
    assert_eq!(events.recv().await.unwrap().name, "STOP");
    qmp.poll_balloon(Some(Duration::from_secs(2)))
        .await
        .unwrap();
    let stats = qmp.balloon_stats().await.unwrap().unwrap();
    assert_eq!((stats.total, stats.available), (500, 400));
    assert_eq!(qmp.vcpu_threads().await.unwrap(), [7, 8]);
    let refused = qmp.stop().await.unwrap_err();
    assert_eq!(refused.to_string(), "failed to do stop: QEMU says no");
}

#[tokio::test]
async fn figures_that_the_balloon_does_not_give_are_no_figures() {
    let (_folder, qmp) = with(|name, _| match name {
        "qom-get" => Some(vec![json!({"return": {"last-update": 0, "stats": {
            "stat-total-memory": u64::MAX, "stat-available-memory": u64::MAX}}})]),
        _ => fine(),
    })
    .await;
    assert_eq!(qmp.balloon_stats().await.unwrap(), None);
}

#[tokio::test]
async fn the_end_of_the_emulator_is_told_to_who_waits_and_who_comes_later() {
    let (_folder, qmp) = with(|name, _| match name {
        "qmp_capabilities" => fine(),
        _ => None,
    })
    .await;
    assert!(matches!(qmp.cont().await, Err(QmpError::Ended { .. })));
    assert!(matches!(qmp.cont().await, Err(QmpError::Ended { .. })));
    qmp.quit().await.unwrap();
}

#[tokio::test]
async fn saving_and_restoring_wait_for_their_end() {
    let looks = std::sync::atomic::AtomicU32::new(0);
    let (folder, qmp) = with(move |name, arguments| {
        let look = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match name {
            "migrate" => {
                assert!(
                    arguments["uri"]
                        .as_str()
                        .unwrap()
                        .starts_with("exec:cat > '")
                );
                fine()
            }
            "query-migrate" if look < 6 => Some(vec![json!({"return": {"status": "active"}})]),
            "query-migrate" => Some(vec![json!({"return": {"status": "completed"}})]),
            "query-status" => Some(vec![json!({"return": {"status": "paused"}})]),
            _ => fine(),
        }
    })
    .await;
    let file = folder.path().join("state");
    qmp.save(&file, Duration::from_secs(10)).await.unwrap();
    qmp.resume_incoming(Duration::from_secs(10)).await.unwrap();
    let quoted = folder.path().join("it's");
    qmp.save(&quoted, Duration::from_secs(1)).await.unwrap_err();
}

#[tokio::test]
async fn what_is_not_qemu_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qmp");
    let words = |result: Result<Qmp, QmpError>| result.err().unwrap().to_string();
    let short = Duration::from_millis(20);
    assert!(words(Qmp::connect(&path, short).await).contains("was not there"));
    for greeting in ["SSH-2.0", r#"{"QMP": {}}"#] {
        let _ = std::fs::remove_file(&path);
        tokio::spawn(play(
            UnixListener::bind(&path).unwrap(),
            greeting,
            |_, _| fine(),
        ));
        let refused = words(Qmp::connect(&path, Duration::from_secs(10)).await);
        assert!(refused.contains("the greeting"), "{refused}");
    }
}
