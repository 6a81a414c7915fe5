//! Hostile text: what comes from the device under test is capped, stripped of control characters, and its
//! secrets are redacted before it enters the journal.

pub use crate::redact::{redact, redact_pairs, redact_words};

/// Lines of a log's end that are kept.
const TAIL_LINES: usize = 30;
/// Bytes of a log's end that are searched: a dump of all goroutines fits in.
const LOG_BYTES: u64 = 8 * 1024 * 1024;
/// Characters of a line that are kept.
const LINE_CHARS: usize = 400;

/// What a server said at its end, safe to show: the lines up to the one with which it gave up, or else the
/// last ones. An unreadable log is an empty one.
#[must_use]
pub fn last_words(path: &std::path::Path) -> String {
    let bytes = tail_bytes(path, LOG_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<&str> = text.lines().collect();
    // Half a line could be half a token, which nothing would recognise.
    if bytes.len() as u64 == LOG_BYTES {
        lines.drain(..lines.len().min(1));
    }
    let lines = without_keys(&lines);
    // A Go program dumps every goroutine after its fatal line: tens of thousands of lines that tell nothing.
    let end = lines
        .iter()
        .rposition(|line| is_fatal(line))
        .map_or(lines.len(), |fatal| fatal + 1);
    let from = end.saturating_sub(TAIL_LINES);
    lines[from..end]
        .iter()
        .map(|line| tame(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// klog's `F0102 15:04:05`, logrus's `level=fatal`, and what the Go runtime prints.
fn is_fatal(line: &str) -> bool {
    let klog = line
        .strip_prefix('F')
        .is_some_and(|rest| rest.bytes().take_while(u8::is_ascii_digit).count() == 4);
    klog || line.contains("level=fatal")
        || line.starts_with("panic: ")
        || line.starts_with("fatal error: ")
}

/// Leaves out the lines of private keys in PEM, also of one whose beginning was cut off.
fn without_keys<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut kept: Vec<&str> = Vec::with_capacity(lines.len());
    let mut inside = false;
    for line in lines {
        let marks = |mark: &str| line.contains(mark) && line.contains("PRIVATE KEY");
        if marks("-----BEGIN") {
            inside = !marks("-----END");
            kept.push("[private key redacted]");
        } else if marks("-----END") {
            if !inside {
                kept.clear();
                kept.push("[private key redacted]");
            }
            inside = false;
        } else if !inside {
            kept.push(line);
        }
    }
    kept
}

fn tail_bytes(path: &std::path::Path, most: u64) -> std::io::Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = fs_err::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One line, capped, without control characters, secrets redacted.
#[must_use]
pub fn tame(line: &str) -> String {
    let visible: String = line
        .chars()
        .filter(|c| *c == '\t' || !(c.is_control() || reorders(*c)))
        .collect();
    // Cut last, so that no secret loses the part by which it is recognised.
    redact(&visible).chars().take(LINE_CHARS).collect()
}

/// Unicode's bidirectional controls (UAX 9), with which text can be made to look like another.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_length_are_tamed() {
        assert_eq!(tame("\u{1b}[31mred\u{7}"), "[31mred");
        assert_eq!(tame("a\u{202e}b"), "ab");
        assert_eq!(tame(&"x".repeat(1000)).len(), LINE_CHARS);
    }

    #[test]
    fn only_the_end_of_a_log_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs_err::write(
            &path,
            (0..100).map(|n| format!("line {n}\n")).collect::<String>(),
        )
        .unwrap();
        let tail = last_words(&path);
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("line 99"));
        assert_eq!(last_words(&folder.path().join("none")), "");
    }

    #[test]
    fn the_fatal_line_is_kept_and_the_dump_behind_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let dump = "goroutine 1 [running]:\nmain.main()\n".repeat(1000);
        fs_err::write(
            &path,
            format!("up\nF1122 16:25:22.5 1 leaderelection lost\n{dump}"),
        )
        .unwrap();
        assert_eq!(
            last_words(&path),
            "up\nF1122 16:25:22.5 1 leaderelection lost"
        );
    }

    #[test]
    fn private_keys_are_left_out_whole_or_cut() {
        let (begin, end) = (
            "-----BEGIN EC PRIVATE KEY-----",
            "-----END EC PRIVATE KEY-----",
        );
        let gone = "[private key redacted]";
        assert_eq!(without_keys(&["a", begin, "x", end, "b"]), ["a", gone, "b"]);
        assert_eq!(without_keys(&["x", end, "b"]), [gone, "b"]);
        assert_eq!(without_keys(&["a", begin, "x"]), ["a", gone]);
        let both = format!("{begin} x {end}");
        assert_eq!(without_keys(&["a", &both, "b"]), ["a", gone, "b"]);
    }
}
