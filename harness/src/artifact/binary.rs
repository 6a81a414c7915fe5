//! Is this file a program for this machine? Told without running it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use fixtures::artifacts::Arch;

use super::elf;

/// Why a file cannot be used as the binary. Each text ends with the next step.
#[derive(Debug, thiserror::Error)]
pub enum BinaryProblem {
    /// There is nothing at that path.
    #[error("there is no such file; check the path, or leave it out and assay looks for one")]
    Missing,
    /// A folder, a socket, a device.
    #[error("it is not a regular file; give the path of the binary itself")]
    NotAFile,
    /// No execute permission.
    #[error("it is not executable; run chmod +x on it")]
    NotExecutable,
    /// A program of another machine.
    #[error("it is built for {found} and this needs {wanted}; give the file for {wanted}")]
    WrongMachine {
        /// What it is built for.
        found: String,
        /// What is needed.
        wanted: Arch,
    },
    /// Shorter than its own headers say.
    #[error("it is cut short ({length} bytes of at least {needs}); download it again")]
    Truncated {
        /// Its length in bytes.
        length: u64,
        /// The least length that its headers ask for.
        needs: u64,
    },
    /// Neither ELF nor a script.
    #[error("it is neither an ELF program nor a script; download it again")]
    NotAProgram,
    /// It could not be read.
    #[error("it cannot be read ({0}); check its permissions")]
    Unreadable(#[from] io::Error),
    /// It runs, but is something else.
    #[error(
        "asked for --version it {answer}, which is no {what}; give the path of a {what} binary"
    )]
    Impostor {
        /// What it should be.
        what: &'static str,
        /// What it did, capped and escaped.
        answer: String,
    },
    /// It is another version than the one asked for.
    #[error(
        "it is {found}, and {wanted} was asked for; give the other binary or the other version"
    )]
    OtherVersion {
        /// What it says it is.
        found: String,
        /// What was asked for.
        wanted: String,
    },
}

/// The kind of program that a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A native program for the machine asked for.
    Elf,
    /// A script with an interpreter line; such a wrapper may set things up and then run the real binary.
    Script,
}

/// Examines a file without running it.
///
/// # Errors
/// When it is not a usable program for `arch`.
pub(super) fn examine(path: &Path, arch: Arch) -> Result<Kind, BinaryProblem> {
    let metadata = match fs_err::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BinaryProblem::Missing);
        }
        Err(error) => return Err(error.into()),
    };
    if !metadata.is_file() {
        return Err(BinaryProblem::NotAFile);
    }
    let file = File::open(path)?;
    let mut start = [0; 4];
    let got = file.read_at(&mut start, 0)?;
    let kind = if start[..got].starts_with(b"#!") {
        Kind::Script
    } else {
        Kind::Elf
    };
    if kind == Kind::Elf {
        examine_elf(&file, metadata.len(), arch)?;
    }
    // Last, because for a file that is no program at all "run chmod +x" would be the wrong advice. A binary
    // for another machine is handed to an emulator or a guest, which sets the bits itself.
    let for_this_host = Arch::of_host() == Some(arch);
    if for_this_host && metadata.mode() & 0o111 == 0 {
        return Err(BinaryProblem::NotExecutable);
    }
    Ok(kind)
}

fn examine_elf(file: &File, length: u64, arch: Arch) -> Result<(), BinaryProblem> {
    let found = match elf::read(file) {
        Ok(Some(found)) => found,
        Ok(None) => return Err(BinaryProblem::NotAProgram),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(BinaryProblem::Truncated {
                length,
                needs: length + 1,
            });
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(BinaryProblem::NotAProgram);
        }
        Err(error) => return Err(error.into()),
    };
    if !found.runs_on(arch) {
        return Err(BinaryProblem::WrongMachine {
            found: found.describe(),
            wanted: arch,
        });
    }
    if found.needs > length {
        return Err(BinaryProblem::Truncated {
            length,
            needs: found.needs,
        });
    }
    Ok(())
}
