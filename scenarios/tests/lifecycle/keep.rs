//! `--keep`: the server's folder becomes the user's.

use crate::support::{Sandbox, names, needs_root};

#[test]
#[ignore = "needs root: run with --ignored"]
fn what_is_kept_stays_and_no_sweep_takes_it() {
    needs_root();
    let sandbox = Sandbox::new();
    let words = sandbox.specimen(&["--keep", "--hold", "1"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ended = sandbox.run(&words);
    let said = &ended.expect(0).stdout;
    let work = sandbox.path("state/work");
    let runs = names(&work);
    assert_eq!(runs.len(), 1, "{runs:?}");
    let kept = work.join(&runs[0]).join("0");
    assert!(said.contains(&kept.display().to_string()), "{said}");
    assert!(said.contains("yours to remove"), "{said}");
    assert!(!names(&kept.join("data/db")).is_empty(), "its database");
    assert_eq!(names(&sandbox.path("state/ledger")), [""; 0]);
    let sweep = sandbox.run(&["sweep"]);
    assert!(sweep.expect(0).stdout.contains("0 removed, 0 remain"));
    assert!(kept.join("data/kubeconfig").exists());
}
