//! What a check may do to the instrument, and what becomes of it, without any server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reports::outcome::Outcome;

use super::{Check, CheckFault, Limits, Offer, Requirement, RunOptions, run_check, run_checks};
use crate::api::Api;

/// A client of a port on which nobody listens.
fn nobody() -> Api {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = kube::Config::new(http::Uri::from_static("http://127.0.0.1:1"));
    Api::new(kube::Client::try_from(config).expect("a client"), "test")
}

fn short() -> Limits {
    Limits {
        patience: Duration::from_millis(30),
        whole: Duration::from_millis(200),
        removal: Duration::from_millis(30),
    }
}

async fn outcome(check: Check) -> (Outcome, String) {
    let finding = run_check(&check, &nobody(), &Arc::default(), short()).await;
    (finding.outcome, finding.reason.unwrap_or_default())
}

#[tokio::test]
async fn nothing_examined_is_errored() {
    let idle = Check {
        run: |_| Box::pin(async { Ok(()) }),
        ..Check::BASE
    };
    let (outcome, reason) = outcome(idle).await;
    assert_eq!(outcome, Outcome::Errored);
    assert!(reason.contains("examined no fact"), "{reason}");
}

#[tokio::test]
async fn a_fact_that_holds_passes_and_one_that_does_not_fails() {
    let holds = Check {
        run: |cx| Box::pin(async { cx.expect_eq("one", 1, 1) }),
        ..Check::BASE
    };
    assert_eq!(outcome(holds).await.0, Outcome::Passed);
    let fails = Check {
        run: |cx| Box::pin(async { cx.expect_eq("one", 1, 2) }),
        ..Check::BASE
    };
    let expected = (Outcome::Failed, "one: expected 1; seen: 2".to_owned());
    assert_eq!(outcome(fails).await, expected);
}

#[tokio::test]
async fn a_panic_is_errored() {
    let panics = Check {
        run: |_| Box::pin(async { panic!("out of cheese") }),
        ..Check::BASE
    };
    let (outcome, reason) = outcome(panics).await;
    assert_eq!(outcome, Outcome::Errored);
    assert!(reason.contains("out of cheese"), "{reason}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_errored() {
    let asks = Check {
        run: |cx| Box::pin(async { cx.status("get", 200, cx.api().get("/").await?).map(drop) }),
        ..Check::BASE
    };
    let (outcome, reason) = outcome(asks).await;
    assert_eq!(outcome, Outcome::Errored);
    assert!(reason.contains("GET /"), "{reason}");
}

#[tokio::test]
async fn a_condition_that_never_comes_fails_with_what_was_last_seen() {
    let waits = Check {
        run: |cx| {
            Box::pin(cx.wait("the moon", || async {
                Ok(crate::api::deadline::Seen::<()>::Not("clouds".to_owned()))
            }))
        },
        ..Check::BASE
    };
    let (outcome, reason) = outcome(waits).await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        reason.contains("the moon") && reason.contains("clouds"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_check_that_never_ends_is_errored() {
    let hangs = Check {
        run: |_| Box::pin(std::future::pending()),
        ..Check::BASE
    };
    let (outcome, reason) = outcome(hangs).await;
    assert_eq!(outcome, Outcome::Errored);
    assert!(reason.contains("did not end within"), "{reason}");
}

#[tokio::test]
async fn what_is_not_offered_is_skipped_by_name() {
    let needs = Check {
        requires: &[Requirement::Resource("none/v1", "nones")],
        ..Check::BASE
    };
    let (outcome, reason) = outcome(needs).await;
    assert_eq!(outcome, Outcome::Skipped);
    assert!(reason.contains("nones of none/v1"), "{reason}");
}

static ORDER: Mutex<Vec<&str>> = Mutex::new(Vec::new());

#[tokio::test]
async fn serial_checks_come_last_and_a_cancellation_stops_the_rest() {
    const SERIAL: Check = Check {
        id: "a/serial",
        serial: Some("it must be alone"),
        run: |cx| {
            Box::pin(async {
                ORDER.lock().expect("order").push("serial");
                cx.expect("a fact", true, String::new)
            })
        },
        ..Check::BASE
    };
    const PLAIN: Check = Check {
        id: "a/plain",
        serial: None,
        run: |cx| {
            Box::pin(async {
                ORDER.lock().expect("order").push("plain");
                cx.expect("a fact", true, String::new)
            })
        },
        ..Check::BASE
    };
    let (stop, cancel) = tokio::sync::watch::channel(false);
    let options = RunOptions {
        jobs: 4,
        limits: short(),
        offer: Arc::new(Offer::default()),
        cancel,
    };
    let seen = Mutex::new(Vec::new());
    let sink = |finding: reports::event::CheckFinding| seen.lock().expect("seen").push(finding);
    let left = run_checks(&[&SERIAL, &PLAIN], &nobody(), &options, sink).await;
    assert!(left.is_empty());
    assert_eq!(*ORDER.lock().expect("order"), ["plain", "serial"]);
    assert!(
        seen.lock()
            .expect("seen")
            .iter()
            .all(|one| one.outcome == Outcome::Passed)
    );

    stop.send_replace(true);
    seen.lock().expect("seen").clear();
    run_checks(&[&SERIAL, &PLAIN], &nobody(), &options, sink).await;
    let findings = seen.into_inner().expect("seen");
    assert_eq!(findings.len(), 2);
    assert!(findings.iter().all(|one| one.outcome == Outcome::Errored));
}

static BEGUN: tokio::sync::Notify = tokio::sync::Notify::const_new();

#[tokio::test]
async fn slow_checks_take_no_place_of_the_others() {
    const SLOW: Check = Check {
        id: "a/slow",
        slow: Some("it waits for the other"),
        run: |cx| {
            Box::pin(async {
                BEGUN.notified().await;
                cx.expect("a fact", true, String::new)
            })
        },
        ..Check::BASE
    };
    const PLAIN: Check = Check {
        id: "a/plain",
        run: |cx| {
            Box::pin(async {
                BEGUN.notify_one();
                cx.expect("a fact", true, String::new)
            })
        },
        ..Check::BASE
    };
    let (_stop, cancel) = tokio::sync::watch::channel(false);
    let options = RunOptions {
        jobs: 1,
        limits: short(),
        offer: Arc::new(Offer::default()),
        cancel,
    };
    let seen = Mutex::new(Vec::new());
    run_checks(&[&SLOW, &PLAIN], &nobody(), &options, |finding| {
        seen.lock()
            .expect("seen")
            .push((finding.id, finding.outcome));
    })
    .await;
    let passed = |id: &str| (id.to_owned(), Outcome::Passed);
    assert_eq!(
        seen.into_inner().expect("seen"),
        [passed("a/plain"), passed("a/slow")]
    );
}

#[test]
fn a_missed_deadline_is_the_products_and_a_transport_fault_is_not() {
    use crate::api::ApiError;
    use crate::api::deadline::WaitError;
    let late = WaitError::Late {
        what: "x".to_owned(),
        granted: Duration::from_secs(1),
        last_seen: "y".to_owned(),
    };
    assert!(matches!(CheckFault::from(late), CheckFault::Failed(_)));
    let timeout = ApiError::Timeout {
        request: "GET /".to_owned(),
        waited: Duration::from_secs(1),
    };
    assert!(matches!(CheckFault::from(timeout), CheckFault::Errored(_)));
}
