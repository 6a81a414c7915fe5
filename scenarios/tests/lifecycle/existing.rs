//! A cluster that was there already: tested, left as it was, and refused when people seem to use it.

use std::path::PathBuf;

use harness::api::Collection;
use harness::api::namespace::NAMESPACES;
use serde_json::json;

use crate::standing::Standing;
use crate::support::{Sandbox, until};

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn it_is_tested_and_left_as_it_was() {
    let sandbox = Sandbox::new();
    let standing = Standing::new(&sandbox);
    let args = standing.args(&sandbox, &["--hold", "1", "--filter", "configmap"]);
    let ended = sandbox.run(&words(&args));
    let summary = &ended.expect(0).stdout;
    assert!(summary.contains("existing-kubernetes-unknown"), "{summary}");
    assert_eq!(standing.of_runs(), [""; 0]);
    sandbox.nothing_left();
}

#[test]
fn what_a_killed_run_made_in_it_is_swept() {
    let sandbox = Sandbox::new();
    let standing = Standing::new(&sandbox);
    let args = standing.args(&sandbox, &["--hold", "1"]);
    let mut running = sandbox.start(sandbox.command(&words(&args)));
    until("the run makes a namespace", || {
        (!standing.of_runs().is_empty()).then_some(())
    });
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    // Somebody else's is not touched, whatever it looks like.
    standing.with(async |api| {
        let namespaces = Collection::new(&api, NAMESPACES, None);
        let object = json!({"metadata": {"name": "assay-check-mine"}});
        assert!(namespaces.create(object).await.unwrap().is_success());
    });
    let swept = sandbox.run(&["sweep"]);
    swept.expect(0);
    assert_eq!(standing.of_runs(), ["\"assay-check-mine\""]);
    sandbox.nothing_left();
}

#[test]
fn one_that_people_use_is_refused() {
    let sandbox = Sandbox::new();
    let standing = Standing::new(&sandbox);
    standing.with(async |api| {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"},
        });
        let path = "/api/v1/namespaces";
        assert!(api.create(path, object).await.unwrap().is_success());
    });
    let args = standing.args(&sandbox, &["--hold", "1", "--filter", "configmap"]);
    let refused = sandbox.run(&words(&args));
    let why = &refused.expect(2).stderr;
    assert!(
        why.contains("shop") && why.contains("--yes-this-cluster"),
        "{why}"
    );
    assert!(!sandbox.out().exists(), "a run was begun");
    let mut willing = words(&args);
    willing.push("--yes-this-cluster");
    sandbox.run(&willing).expect(0);
}

#[test]
fn one_that_cannot_be_reached_is_told() {
    let sandbox = Sandbox::new();
    let file = sandbox.path("kubeconfig");
    let args = |file: &PathBuf| {
        ["suite", "all", "--target", "existing", "--kubeconfig"]
            .map(str::to_owned)
            .into_iter()
            .chain([file.display().to_string()])
            .collect::<Vec<_>>()
    };
    let missing = sandbox.run(&words(&args(&file)));
    assert!(missing.expect(2).stderr.contains("there is no kubeconfig"));
    let standing = Standing::new(&sandbox);
    std::fs::copy(&standing.kubeconfig, &file).unwrap();
    drop(standing);
    let gone = sandbox.run(&words(&args(&file)));
    assert!(
        gone.expect(2).stderr.contains("cannot be reached"),
        "{gone:?}"
    );
}
