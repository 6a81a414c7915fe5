//! What assay does inside the guest: run, start, kill, copy, set the clock, power off.

use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};

use super::control::Control;
use super::protocol::Kind;
use super::request::{Event, Exec, Output, Spawn, Status, exit_of};
use crate::target::{Exit, ProcessMemory};

/// Bytes of a file in one frame.
const PART: usize = 256 << 10;
/// What the way there and back takes besides a program's own time.
const SLACK: Duration = Duration::from_secs(30);
/// Bytes kept of each stream, so that both fit in one frame.
const MOST_OUTPUT: usize = 900_000;

fn field(value: impl ToString) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// A list that tells its length, so that another can follow.
fn counted(into: &mut Vec<Vec<u8>>, words: &[String]) {
    into.push(field(words.len()));
    into.extend(words.iter().map(field));
}

fn pairs(into: &mut Vec<Vec<u8>>, pairs: &[(String, String)]) {
    into.extend(
        pairs
            .iter()
            .flat_map(|(name, value)| [field(name), field(value)]),
    );
}

impl Control {
    /// Runs a program to its end.
    ///
    /// # Errors
    /// When it cannot be executed, or there is no reply. A program that fails is no error: see its output.
    pub async fn exec(&self, exec: &Exec) -> anyhow::Result<Output> {
        let most = exec.most.min(MOST_OUTPUT);
        let mut fields = vec![
            field(&exec.folder),
            field(exec.deadline.as_millis()),
            field(most),
        ];
        counted(&mut fields, &exec.argv);
        pairs(&mut fields, &exec.env);
        let mut reply = self
            .request(Kind::Exec, fields, exec.deadline + SLACK)
            .await?;
        let status = reply
            .number(0)
            .context("failed to understand how a program in the guest ended")?;
        let flag = |index: usize| reply.text(index) == Some("1");
        let (timed_out, truncated) = (flag(1), flag(2));
        let (Some(stderr), Some(stdout), 3) =
            (reply.fields.pop(), reply.fields.pop(), reply.fields.len())
        else {
            bail!("failed to understand what a program in the guest wrote");
        };
        Ok(Output {
            exit: exit_of(status, false),
            timed_out,
            truncated,
            stdout,
            stderr,
        })
    }

    /// Starts a server, inside its cgroup from its first instruction, and gives its pid. It leads a process group.
    ///
    /// # Errors
    /// When its cgroup, a limit or its log cannot be made, or it cannot be executed.
    pub async fn spawn(&self, spawn: &Spawn) -> anyhow::Result<i32> {
        let folder = if spawn.folder.is_empty() {
            "/"
        } else {
            &spawn.folder
        };
        let mut fields = vec![
            field(folder),
            field(spawn.cgroup.as_deref().unwrap_or_default()),
            field(spawn.limits.len()),
        ];
        pairs(&mut fields, &spawn.limits);
        fields.push(field(&spawn.log));
        counted(&mut fields, &spawn.argv);
        pairs(&mut fields, &spawn.env);
        let reply = self.short(Kind::Spawn, fields).await?;
        reply
            .number(0)
            .context("failed to understand a pid from the guest")
    }

    /// Sends a signal to a server. None is an error when it has ended already.
    ///
    /// # Errors
    /// When it was not started by this agent.
    pub async fn kill(&self, pid: i32, signal: i32) -> anyhow::Result<()> {
        self.short(Kind::Kill, vec![field(signal), field(pid)])
            .await
            .map(drop)
    }

    /// Sends a signal to a server's process group.
    ///
    /// # Errors
    /// As [`Self::kill`].
    pub async fn kill_group(&self, pid: i32, signal: i32) -> anyhow::Result<()> {
        self.kill(-pid, signal).await
    }

    /// The state of a server.
    ///
    /// # Errors
    /// When it was not started by this agent.
    pub async fn status(&self, pid: i32) -> anyhow::Result<Status> {
        let reply = self.short(Kind::Status, vec![field(pid)]).await?;
        let oom_kills = reply.number(1);
        let exit = match reply.text(0) {
            Some("") => None,
            _ => {
                let status = reply
                    .number(0)
                    .context("failed to understand the state of a server in the guest")?;
                Some(exit_of(status, oom_kills.unwrap_or(0) > 0))
            }
        };
        Ok(Status { exit, oom_kills })
    }

    /// Waits until a server ends, however long that takes.
    ///
    /// # Errors
    /// When it was not started by this agent, or the machine ends first.
    pub async fn ended(&self, pid: i32) -> anyhow::Result<Exit> {
        let mut events = self.events();
        loop {
            // Listening first, then asking: no end falls between. Asked again now and then, since an event can be lost.
            if let Some(exit) = self.status(pid).await?.exit {
                return Ok(exit);
            }
            let end = async {
                while let Ok(event) = events.recv().await {
                    if matches!(event, Event::Exited { pid: other, .. } if other == pid) {
                        break;
                    }
                }
            };
            tokio::select! {
                () = end => {}
                () = self.closed() => bail!("failed to wait for a server in the guest: the machine ended first"),
                () = tokio::time::sleep(Duration::from_secs(10)) => {}
            }
        }
    }

    /// Resident and proportional set sizes of a server's processes: dear, so not for a loop.
    ///
    /// # Errors
    /// When the server was not started by this agent.
    pub async fn processes(&self, pid: i32) -> anyhow::Result<Vec<ProcessMemory>> {
        let reply = self.short(Kind::Processes, vec![field(pid)]).await?;
        let kilobytes = |index: usize| {
            reply
                .number::<u64>(index)
                .and_then(|value| value.checked_mul(1024))
        };
        let each = (0..reply.fields.len() / 4)
            .map(|index| 4 * index)
            .filter_map(|at| {
                Some(ProcessMemory {
                    pid: reply.number(at)?,
                    name: crate::text::tame(reply.text(at + 1)?),
                    // A kernel thread has none.
                    rss_bytes: kilobytes(at + 2)?,
                    pss_bytes: kilobytes(at + 3),
                })
            });
        Ok(each.collect())
    }

    /// Writes a file; it gets its name when it is whole. Its folder must exist.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put(&self, path: &str, mode: u32, content: &[u8]) -> anyhow::Result<()> {
        let mut at = 0;
        loop {
            let part = &content[at..content.len().min(at + PART)];
            let last = at + part.len() == content.len();
            let fields = vec![
                field(path),
                field(mode),
                field(at),
                field(u8::from(last)),
                part.to_vec(),
            ];
            self.short(Kind::Put, fields).await?;
            at += part.len();
            if last {
                return Ok(());
            }
        }
    }

    /// Reads a file; also one of `/proc`.
    ///
    /// # Errors
    /// When it cannot be read, or has more than `most` bytes.
    pub async fn get(&self, path: &str, most: usize) -> anyhow::Result<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let fields = vec![field(path), field(content.len()), field(PART)];
            let reply = self.short(Kind::Get, fields).await?;
            let (Some(end), Some(part)) = (reply.text(0), reply.fields.get(1)) else {
                bail!("failed to understand a file from the guest");
            };
            content.extend_from_slice(part);
            if content.len() > most {
                bail!("failed to read {path} in the guest: it has more than {most} bytes");
            }
            if end == "1" {
                return Ok(content);
            }
            if part.is_empty() {
                bail!("failed to read {path} in the guest: the agent sends nothing and no end");
            }
        }
    }

    /// The kernel's boot id: another one is another boot.
    ///
    /// # Errors
    /// As any request.
    pub async fn boot_id(&self) -> anyhow::Result<String> {
        Ok(self.hello().await?.boot_id)
    }

    /// Sets the guest's clock, which stands still in a snapshot.
    ///
    /// # Errors
    /// As any request.
    pub async fn set_clock(&self, to: SystemTime) -> anyhow::Result<()> {
        let since = to
            .duration_since(SystemTime::UNIX_EPOCH)
            .context("failed to set the guest's clock")?;
        self.short(
            Kind::Clock,
            vec![field(since.as_secs()), field(since.subsec_nanos())],
        )
        .await
        .map(drop)
    }

    /// Syncs the disks, powers the machine off, and waits until its port is closed.
    ///
    /// # Errors
    /// When the machine is still there after `within`.
    pub async fn power_off(&self, within: Duration) -> anyhow::Result<()> {
        let asking = self.request(Kind::PowerOff, Vec::new(), within);
        tokio::select! {
            () = self.closed() => Ok(()),
            reply = asking => {
                // The end of the port is told as an error of the request, too.
                match tokio::time::timeout(Duration::from_secs(1), self.closed()).await {
                    Ok(()) => Ok(()),
                    Err(_) => bail!("failed to power the guest off: {}", reply.map_or_else(|error| format!("{error:#}"), |_| "it replied and went on".into())),
                }
            }
        }
    }
}
