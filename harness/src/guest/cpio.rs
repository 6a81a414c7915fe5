//! A newc cpio archive, the kernel's format of an initramfs, written without root and the same each time.

/// Writes an archive: everything belongs to root, and no time is in it.
pub(super) struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;
const DEVICE: u32 = 0o020_000;

impl Cpio {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            entries: 0,
        }
    }

    /// A folder; its parent comes first.
    pub(super) fn folder(&mut self, path: &str) {
        self.entry(path, FOLDER, (0, 0), &[]);
    }

    /// A file with its permission bits.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entry(path, FILE | mode, (0, 0), content);
    }

    /// A character device, which only the archive can make without root.
    pub(super) fn device(&mut self, path: &str, mode: u32, major: u32, minor: u32) {
        self.entry(path, DEVICE | mode, (major, minor), &[]);
    }

    /// The archive with its end mark.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.header(0, 0, 1, (0, 0), 0, "TRAILER!!!");
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let links = if mode == FOLDER { 2 } else { 1 };
        self.header(self.entries, mode, links, device, content.len(), path);
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn header(
        &mut self,
        inode: u32,
        mode: u32,
        links: u32,
        device: (u32, u32),
        size: usize,
        path: &str,
    ) {
        self.bytes.extend_from_slice(b"070701");
        let name = path.len() + 1;
        // inode, mode, owner, group, links, time, size, device's two, rdev's two, length of the name, check
        let fields = [
            inode,
            mode,
            0,
            0,
            links,
            0,
            size as u32,
            0,
            0,
            device.0,
            device.1,
            name as u32,
            0,
        ];
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
    }

    fn pad(&mut self) {
        let length = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(length, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut cpio = Cpio::new();
        cpio.folder("bin");
        cpio.file("bin/sh", 0o755, b"12345");
        cpio.device("console", 0o600, 5, 1);
        cpio.finish()
    }

    #[test]
    fn the_layout_is_newc() {
        let bytes = archive();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(&bytes[..14], b"07070100000001");
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            text.contains("000081ED") && text.contains("000041ED") && text.contains("00002180")
        );
        assert_eq!(text.matches("070701").count(), 4);
        assert!(text.contains("TRAILER!!!"));
        assert_eq!(bytes, archive(), "it is the same each time");
    }
}
