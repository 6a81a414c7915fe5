//! `doctor --fix`: which commands run, in which order, and as whom.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use super::{Finding, Fix, packages};

/// Installing an emulator over a slow line takes its time, but not for ever.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// A step of mending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Run this.
    Run(Vec<String>),
    /// This is beyond the user's rights; the command to run otherwise.
    NeedsRoot(String),
}

/// A fix as one would type it, with the refresh that a fresh machine needs first.
pub(super) fn shown(fix: &Fix, is_root: bool) -> String {
    let sudo = if fix.needs_root && !is_root {
        "sudo "
    } else {
        ""
    };
    let commands = packages::refresh_before(fix)
        .into_iter()
        .chain([fix.command.clone()]);
    commands
        .map(|command| format!("{sudo}{}", words(&command)))
        .collect::<Vec<_>>()
        .join(" && ")
}

fn words(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+:,@%".contains(c);
    let quoted = command.iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// The steps that mend the findings, with each package list refreshed once before the first package.
pub(super) fn plan(findings: &[Finding], is_root: bool, has_sudo: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let step = |fix: &Fix| match (fix.needs_root, is_root, has_sudo) {
        (false, ..) | (true, true, _) => Step::Run(fix.command.clone()),
        (true, false, true) => Step::Run([vec!["sudo".to_owned()], fix.command.clone()].concat()),
        (true, false, false) => Step::NeedsRoot(words(&fix.command)),
    };
    for fix in findings.iter().filter_map(|finding| finding.fix.as_ref()) {
        let refresh = packages::refresh_before(fix).map(|command| {
            step(&Fix {
                command,
                needs_root: true,
            })
        });
        for wanted in refresh.into_iter().chain([step(fix)]) {
            if !steps.contains(&wanted) {
                steps.push(wanted);
            }
        }
    }
    steps
}

/// Runs the steps, showing each before it runs. A failed step does not stop the others. Everything goes to
/// standard error, so that standard output stays the findings'. Returns how many failed.
pub(super) async fn run(steps: &[Step]) -> usize {
    let mut failed = 0;
    for step in steps {
        let problem = match step {
            Step::NeedsRoot(command) => Some(format!("needs root; run as root: {command}")),
            Step::Run(command) => {
                eprintln!("+ {}", words(command));
                match execute(command).await {
                    Ok(status) if status.success() => None,
                    Ok(status) => Some(format!("{} ended with {status}", words(command))),
                    Err(error) => Some(format!("{} did not run ({error})", words(command))),
                }
            }
        };
        if let Some(problem) = problem {
            eprintln!("warning: {problem}");
            failed += 1;
        }
    }
    failed
}

async fn execute(command: &[String]) -> std::io::Result<ExitStatus> {
    let [program, args @ ..] = command else {
        return Err(std::io::ErrorKind::InvalidInput.into());
    };
    let mut child = tokio::process::Command::new(program)
        .args(args)
        // Debian's tools would otherwise ask questions in the middle.
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::from(std::io::stderr()))
        .kill_on_drop(true)
        .spawn()?;
    match tokio::time::timeout(LONGEST, child.wait()).await {
        Ok(status) => status,
        Err(_) => Err(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "it took more than half an hour",
        )),
    }
}
