//! Writing tar archives: the few kinds of entry that an image's layer has, in the format ustar (POSIX.1-1988),
//! which every engine reads.
//!
//! Nothing of this machine gets in: no owner but root, no time but 0. The same files give the same bytes, so
//! that an image's digest is that of its content.

use std::io::{self, Read, Write};

const BLOCK: usize = 512;
/// The longest name that the header's two fields can hold, where a `/` allows the split.
const NAME: usize = 100;
const PREFIX: usize = 155;

/// A writer of a tar archive. [`Tar::finish`] must be called last, for an archive without its end is torn.
pub struct Tar<W: Write> {
    out: W,
}

impl<W: Write> Tar<W> {
    /// Begins an archive.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Adds a folder; `path` is relative, without a `/` at its end.
    ///
    /// # Errors
    /// When writing fails, or when the path is too long for the format.
    pub fn folder(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.header(&format!("{path}/"), b'5', mode, 0, "")
    }

    /// Adds a file whose content is at hand.
    ///
    /// # Errors
    /// As for [`Tar::folder`].
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.stream(path, mode, content.len() as u64, content)
    }

    /// Adds a file of exactly `size` bytes.
    ///
    /// # Errors
    /// As for [`Tar::folder`]; also when `content` ends early, as a file that is being cut meanwhile does.
    pub fn stream(
        &mut self,
        path: &str,
        mode: u32,
        size: u64,
        content: impl Read,
    ) -> io::Result<()> {
        self.header(path, b'0', mode, size, "")?;
        if io::copy(&mut content.take(size), &mut self.out)? != size {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{path} became shorter while it was read"),
            ));
        }
        self.pad(size)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// As for [`Tar::folder`]; also when the link's target is longer than 100 bytes.
    pub fn link(&mut self, path: &str, to: &str) -> io::Result<()> {
        self.header(path, b'2', 0o777, 0, to)
    }

    /// Ends the archive and gives the writer back.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        if over > 0 {
            self.out.write_all(&[0; BLOCK][over..])?;
        }
        Ok(())
    }

    fn header(&mut self, path: &str, kind: u8, mode: u32, size: u64, link: &str) -> io::Result<()> {
        let (prefix, name) = split(path).ok_or_else(|| too_long(path))?;
        if link.len() > NAME {
            return Err(too_long(link));
        }
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| {
            block[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(0, name.as_bytes());
        put(100, format!("{mode:07o}").as_bytes());
        put(108, b"0000000"); // owner
        put(116, b"0000000"); // group
        put(124, format!("{size:011o}").as_bytes());
        put(136, b"00000000000"); // time
        put(148, b"        "); // the sum counts its own field as blanks
        put(156, &[kind]);
        put(157, link.as_bytes());
        put(257, b"ustar\x0000");
        put(265, b"root");
        put(297, b"root");
        put(345, prefix.as_bytes());
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.out.write_all(&block)
    }
}

fn too_long(path: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{path} is too long a name for a tar archive"),
    )
}

/// The prefix and the name whose joint by `/` is the path.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= NAME {
        return Some(("", path));
    }
    path.match_indices('/')
        .map(|(at, _)| (&path[..at], &path[at + 1..]))
        .find(|(prefix, name)| prefix.len() <= PREFIX && name.len() <= NAME && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut tar = Tar::new(Vec::new());
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(90));
        tar.folder("etc", 0o755).unwrap();
        tar.file("etc/passwd", 0o644, b"root:x:0:0::/root:/bin/false\n")
            .unwrap();
        tar.link("run2", "run").unwrap();
        tar.file(&long, 0o755, &[7; 1024]).unwrap();
        tar.finish().unwrap()
    }

    #[test]
    fn the_system_s_tar_reads_it_as_it_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.tar");
        std::fs::write(&file, sample()).unwrap();
        let listed = std::process::Command::new("tar")
            .args(["--numeric-owner", "-tvf"])
            .arg(&file)
            .env("TZ", "UTC")
            .output()
            .unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        assert!(
            listed.status.success() && listed.stderr.is_empty(),
            "{text}"
        );
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].starts_with("drwxr-xr-x 0/0"), "{text}");
        assert!(
            lines[1].contains(" 29 1970-01-01 00:00 etc/passwd"),
            "{text}"
        );
        assert!(lines[2].ends_with("run2 -> run"), "{text}");
        assert!(
            lines[3].contains("ddd/fff") && lines[3].contains(" 1024 "),
            "{text}"
        );
    }

    #[test]
    fn the_same_files_give_the_same_bytes_and_whole_blocks() {
        assert_eq!(sample(), sample());
        assert_eq!(sample().len() % BLOCK, 0);
    }

    #[test]
    fn what_the_format_cannot_hold_is_an_error() {
        let mut tar = Tar::new(Vec::new());
        assert!(tar.file(&"x".repeat(101), 0o644, b"").is_err());
        assert!(tar.link("a", &"x".repeat(101)).is_err());
        let short = tar.stream("a", 0o644, 10, &b"cut"[..]).unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
    }
}
