//! Two runs at once, of one user on one host, and a sweep in their midst.

use crate::held::Held;
use crate::limits::k3s;
use crate::support::{Sandbox, names, needs_root, until};

fn both_pass(args: &[&str], codes: &[i32]) {
    let sandbox = Sandbox::new();
    let out = sandbox.out().display().to_string();
    let args = [args, &["--out", &out]].concat();
    let runs = [0, 1].map(|_| sandbox.start(sandbox.command(&args)));
    until("both have made what they need", || {
        let mut held = Held::default();
        runs.iter()
            .for_each(|run| held.read_processes(run.child.id()));
        // Five namespaces each.
        (held.namespaces() >= 10).then_some(())
    });
    let sweep = sandbox.run(&["sweep"]);
    let said = &sweep.expect(0).stdout;
    assert!(
        said.contains("0 removed, 0 remain, 2 live runs left alone"),
        "{said}"
    );
    for run in runs {
        let ended = run.end();
        println!("{}", ended.stdout);
        assert!(
            ended.code.is_some_and(|code| codes.contains(&code)),
            "{ended:?}"
        );
    }
    sandbox.nothing_left();
    let runs = names(&sandbox.out());
    assert_eq!(runs.len(), 3, "two runs and `latest`: {runs:?}");
}

#[test]
#[ignore = "needs root: run with --ignored"]
fn two_runs_on_the_specimen() {
    needs_root();
    both_pass(
        &[
            "suite",
            "footprint",
            "--filter",
            "idle",
            "--distribution",
            "reference",
        ],
        &[0],
    );
}

#[test]
#[ignore = "takes minutes on a real K3s: set ASSAY_TEST_K3S=/path/to/k3s and give --ignored"]
fn two_runs_on_k3s() {
    let k3s = k3s();
    let args = [
        "suite",
        "all",
        "--target",
        "native",
        "--distribution",
        "k3s",
        "--datastore",
        "sqlite",
    ];
    // Old releases fail checks of newer rules; nothing else may go wrong.
    both_pass(&[&args[..], &["--k3s-binary", &k3s]].concat(), &[0, 4]);
}
