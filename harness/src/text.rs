//! Hostile text: what comes from the device under test is capped, stripped of control characters, and its
//! secrets are redacted before it enters the journal.

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
    let lines: Vec<&str> = text.lines().collect();
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
        .filter(|c| *c == '\t' || !c.is_control())
        .take(LINE_CHARS)
        .collect();
    redact(&visible)
}

/// Replaces K3s tokens (`K10<hash>::server:<password>`), bearer tokens and `--token` values.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut words = Vec::new();
    let mut secret_follows = false;
    for word in text.split(' ') {
        let lower = word.to_ascii_lowercase();
        if secret_follows && !word.is_empty() {
            words.push("[redacted]".to_owned());
            secret_follows = false;
        } else if let Some((key, _)) = word.split_once('=').filter(|(key, _)| is_secret_key(key)) {
            words.push(format!("{key}=[redacted]"));
        } else if let Some(start) = word.find("K10").filter(|_| word.contains("::")) {
            words.push(format!("{}[redacted]", &word[..start]));
        } else {
            secret_follows = matches!(lower.as_str(), "bearer" | "--token" | "--agent-token");
            words.push(word.to_owned());
        }
    }
    words.join(" ")
}

fn is_secret_key(key: &str) -> bool {
    let key = key.trim_start_matches('-').to_ascii_lowercase();
    matches!(
        key.as_str(),
        "token" | "agent-token" | "k3s_token" | "password" | "secret"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_pass() {
        assert_eq!(
            redact("join with K10abc::server:pw now"),
            "join with [redacted] now"
        );
        assert_eq!(
            redact("k3s server --token hunter2 -v"),
            "k3s server --token [redacted] -v"
        );
        assert_eq!(
            redact("Authorization: Bearer abc.def"),
            "Authorization: Bearer [redacted]"
        );
        assert_eq!(redact("--token=hunter2 x"), "--token=[redacted] x");
    }

    #[test]
    fn control_characters_and_length_are_tamed() {
        assert_eq!(tame("\u{1b}[31mred\u{7}"), "[31mred");
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
}
