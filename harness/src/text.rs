//! Hostile text: what comes from the device under test is capped, stripped of control characters, and its
//! secrets are redacted before it enters the journal.

/// Lines of a log's end that are kept.
const TAIL_LINES: usize = 30;
/// Characters of a line that are kept.
const LINE_CHARS: usize = 400;

/// The last lines of a log file, safe to show. An unreadable log is an empty one.
#[must_use]
pub fn log_tail(path: &std::path::Path) -> String {
    let bytes = tail_bytes(path, 64 * 1024).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines[from..]
        .iter()
        .map(|line| tame(line))
        .collect::<Vec<_>>()
        .join("\n")
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
        let tail = log_tail(&path);
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("line 99"));
        assert_eq!(log_tail(&folder.path().join("none")), "");
    }
}
