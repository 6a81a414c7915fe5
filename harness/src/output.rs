//! Writing to the terminal or pipe that somebody may have closed.
//!
//! `println!` and `eprintln!` panic when a reader has gone (`assay suite all | head`); a run must then go on to
//! its end, clean up and write its report.

use std::io::Write;

/// Writes to standard output. A reader that has gone, or a full disk behind it, is no reason to end a run.
pub fn stdout(text: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

/// Writes one line to standard error, where everything goes that is not the result.
pub fn stderr_line(line: impl std::fmt::Display) {
    // One write, so that lines of several threads or processes do not mix.
    let _ = std::io::stderr()
        .lock()
        .write_all(format!("{line}\n").as_bytes());
}
