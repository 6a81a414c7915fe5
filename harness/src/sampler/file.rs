//! A file that stays open and is read from its beginning each time, and parsing without allocation.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Holds the longest file that is read: `memory.stat` is about 2 KiB, `io.stat` 100 bytes a device.
pub(super) struct Buffer(Box<[u8; 16 * 1024]>);

impl Buffer {
    pub fn new() -> Self {
        Self(Box::new([0; 16 * 1024]))
    }
}

/// An open file of the kernel's.
pub(super) struct Source(File);

impl Source {
    pub fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("failed to open {} ({error})", path.display()),
            )
        })
    }

    /// Opens a file that not every kernel has.
    pub fn optional(path: &Path) -> Option<Self> {
        File::open(path).ok().map(Self)
    }

    /// Reads it anew. Such files are generated at the read at offset 0, in one piece.
    pub fn read<'a>(&self, buffer: &'a mut Buffer) -> io::Result<&'a [u8]> {
        let count = self.0.read_at(&mut buffer.0[..], 0)?;
        Ok(&buffer.0[..count])
    }

    /// Reads a file that holds one number; anything else is an error, and never a figure.
    pub fn number(&self, buffer: &mut Buffer) -> io::Result<u64> {
        number(self.read(buffer)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// The decimal number at the beginning of a text. Saturates.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = text[..digits].iter().fold(0, |value: u64, byte| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(byte - b'0'))
    });
    (digits > 0).then_some(number)
}

/// Calls back with each line's `key` and the number after the space; lines without are passed over.
pub(super) fn keyed(text: &[u8], mut each: impl FnMut(&[u8], u64)) {
    for line in text.split(|byte| *byte == b'\n') {
        if let Some(space) = line.iter().position(|byte| *byte == b' ')
            && let Some(value) = number(&line[space + 1..])
        {
            each(&line[..space], value);
        }
    }
}

/// `total=` of the line `some` of a pressure file: cumulative microseconds (Documentation/accounting/psi.rst).
pub(super) fn pressure_some(text: &[u8]) -> Option<u64> {
    let line = text
        .split(|byte| *byte == b'\n')
        .find(|line| line.starts_with(b"some "))?;
    let field = line
        .split(|byte| *byte == b' ')
        .find_map(|field| field.strip_prefix(b"total="))?;
    number(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_keys_are_read_and_nonsense_is_none() {
        assert_eq!(number(b"4096\n"), Some(4096));
        assert_eq!(number(b"99999999999999999999999"), Some(u64::MAX));
        for nonsense in ["", "max", "-1"] {
            assert_eq!(number(nonsense.as_bytes()), None);
        }
        let mut seen = Vec::new();
        keyed(b"a 1\nno-value\nb x\n\n a 3", |key, value| {
            seen.push((key.to_vec(), value));
        });
        assert_eq!(seen, [(b"a".to_vec(), 1)]);
    }

    #[test]
    fn pressure_is_the_cumulative_some() {
        let text =
            b"some avg10=1.55 avg60=38.08 avg300=52.73 total=591412505\nfull avg10=0.00 total=7\n";
        assert_eq!(pressure_some(text), Some(591_412_505));
        assert_eq!(pressure_some(b"full avg10=0 total=7\n"), None);
    }
}
