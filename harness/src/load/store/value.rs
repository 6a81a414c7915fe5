//! Values: their id and their length in front, then padding that every value shares.
//!
//! A value that was read is known only if every byte of it is as its writer wrote it; anything else has the id 0, which
//! no client writes.

use std::sync::OnceLock;

use reports::history::ValueId;

/// `0123456789abcdef:00000400:`, the id and the length in hexadecimal digits.
const HEAD: usize = 16 + 1 + 8 + 1;
/// The longest value, and that of the padding: etcd takes requests of at most 1.5 MiB.
pub const LONGEST: usize = 3 << 19;

/// Printable and without long repeats, so that no layer compresses it away.
fn padding() -> &'static [u8] {
    static PADDING: OnceLock<Vec<u8>> = OnceLock::new();
    PADDING.get_or_init(|| {
        let letter = |n: u64| b'a' + (super::super::workload::mixed(n) % 26) as u8;
        (0..LONGEST as u64).map(letter).collect()
    })
}

/// A value of `bytes` bytes, at least as many as its head takes and at most [`LONGEST`].
pub fn write(id: ValueId, bytes: usize) -> Vec<u8> {
    let bytes = bytes.clamp(HEAD, LONGEST);
    let mut value = Vec::with_capacity(bytes);
    value.extend_from_slice(&front(id, bytes));
    value.extend_from_slice(&padding()[..bytes - HEAD]);
    value
}

/// The id of a value, or 0 when no client can have written it.
pub fn read(value: &[u8]) -> ValueId {
    let parse = || {
        let head = std::str::from_utf8(value.get(..HEAD)?).ok()?;
        let id = ValueId::from_str_radix(head.get(..16)?, 16).ok()?;
        let length = usize::from_str_radix(head.get(17..25)?, 16).ok()?;
        let whole = length == value.len() && length <= LONGEST;
        let as_written = || head.as_bytes() == front(id, length);
        (whole && as_written() && value[HEAD..] == padding()[..length - HEAD]).then_some(id)
    };
    parse().unwrap_or(0)
}

fn front(id: ValueId, bytes: usize) -> [u8; HEAD] {
    let mut front = [b':'; HEAD];
    hex(&mut front[..16], id);
    hex(&mut front[17..25], bytes as u64);
    front
}

/// A number in as many digits as there is room for.
fn hex(to: &mut [u8], number: u64) {
    for (digit, place) in to.iter_mut().rev().enumerate() {
        *place = b"0123456789abcdef"[(number >> (4 * digit)) as usize & 15];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_known_only_whole() {
        for (id, bytes) in [(1, 0), (77, 256), (u64::MAX, 4096)] {
            let value = write(id, bytes);
            assert_eq!(value.len(), bytes.max(HEAD));
            assert_eq!(read(&value), id);
            assert_eq!(read(&value[..value.len() - 1]), 0);
            let mut torn = value.clone();
            *torn.last_mut().unwrap() ^= 1;
            assert_eq!(read(&torn), 0);
        }
        assert_eq!(read(b""), 0);
        assert_eq!(read(b"something that another wrote, and long"), 0);
    }
}
