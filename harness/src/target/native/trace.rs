//! A server under strace, which delays its fsyncs and tells of each. strace runs as a grandchild of the server
//! (`-DDD`), so that the server is the same process that it is otherwise: the first of its cell, ended by the same
//! signals. Only the calls that it is about stop there (`--seccomp-bpf`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::protocol::Go;
use crate::target::Syncs;

const CALLS: &str = "fsync,fdatasync";

/// The same server under strace, which writes to `log`.
///
/// # Errors
/// When there is no strace.
pub(super) fn wrap(plain: &Go, delay: Duration, log: &Path) -> Result<Go> {
    let strace = crate::host::on_path("strace").context(
        "failed to slow fsyncs down: strace is not on PATH; install it: `apt-get install strace`",
    )?;
    let mut args: Vec<String> = ["-DDD", "-f", "--seccomp-bpf", "-qq", "-ttt", "-T"]
        .map(str::to_owned)
        .to_vec();
    args.extend(["-e".into(), "signal=none".into()]);
    args.extend(["-e".into(), format!("trace={CALLS}")]);
    if !delay.is_zero() {
        let micros = delay.as_micros();
        args.extend(["-e".into(), format!("inject={CALLS}:delay_enter={micros}")]);
    }
    args.extend(["-o".into(), log.display().to_string(), "--".into()]);
    args.push(plain.program.display().to_string());
    args.extend(plain.args.iter().cloned());
    Ok(Go {
        arg0: PathBuf::from("strace"),
        program: strace.canonicalize().context("failed to find strace")?,
        args,
        ..plain.clone()
    })
}

/// The calls that a trace tells of so far.
///
/// # Errors
/// When it cannot be read.
pub(super) fn syncs(log: &Path) -> Result<Syncs> {
    let text = fs_err::read(log).context("failed to read the trace of fsyncs")?;
    Ok(parse(&String::from_utf8_lossy(&text)))
}

/// A call is one line, or two (`<unfinished ...>` and `<... fsync resumed>`): the one with its answer and its time counts.
fn parse(text: &str) -> Syncs {
    let mut syncs = Syncs::default();
    for line in text.lines() {
        let answered = line
            .rsplit_once(" = ")
            .filter(|(call, _)| call.contains("sync"));
        let Some((_, answer)) = answered else {
            continue;
        };
        let time = answer
            .rsplit_once('<')
            .and_then(|(_, time)| time.strip_suffix('>'))
            .and_then(|time| time.parse::<f64>().ok());
        let Some(seconds) = time else {
            continue;
        };
        syncs.calls += 1;
        syncs.delayed += u64::from(answer.contains("(DELAYED)"));
        syncs.took_us.push((seconds * 1e6).round() as u64);
    }
    syncs.took_us.sort_unstable();
    syncs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answered_call_counts_once_whatever_came_between() {
        let text = "7     1795396771.012672 fdatasync(3)    = 0 (DELAYED) <0.050924>\n\
                    7     1795396771.063789 fsync(3 <unfinished ...>\n\
                    8     1795396771.063790 fdatasync(9)    = -1 EIO (Input/output error) <0.000100>\n\
                    7     1795396771.114390 <... fsync resumed>) = 0 (DELAYED) <0.050474>\n\
                    9     1795396771.2 fsync(3)          = ? <unavailable>\n\
                    7     1795396771.3 fdatas";
        let syncs = parse(text);
        assert_eq!((syncs.calls, syncs.delayed), (3, 2));
        assert_eq!(syncs.took_us, [100, 50_474, 50_924]);
        assert_eq!(parse(""), Syncs::default());
    }
}
