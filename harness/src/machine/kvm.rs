//! Whether guests run on this host's own CPU. A `/dev/kvm` that opens proves nothing: nested in another machine it may
//! make a virtual machine and then fail to run it. What counts is a guest that has run.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};

use super::process::find_emulator;

/// How the guest's instructions are executed. Figures of the two are never mixed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Accelerator {
    /// Translated by the emulator.
    #[default]
    Tcg,
    /// By the host's own CPU.
    Kvm,
}

/// The host's CPU runs the guests of its own architecture only.
const ARCH: &str = "aarch64";
const DEVICE: &str = "/dev/kvm";
/// A guest of seven instructions; a quiet host takes 0.1 s.
const WITHIN: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(10);
/// What the guest writes.
const LETTER: u8 = b'A';

/// AArch64: writes the letter to the console of `-M virt` (PL011 at 0x0900_0000), then asks for power off by PSCI's
/// `SYSTEM_OFF`, so that nothing is left running whatever becomes of assay.
const GUEST: [u32; 7] = [
    0xd2a1_2000, // mov x0, #0x09000000
    0x5280_0821, // mov w1, #'A'
    0x3900_0001, // strb w1, [x0]
    0x5280_0100, // movz w0, #0x0008
    0x72b0_8000, // movk w0, #0x8400, lsl #16
    0xd400_0002, // hvc #0
    0x1400_0000, // b .
];

/// Whether a guest has run on this host's own CPU; asked once.
///
/// # Errors
/// A sentence: why guests are emulated instead.
pub fn kvm() -> Result<(), String> {
    static ASKED: OnceLock<Result<(), String>> = OnceLock::new();
    ASKED
        .get_or_init(|| {
            let opened = std::fs::File::options().read(true).write(true).open(DEVICE);
            let opened = opened.map(drop).map_err(|error| error.to_string());
            judge(std::env::consts::ARCH, opened, || {
                let emulator = find_emulator().map_err(|error| format!("{error:#}"))?;
                run_guest(&emulator, Accelerator::Kvm)
            })
        })
        .clone()
}

/// Judges a host by its architecture, by whether its device opens and by a guest that runs.
fn judge(
    arch: &str,
    opened: Result<(), String>,
    run: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    if arch != ARCH {
        return Err(format!(
            "KVM runs guests of the host's own architecture only, and this host is {arch}"
        ));
    }
    opened.map_err(|error| format!("{DEVICE} cannot be opened: {error}"))?;
    run().map_err(|error| format!("{DEVICE} opens, but no guest has run with it: {error}"))
}

/// Runs a guest of a few instructions to its end.
///
/// # Errors
/// A sentence: how it ended instead, with the emulator's last words.
pub fn run_guest(emulator: &Path, accelerator: Accelerator) -> Result<(), String> {
    let failed = |what: &str, error: std::io::Error| format!("failed to {what}: {error}");
    let kernel: Vec<u8> = GUEST.iter().flat_map(|word| word.to_le_bytes()).collect();
    // In memory, so that no file can stay behind.
    let file = memfd_create("guest", MemfdFlags::CLOEXEC)
        .map_err(|error| failed("make a file in memory", error.into()))?;
    let mut file = std::fs::File::from(file);
    file.write_all(&kernel)
        .map_err(|error| failed("write the guest", error))?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let (machine, accel, cpu) = match accelerator {
        Accelerator::Tcg => ("virt", "tcg", "cortex-a72"),
        Accelerator::Kvm => (KVM_MACHINE, "kvm", KVM_CPU),
    };
    let mut child = Command::new(emulator)
        .args(["-M", machine, "-accel", accel, "-cpu", cpu])
        .args([
            "-m",
            "64",
            "-smp",
            "1",
            "-nodefaults",
            "-display",
            "none",
            "-no-reboot",
        ])
        .args(["-serial", "stdio", "-kernel"])
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed("start the emulator", error))?;
    let until = Instant::now() + WITHIN;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < until => std::thread::sleep(LOOK),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    let text = |pipe: Option<&mut dyn Read>| {
        let mut bytes = Vec::new();
        // What cannot be read is not there.
        let _ = pipe.map(|pipe| pipe.take(4096).read_to_end(&mut bytes));
        bytes
    };
    let shown = text(child.stdout.as_mut().map(|pipe| pipe as &mut dyn Read));
    let words = text(child.stderr.as_mut().map(|pipe| pipe as &mut dyn Read));
    if status.is_some_and(|status| status.success()) && shown.contains(&LETTER) {
        return Ok(());
    }
    let how = match status {
        Some(status) => format!("the emulator ended with {status}"),
        None => format!("it did not end within {} s", WITHIN.as_secs()),
    };
    let words = crate::text::tame(String::from_utf8_lossy(&words).trim());
    Err(format!("{how}; its last words: {words}"))
}

/// The words of a machine on the host's own CPU; its interrupt controller is the host's, too.
pub(super) const KVM_MACHINE: &str = "virt,gic-version=host";
/// Its CPU.
pub(super) const KVM_CPU: &str = "host";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_guest_that_ran_is_trusted() {
        let never = || panic!("it must not be tried");
        let words = judge("x86_64", Ok(()), never).unwrap_err();
        assert!(words.contains("this host is x86_64"), "{words}");
        let words = judge(ARCH, Err("Permission denied".into()), never).unwrap_err();
        assert!(words.contains("Permission denied"), "{words}");
        let words = judge(ARCH, Ok(()), || Err("it stood still".into())).unwrap_err();
        assert!(words.contains("opens, but no guest has run"), "{words}");
        judge(ARCH, Ok(()), || Ok(())).unwrap();
    }
}
