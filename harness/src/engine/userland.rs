//! The least userland that a program needs in an image of its own: its interpreter and its shared libraries.
//!
//! They are found by the program's own interpreter, asked with `--list` (as `ldd` does): it alone knows the
//! search paths, the cache and the hardware's variants. It maps the program but executes nothing of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The files that a program needs besides itself, by the paths at which they must lie; empty for a static one.
///
/// # Errors
/// When it is no program of this machine, or lacks a library.
pub fn needs(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let shown = program.display();
    let Some(interpreter) =
        interpreter(program).with_context(|| format!("failed to read the program {shown}"))?
    else {
        return Ok(BTreeSet::new());
    };
    let listed = Command::new(&interpreter)
        .arg("--list")
        .arg(program)
        .env_clear()
        .output()
        .with_context(|| {
            format!(
                "failed to ask {} for the libraries of {shown}",
                interpreter.display()
            )
        })?;
    let text = String::from_utf8_lossy(&listed.stdout);
    ensure!(
        listed.status.success(),
        "failed to find the libraries of {shown}: {}; does it run on this machine?",
        crate::text::tame(String::from_utf8_lossy(&listed.stderr).trim())
    );
    let mut needs = libraries(&text).map_err(|name| {
        anyhow::anyhow!("failed to find the library {name} of {shown}; install it")
    })?;
    needs.insert(interpreter);
    Ok(needs)
}

/// Lines `\tlibc.so.6 => /lib/…/libc.so.6 (0x…)`, `\t/lib64/ld-linux-x86-64.so.2 (0x…)` and
/// `\tlinux-vdso.so.1 (0x…)`. `Err`: the name of a library that was not found.
fn libraries(listed: &str) -> Result<BTreeSet<PathBuf>, String> {
    let mut found = BTreeSet::new();
    for line in listed.lines().map(str::trim) {
        let (name, path) = match line.split_once(" => ") {
            Some((name, rest)) => (name, rest),
            None => (line, line),
        };
        if path.starts_with("not found") {
            return Err(name.to_owned());
        }
        let path = path.rsplit_once(" (").map_or(path, |(path, _)| path);
        if path.starts_with('/') {
            found.insert(PathBuf::from(path));
        }
    }
    Ok(found)
}

/// The program's interpreter, PT_INTERP of elf(5); `None` for a static program.
fn interpreter(program: &Path) -> Result<Option<PathBuf>> {
    const PT_INTERP: u64 = 3;
    let file = File::open(program)?;
    let mut head = [0; 64];
    file.read_exact_at(&mut head, 0)
        .context("it is shorter than any program")?;
    ensure!(
        head.starts_with(b"\x7fELF\x02\x01"),
        "it is no 64-bit little-endian program"
    );
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let (table, size, count) = (
        number(&head[32..40]),
        number(&head[54..56]),
        number(&head[56..58]),
    );
    ensure!(size >= 56, "its program headers are torn");
    for nth in 0..count {
        let mut entry = [0; 56];
        file.read_exact_at(&mut entry, table.saturating_add(nth * size))
            .context("its program headers are torn")?;
        if number(&entry[..4]) != PT_INTERP {
            continue;
        }
        let length = usize::try_from(number(&entry[32..40])).unwrap_or(usize::MAX);
        if length > 4096 {
            bail!("the name of its interpreter is torn");
        }
        let mut name = vec![0; length];
        file.read_exact_at(&mut name, number(&entry[8..16]))?;
        let name = String::from_utf8(name).context("the name of its interpreter is torn")?;
        return Ok(Some(PathBuf::from(name.trim_end_matches('\0'))));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_interpreter_lists_is_read() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\t/lib64/ld.so (0x1)\n";
        let found: Vec<_> = libraries(text).unwrap().into_iter().collect();
        assert_eq!(
            found,
            [Path::new("/lib/x/libc.so.6"), Path::new("/lib64/ld.so")]
        );
        assert_eq!(
            libraries("\tlibq.so => not found\n").unwrap_err(),
            "libq.so"
        );
        assert!(libraries("\tstatically linked\n").unwrap().is_empty());
    }

    #[test]
    fn this_very_program_has_its_interpreter_and_its_libraries() {
        let own = std::env::current_exe().unwrap();
        let found = needs(&own).unwrap();
        assert!(found.iter().all(|path| path.is_file()), "{found:?}");
        if let Some(interpreter) = interpreter(&own).unwrap() {
            assert!(
                found.contains(&interpreter) && found.len() >= 2,
                "{found:?}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n".repeat(20)).unwrap();
        assert!(format!("{:#}", needs(&script).unwrap_err()).contains("no 64-bit"));
    }
}
