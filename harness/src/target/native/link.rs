//! assay's end of the keeper: its process, the orders to it, and what it tells.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};

use super::protocol::{Order, Setup, Told, line, read};
use crate::cgroup::{Cgroup, Counters};
use crate::target::Exit;

/// How long the keeper may take for one step. Each takes milliseconds; a loaded machine gets a thousandfold.
const STEP_WITHIN: Duration = Duration::from_secs(30);

/// The keeper's process and the pipes to it. Dropping it closes them, upon which it kills the server.
pub(super) struct Keeper {
    pub child: Child,
    pub pid: i32,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// Why there are no namespaces, where the kernel refused them.
    pub refusal: Option<String>,
}

impl Keeper {
    pub async fn start(helper: &Path, setup: &Setup) -> Result<Self> {
        let mut child = Command::new(helper)
            .arg(super::KEEPER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A Ctrl-C at the terminal is for assay, which then ends the server in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("failed to start the keeper {}", helper.display()))?;
        let (Some(stdin), Some(stdout), Some(pid)) =
            (child.stdin.take(), child.stdout.take(), child.id())
        else {
            bail!("failed to start the keeper: it has no pipes; report this as a bug");
        };
        let mut keeper = Self {
            child,
            pid: pid.cast_signed(),
            stdin,
            lines: BufReader::new(stdout).lines(),
            refusal: None,
        };
        say(&mut keeper.stdin, &line(setup)).await?;
        match keeper.hear().await? {
            Told::Ready => {}
            Told::Refused { reason } => keeper.refusal = Some(reason),
            Told::Failed { reason } => bail!("failed to {reason}"),
            other => bail!("failed to start the keeper: it said {other:?}; report this as a bug"),
        }
        Ok(keeper)
    }

    pub async fn order(&mut self, order: &Order) -> Result<()> {
        say(&mut self.stdin, &line(order)).await
    }

    /// The keeper's next line.
    pub async fn hear(&mut self) -> Result<Told> {
        let line = tokio::time::timeout(STEP_WITHIN, self.lines.next_line())
            .await
            .map_err(|_| anyhow!("failed to hear from the keeper within {STEP_WITHIN:?}"))?
            .context("failed to hear from the keeper")?
            .context("failed to hear from the keeper: it has ended; look at `dmesg` for why")?;
        read(&line).map_err(|reason| anyhow!("failed to {reason}"))
    }

    /// From here on what it tells is listened to all the time.
    pub fn listen(self, cgroup: Option<Cgroup>) -> (Child, Link, Arc<Ends>) {
        let (answer, answers) = mpsc::unbounded_channel();
        let ends = Arc::new(Ends::new(cgroup));
        let (mut lines, listener) = (self.lines, ends.clone());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                match read(&line) {
                    Ok(Told::Exited { code, signal }) => listener.ended(code, signal),
                    // Nobody waits any more when the cluster was dropped.
                    Ok(told) => drop(answer.send(told)),
                    Err(_) => {}
                }
            }
            // Should the keeper be killed, the server dies with it and nobody knows its exit status.
            listener.keeper_gone();
        });
        let stdin = self.stdin;
        (self.child, Link { stdin, answers }, ends)
    }
}

async fn say(stdin: &mut ChildStdin, line: &str) -> Result<()> {
    stdin
        .write_all(line.as_bytes())
        .await
        .context("failed to instruct the keeper: it has ended; look at `dmesg` for why")
}

/// Orders to a keeper that is listened to. Dropping it ends the keeper.
pub(super) struct Link {
    stdin: ChildStdin,
    answers: mpsc::UnboundedReceiver<Told>,
}

impl Link {
    /// Gives an order that is answered.
    pub async fn ask(&mut self, order: &Order) -> Result<Told> {
        // What nobody waited for any more is no answer to this.
        while self.answers.try_recv().is_ok() {}
        self.tell(order).await?;
        tokio::time::timeout(STEP_WITHIN, self.answers.recv())
            .await
            .map_err(|_| anyhow!("failed to hear from the keeper within {STEP_WITHIN:?}"))?
            .context("failed to hear from the keeper: it has ended; look at `dmesg` for why")
    }

    /// Gives an order that is answered by the server's end alone.
    pub async fn tell(&mut self, order: &Order) -> Result<()> {
        say(&mut self.stdin, &line(order)).await
    }
}

/// How servers end, and who is told.
pub(super) struct Ends {
    cgroup: Option<Cgroup>,
    /// The end that ends the run.
    final_end: watch::Sender<Option<Exit>>,
    /// The present server's end, whoever wanted it.
    down: watch::Sender<Option<Exit>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The next end is wanted.
    asked: bool,
    /// Ends are part of a fault.
    excused: bool,
    /// What the kernel counted of faults.
    allowed: Counters,
}

impl Ends {
    fn new(cgroup: Option<Cgroup>) -> Self {
        Self {
            cgroup,
            final_end: watch::channel(None).0,
            down: watch::channel(None).0,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, code: Option<i32>, signal: Option<i32>) {
        let kills = self.cgroup.as_ref().and_then(|c| c.counters().oom_kills);
        let mut state = self.state();
        let counted = kills.unwrap_or(0) > state.allowed.oom_kills.unwrap_or(0);
        let exit = Exit::new(code, signal, counted);
        let wanted = std::mem::take(&mut state.asked) || state.excused;
        drop(state);
        if !wanted {
            self.final_end.send_replace(Some(exit.clone()));
        }
        self.down.send_replace(Some(exit));
    }

    fn keeper_gone(&self) {
        let known = self.down().or_else(|| self.final_end.borrow().clone());
        let exit = known.unwrap_or(Exit::new(None, None, false));
        self.down.send_replace(Some(exit.clone()));
        self.final_end
            .send_if_modified(|told| told.is_none().then(|| *told = Some(exit)).is_some());
    }

    /// Tells of the end that ends the run.
    pub fn final_end(&self) -> watch::Receiver<Option<Exit>> {
        self.final_end.subscribe()
    }

    /// The present server's end, if it has ended.
    pub fn down(&self) -> Option<Exit> {
        self.down.borrow().clone()
    }

    /// The next end is asked for. `false` takes that back; gives what was so before.
    pub fn ask(&self, asked: bool) -> bool {
        std::mem::replace(&mut self.state().asked, asked)
    }

    /// The present server's end, if it comes in time.
    pub async fn down_within(&self, time: Duration) -> Option<Exit> {
        let mut down = self.down.subscribe();
        let ended = tokio::time::timeout(time, down.wait_for(Option::is_some));
        ended.await.ok()?.ok()?.clone()
    }

    /// Another server is about to be started.
    pub fn up(&self) {
        self.down.send_replace(None);
    }

    pub fn excuse(&self, excused: bool) {
        self.state().excused = excused;
        if let (false, Some(exit)) = (excused, self.down()) {
            self.give_up(exit);
        }
    }

    pub fn is_excused(&self) -> bool {
        self.state().excused
    }

    /// The server is down and stays so.
    pub fn give_up(&self, exit: Exit) {
        self.final_end.send_replace(Some(exit));
    }

    /// What the kernel counted of faults, which no evidence is to show.
    pub fn allowed(&self) -> Counters {
        self.state().allowed
    }

    /// Adds to it.
    pub fn allow(&self, oom_kills: u64, limit_hits: u64) {
        let allowed = &mut self.state().allowed;
        allowed.oom_kills = Some(allowed.oom_kills.unwrap_or(0) + oom_kills);
        allowed.limit_hits += limit_hits;
    }
}
