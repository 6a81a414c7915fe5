//! The host's programs that build a guest: each with a deadline, a clear word when it is missing, and its own
//! last words when it fails.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::anyhow;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::error::{GuestError, full};
use crate::text;

/// A program of the host, to be run once.
pub(super) struct Tool<'a> {
    /// Its name, looked up in PATH and where administrators' programs are.
    pub program: &'a str,
    /// The Debian package that has it.
    pub package: &'a str,
    /// What it is to do, as in "failed to …".
    pub what: &'a str,
    /// How long it may take.
    pub deadline: Duration,
}

/// A program's path; users' PATHs often lack the last folders.
pub(super) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

impl Tool<'_> {
    /// Runs it to its end and gives what it wrote.
    ///
    /// # Errors
    /// When it is missing, fails, or takes too long.
    pub(super) async fn run(
        &self,
        configure: impl FnOnce(&mut Command),
        input: Option<Vec<u8>>,
        on: &Path,
    ) -> Result<Vec<u8>, GuestError> {
        let found =
            find(self.program).ok_or_else(|| GuestError::missing(self.program, self.package))?;
        let mut command = Command::new(found);
        command
            .env("LC_ALL", "C")
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        configure(&mut command);
        let failed =
            |detail: String| GuestError::Failed(anyhow!("failed to {}: {detail}", self.what));
        let mut child = command
            .spawn()
            .map_err(|error| failed(format!("{}: {error}", self.program)))?;
        let feed = child.stdin.take().zip(input);
        let feeding = async {
            if let Some((mut stdin, input)) = feed {
                // A program that ends early tells why itself.
                let _ = stdin.write_all(&input).await;
            }
        };
        let whole = async { tokio::join!(feeding, child.wait_with_output()).1 };
        let output = tokio::time::timeout(self.deadline, whole)
            .await
            .map_err(|_| {
                failed(format!(
                    "{} did not end within {} s",
                    self.program,
                    self.deadline.as_secs()
                ))
            })?
            .map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("No space left on device") {
            return Err(full(on));
        }
        let words: Vec<_> = said
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let last = words[words.len().saturating_sub(4)..]
            .iter()
            .map(|line| text::tame(line))
            .collect::<Vec<_>>()
            .join("; ");
        Err(failed(format!(
            "{} ended with {}: {last}",
            self.program, output.status
        )))
    }
}
