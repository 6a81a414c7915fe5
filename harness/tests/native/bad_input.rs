//! Programs that cannot be started: one sentence, a next step, nothing left.

use std::os::unix::fs::PermissionsExt;

use anyhow::ensure;

use crate::specimen::{Run, block_on};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[
    ("bad_input/each_has_its_sentence", sentences),
    (
        "bad_input/a_work_folder_outside_the_state_folder",
        foreign_work,
    ),
];

fn sentences() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let file = |name: &str, mode: u32, content: &[u8]| -> anyhow::Result<String> {
            let path = run.state.join(name);
            std::fs::write(&path, content)?;
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
            Ok(path.to_string_lossy().into_owned())
        };
        let mut other = b"\x7fELF\x02\x01\x01".to_vec();
        other.resize(18, 0);
        other.extend(if cfg!(target_arch = "aarch64") {
            [62, 0]
        } else {
            [183, 0]
        });
        other.resize(64, 0);
        for (program, says) in [
            ("/no/such/k3s".to_owned(), "failed to find the program"),
            (file("plain", 0o644, b"#!/bin/sh\n")?, "chmod +x"),
            (file("empty", 0o755, b"")?, "it is empty"),
            (
                file("page", 0o755, b"<html>404</html>\n\n\n\n\n\n")?,
                "neither a program nor a script",
            ),
            (file("arm", 0o755, &other)?, "this machine is"),
            (
                file("interpreter", 0o755, b"#!/no/such/interpreter\n")?,
                "interpreter that it names",
            ),
            (run.state.to_string_lossy().into_owned(), "not a file"),
        ] {
            let reason = run.refusal(&program).await?;
            ensure!(
                reason.contains(says) && reason.starts_with("failed to "),
                "{program}: {reason}"
            );
        }
        Ok(())
    })
}

fn foreign_work() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let mut cell = run.cell("/bin/sh", &[], reports::budget::Budget::edge())?;
        cell.work = run.state.join("elsewhere");
        let refused = harness::target::Target::provision(&run.target, &cell, &run.scope).await;
        ensure!(refused.is_err_and(|e| e.to_string().contains("must lie beneath")));
        run.nothing_stands()
    })
}
