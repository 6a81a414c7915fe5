//! Looks at a program before it is executed. libc answers an unknown format by running the file through
//! `/bin/sh`, so the kernel's own refusal of another machine's program would never be seen.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// Checks that a file can be a program of this machine; returns its path with symbolic links resolved.
///
/// # Errors
/// It is missing, no file, not executable, empty, neither a program nor a script, or another machine's.
pub(super) fn check(program: &Path) -> Result<PathBuf> {
    let shown = program.display();
    let real = program
        .canonicalize()
        .with_context(|| format!("failed to find the program {shown}; check the path"))?;
    let mut file = File::open(&real)
        .with_context(|| format!("failed to open the program {shown}; check its permissions"))?;
    let about = file.metadata()?;
    ensure!(
        about.is_file(),
        "failed to start {shown}: it is not a file; give the path of the program itself"
    );
    ensure!(
        about.permissions().mode() & 0o111 != 0,
        "failed to start {shown}: it is not executable; run `chmod +x {shown}`"
    );
    let mut head = Vec::new();
    file.by_ref().take(20).read_to_end(&mut head)?;
    judge(&head).with_context(|| format!("failed to start {shown}"))?;
    Ok(real)
}

/// ELF header (elf(5)): magic, class at 4, byte order at 5, `e_machine` at 18.
fn judge(head: &[u8]) -> Result<()> {
    if head.starts_with(b"#!") {
        return Ok(());
    }
    ensure!(!head.is_empty(), "it is empty; fetch it again");
    let [0x7f, b'E', b'L', b'F', class, order, .., low, high] = head else {
        bail!("it is neither a program nor a script; fetch it again");
    };
    ensure!(head.len() == 20, "it is cut off; fetch it again");
    let little = *order == 1;
    let machine = if little {
        u16::from_le_bytes([*low, *high])
    } else {
        u16::from_be_bytes([*low, *high])
    };
    let name = machine_name(machine);
    let here = std::env::consts::ARCH;
    // A 32-bit program of the same family (x86 on x86_64, arm on aarch64) may run: the kernel decides.
    let family = matches!((here, name), ("x86_64", "x86") | ("aarch64", "arm"));
    let native = name == here && (*class == 2) == cfg!(target_pointer_width = "64");
    ensure!(
        (native || family) && little == cfg!(target_endian = "little"),
        "it is a program for {name}, this machine is {here}; take the build for {here}"
    );
    Ok(())
}

/// `e_machine` of elf.h, in the words of `std::env::consts::ARCH`.
fn machine_name(machine: u16) -> &'static str {
    match machine {
        3 => "x86",
        20 | 21 => "powerpc64",
        22 => "s390x",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv64",
        _ => "an unknown machine",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u16) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(18, 0);
        head.extend(machine.to_le_bytes());
        head
    }

    #[test]
    fn this_very_program_is_fine() {
        check(&std::env::current_exe().unwrap()).unwrap();
        check(Path::new("/bin/sh")).unwrap();
    }

    #[test]
    fn each_defect_has_its_sentence() {
        let words = |head: &[u8]| judge(head).unwrap_err().to_string();
        let other = if cfg!(target_arch = "aarch64") {
            62
        } else {
            183
        };
        assert!(words(&elf(other)).contains("this machine is"));
        assert!(words(b"").contains("empty"));
        assert!(words(b"not found\n").contains("neither"));
        assert!(words(&elf(other)[..19]).contains("cut off"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plain");
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        let words = |path: &Path| format!("{:#}", check(path).unwrap_err());
        assert!(words(&file).contains("chmod +x"));
        assert!(words(folder.path()).contains("not a file"));
        assert!(words(&folder.path().join("none")).contains("failed to find"));
    }
}
