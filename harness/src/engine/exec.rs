//! Running a program in a container.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use testcontainers::bollard::Docker;
use testcontainers::bollard::container::LogOutput;
use testcontainers::bollard::exec::{StartExecOptions, StartExecResults};
use testcontainers::bollard::models::ExecConfig;

use crate::target::ExecOutput;

/// What a program may print that is kept, for each of its outputs.
const CAP: usize = 1 << 20;

/// How long a program may run. What is asked of a container takes seconds, also in a throttled one.
pub const EXEC_WITHIN: Duration = Duration::from_secs(120);

/// Runs a program in a running container, to its end.
///
/// # Errors
/// When it cannot be started, the engine stops telling, or it does not end in time; an engine has no way to end it
/// then, and it ends with its container.
pub async fn exec(
    docker: &Docker,
    container: &str,
    argv: &[&str],
    within: Duration,
) -> Result<ExecOutput> {
    tokio::time::timeout(within, to_its_end(docker, container, argv))
        .await
        .with_context(|| {
            let words = argv.join(" ");
            format!("failed to run {words} in the container: it did not end within {within:?}")
        })?
}

async fn to_its_end(docker: &Docker, container: &str, argv: &[&str]) -> Result<ExecOutput> {
    let what = argv.first().copied().unwrap_or("nothing");
    let config = ExecConfig {
        cmd: Some(argv.iter().map(ToString::to_string).collect()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    };
    let made = docker
        .create_exec(container, config)
        .await
        .with_context(|| format!("failed to run {what} in the container"))?;
    let started = docker
        .start_exec(&made.id, None::<StartExecOptions>)
        .await
        .with_context(|| format!("failed to run {what} in the container"))?;
    let StartExecResults::Attached { mut output, .. } = started else {
        bail!("failed to run {what} in the container: the engine detached it");
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(piece) = output
        .try_next()
        .await
        .with_context(|| format!("failed to read what {what} prints"))?
    {
        let (into, bytes) = match piece {
            LogOutput::StdErr { message } => (&mut stderr, message),
            other => (&mut stdout, other.into_bytes()),
        };
        into.extend_from_slice(&bytes[..bytes.len().min(CAP.saturating_sub(into.len()))]);
    }
    let about = docker
        .inspect_exec(&made.id)
        .await
        .with_context(|| format!("failed to learn how {what} ended"))?;
    let code = about.exit_code.and_then(|code| i32::try_from(code).ok());
    Ok(ExecOutput {
        code: code.with_context(|| format!("failed to learn how {what} ended"))?,
        stdout,
        stderr,
    })
}
