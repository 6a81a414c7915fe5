//! Without root: the budget is observed, and the report says so.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::{Sandbox, binary, events, needs_root};

const NOBODY: u32 = 65534;

#[test]
#[ignore = "needs root: run with --ignored"]
fn the_budget_is_observed_and_said_to_be() {
    needs_root();
    let sandbox = Sandbox::new();
    let open = |name: &str| {
        let folder = sandbox.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        folder
    };
    std::fs::set_permissions(sandbox.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (state, out) = (open("state"), open("runs"));
    // Where it was built, others may not read it.
    let assay = sandbox.path("assay");
    std::fs::copy(binary(), &assay).unwrap();
    std::fs::set_permissions(&assay, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&assay);
    command
        .args([
            "suite",
            "footprint",
            "--filter",
            "idle",
            "--distribution",
            "reference",
            "--hold",
            "1",
        ])
        .arg("--out")
        .arg(&out)
        .env("ASSAY_STATE", &state)
        .env("HOME", &state)
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY);
    let ended = sandbox.start(command).end();
    let summary = &ended.expect(0).stdout;
    sandbox.nothing_left();
    let run = sandbox.latest();
    let events = events(&run);
    let evidence: Vec<_> = events
        .iter()
        .filter(|e| e["event"] == "budget_evidence")
        .collect();
    assert!(!evidence.is_empty());
    for evidence in evidence {
        assert_eq!(evidence["enforced"], false);
        assert!(
            evidence["peak_bytes"].as_u64() > Some(1 << 20),
            "{evidence}"
        );
    }
    let samples = events.iter().filter(|e| e["event"] == "sample").count();
    assert!(samples > 5, "{samples} samples");
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("observed, not enforced"), "{summary}");
}
