//! Hostile text: what comes from the device under test is capped, stripped of control characters, and its
//! secrets are redacted before it enters the journal.

pub use crate::redact::{redact, redact_words};

/// Lines of a log's end that are kept.
const TAIL_LINES: usize = 30;
/// Characters of a line that are kept.
const LINE_CHARS: usize = 400;
/// Bytes of a log's end that are looked at.
const TAIL_BYTES: u64 = 64 * 1024;

/// The last lines of a log file, safe to show. An unreadable log is an empty one.
#[must_use]
pub fn log_tail(path: &std::path::Path) -> String {
    let bytes = tail_bytes(path, TAIL_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<&str> = text.lines().collect();
    // Half a line could be half a token, which nothing would recognise.
    if bytes.len() as u64 == TAIL_BYTES {
        lines.drain(..lines.len().min(1));
    }
    let lines = without_keys(&lines);
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines[from..]
        .iter()
        .map(|line| tame(line))
        .collect::<Vec<_>>()
        .join("\n")
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
        let tail = log_tail(&path);
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("line 99"));
        assert_eq!(log_tail(&folder.path().join("none")), "");
        // A line that began before what is looked at is left out.
        fs_err::write(&path, format!("{}\nend\n", "x".repeat(100_000))).unwrap();
        assert_eq!(log_tail(&path), "end");
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
