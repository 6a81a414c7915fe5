//! Just enough ELF to tell, without running it, that a binary is for another machine or was cut short.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use fixtures::artifacts::Arch;

/// What an ELF file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Elf {
    /// `e_machine`.
    pub machine: u16,
    /// 64 or 32.
    pub bits: u8,
    /// The least length that the file must have for its segments, sections and tables to lie within it.
    pub needs: u64,
}

impl Elf {
    /// Whether the kernel of such a machine runs it natively.
    pub(super) fn runs_on(self, arch: Arch) -> bool {
        let wanted = match arch {
            Arch::Amd64 => (62, 64),
            Arch::Arm64 => (183, 64),
            Arch::Arm => (40, 32),
        };
        (self.machine, self.bits) == wanted
    }

    /// The machine in words, for messages.
    pub(super) fn describe(self) -> String {
        match (self.machine, self.bits) {
            (62, 64) => "x86_64 (amd64)".into(),
            (62, _) => "x32".into(),
            (183, _) => "aarch64 (arm64)".into(),
            (40, _) => "32-bit ARM (armhf)".into(),
            (3, _) => "32-bit x86".into(),
            (22, _) => "s390x".into(),
            (243, _) => "RISC-V".into(),
            (21, _) => "POWER".into(),
            (machine, bits) => format!("{bits}-bit ELF machine {machine}"),
        }
    }
}

/// Reads the headers. `None` when the file is no executable ELF.
///
/// # Errors
/// When the file cannot be read; `UnexpectedEof` when it ends within its own headers.
pub(super) fn read(file: &File) -> io::Result<Option<Elf>> {
    let mut ident = [0; 20];
    if file.read_exact_at(&mut ident, 0).is_err() || &ident[..4] != b"\x7fELF" {
        return Ok(None);
    }
    let (wide, big_endian) = match (ident[4], ident[5]) {
        (class @ (1 | 2), data @ (1 | 2)) => (class == 2, data == 2),
        _ => return Ok(None),
    };
    let number = |bytes: &[u8]| {
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if big_endian {
            bytes.iter().fold(0, fold)
        } else {
            bytes.iter().rev().fold(0, fold)
        }
    };
    let kind = number(&ident[16..18]);
    // ET_EXEC or ET_DYN; an object file or a core dump is no program.
    if !matches!(kind, 2 | 3) {
        return Ok(None);
    }
    let mut header = vec![0; if wide { 64 } else { 52 }];
    file.read_exact_at(&mut header, 0)?;
    let field = |wide_at: (usize, usize), narrow_at: (usize, usize)| {
        let (at, size) = if wide { wide_at } else { narrow_at };
        number(&header[at..at + size])
    };
    let segments = Table {
        offset: field((32, 8), (28, 4)),
        entry: field((54, 2), (42, 2)),
        count: field((56, 2), (44, 2)),
    };
    let sections = Table {
        offset: field((40, 8), (32, 4)),
        entry: field((58, 2), (46, 2)),
        count: field((60, 2), (48, 2)),
    };
    let mut needs = 0;
    for entry in segments.entries(file)? {
        let (offset, size) = if wide {
            (&entry[8..16], &entry[32..40])
        } else {
            (&entry[4..8], &entry[16..20])
        };
        needs = needs.max(number(offset).saturating_add(number(size)));
    }
    for entry in sections.entries(file)? {
        const NOBITS: u64 = 8;
        if number(&entry[4..8]) == NOBITS {
            continue;
        }
        let (offset, size) = if wide {
            (&entry[24..32], &entry[32..40])
        } else {
            (&entry[16..20], &entry[20..24])
        };
        needs = needs.max(number(offset).saturating_add(number(size)));
    }
    let machine = u16::try_from(number(&header[18..20])).unwrap_or(0);
    Ok(Some(Elf {
        machine,
        bits: if wide { 64 } else { 32 },
        needs,
    }))
}

struct Table {
    offset: u64,
    entry: u64,
    count: u64,
}

impl Table {
    fn entries(&self, file: &File) -> io::Result<Vec<Vec<u8>>> {
        // The smallest entry of either kind and class is a 32-bit program header. A shorter one is a lie
        // that would send the slices above out of bounds.
        let smallest = 32;
        if self.count == 0 {
            return Ok(Vec::new());
        }
        let entry = usize::try_from(self.entry).unwrap_or(0);
        if entry < smallest {
            return Err(io::ErrorKind::InvalidData.into());
        }
        (0..self.count)
            .map(|index| {
                // A 64-bit entry of only 32 bytes would be one more lie: pad, so that its fields read as zero.
                let mut bytes = vec![0; entry.max(64)];
                file.read_exact_at(
                    &mut bytes[..entry],
                    self.offset.saturating_add(index * self.entry),
                )?;
                Ok(bytes)
            })
            .collect()
    }
}
