//! The emulator's command line. Pure: everything that it names exists already or will be made by QEMU.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::kvm::{Accelerator, KVM_CPU, KVM_MACHINE};
use super::profile::{Profile, Size};

/// `sun_path` of unix(7) without its final zero.
const SOCKET_PATH: usize = 107;
/// Translated code, MiB. QEMU's default grows to 1 GiB, and K3s starts no faster with it.
const TRANSLATION_CACHE_MIB: u32 = 256;

/// How the guest's clock runs. Figures of the two are never mixed.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum TimeMode {
    /// With the host's: functional tests.
    #[default]
    Free,
    /// One nanosecond per instruction executed: reproducible on a busy host. One CPU only.
    Counted,
}

/// A block device of the guest, in order `/dev/vda`, `/dev/vdb` and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The file.
    pub file: PathBuf,
    /// Its format.
    pub format: DiskFormat,
    /// Whether the guest may not write.
    pub read_only: bool,
    /// The serial number that the guest sees, by which it knows the disk; 20 bytes at most.
    pub serial: &'static str,
}

/// What a disk file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// The bytes of the disk.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
}

/// A network device of the guest, in order `eth0`, `eth1` and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nic {
    /// A TAP device that QEMU makes, and that goes with the process.
    Tap {
        /// Its name on the host.
        name: String,
    },
    /// QEMU's own user-mode network: the guest is 10.0.2.15, and only these ports are reached.
    User {
        /// Host port on 127.0.0.1 and guest port.
        forwards: Vec<(u16, u16)>,
    },
    /// A unix stream socket, such as that of [`super::switch`].
    Stream {
        /// The socket.
        socket: PathBuf,
        /// The guest's hardware address, unique on its network.
        address: [u8; 6],
    },
}

/// The guest's address on QEMU's user-mode network.
pub const USER_GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// The gateway there.
pub const USER_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// Everything that one emulated machine is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineSpec {
    /// `qemu-system-aarch64`.
    pub program: PathBuf,
    /// The kind of machine.
    pub profile: Profile,
    /// Its size.
    pub size: Size,
    /// The kernel image.
    pub kernel: PathBuf,
    /// The initial RAM disk.
    pub initramfs: PathBuf,
    /// Words of the kernel's command line besides those that every machine gets.
    pub kernel_args: Vec<String>,
    /// Block devices.
    pub disks: Vec<Disk>,
    /// Network devices.
    pub nics: Vec<Nic>,
    /// Names of virtio-serial ports; each has a socket of [`MachineSpec::port`].
    pub ports: Vec<&'static str>,
    /// Where sockets and the console's log are made.
    pub folder: PathBuf,
    /// The console's log; appended to, so that a second boot does not hide the first.
    pub console: PathBuf,
    /// How the guest's clock runs.
    pub time: TimeMode,
    /// A saved state to begin with instead of a boot.
    pub incoming: Option<PathBuf>,
}

impl MachineSpec {
    /// The QMP socket.
    #[must_use]
    pub fn qmp(&self) -> PathBuf {
        self.folder.join("qmp")
    }

    /// The socket of a virtio-serial port.
    #[must_use]
    pub fn port(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Everything that a saved state depends on besides the content of files, and nothing that it does not: neither
    /// folders nor the time of the boot.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let words = self
            .kernel_args
            .iter()
            .filter(|word| !word.starts_with("assay.time="));
        let disks = self.disks.iter().map(|disk| (disk.serial, disk.read_only));
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {TRANSLATION_CACHE_MIB}",
            self.profile,
            self.size,
            self.time,
            self.ports,
            words.collect::<Vec<_>>(),
            disks.collect::<Vec<_>>()
        )
    }

    /// The kernel's command line. Debian's kernels isolate page tables when their address is randomised, which
    /// no Raspberry Pi does and which costs the emulator a third of its speed: hence `nokaslr`.
    #[must_use]
    pub fn kernel_command_line(&self) -> String {
        let fixed = ["console=ttyAMA0", "panic=-1", "quiet", "nokaslr"];
        let own = self.kernel_args.iter().map(String::as_str);
        fixed.into_iter().chain(own).collect::<Vec<_>>().join(" ")
    }

    /// QEMU's arguments.
    ///
    /// # Errors
    /// When a path cannot be written in QEMU's syntax, a socket's path is too long, or the machine has several
    /// CPUs under counted time.
    pub fn arguments(&self) -> Result<Vec<String>> {
        ensure!(
            self.time == TimeMode::Free || self.size.cpus == 1,
            "counted time knows one CPU only, and the machine has {}; give --budget with 1 CPU",
            self.size.cpus
        );
        let mut args = Arguments::default();
        match self.profile.accelerator {
            Accelerator::Tcg => {
                args.pair("-M", &self.profile.machine);
                args.pair("-accel", format!("tcg,tb-size={TRANSLATION_CACHE_MIB}"));
                args.pair("-cpu", &self.profile.cpu);
            }
            Accelerator::Kvm => {
                ensure!(
                    self.time == TimeMode::Free,
                    "a host's own CPU does not count its guest's instructions: counted time needs the emulator"
                );
                args.pair("-M", KVM_MACHINE);
                args.pair("-accel", "kvm");
                args.pair("-cpu", KVM_CPU);
            }
        }
        args.pair("-m", self.size.memory_mib.to_string());
        args.pair("-smp", self.size.cpus.to_string());
        // Without -nodefaults QEMU loads modules of its user interfaces.
        args.words(&["-nodefaults", "-display", "none", "-no-reboot"]);
        if self.time == TimeMode::Counted {
            args.pair("-icount", "shift=0,sleep=on");
            // Else the guest's real-time clock would run with the host's beside its counted one.
            args.pair("-rtc", "base=utc,clock=vm");
        }
        args.pair("-kernel", plain(&self.kernel)?);
        args.pair("-initrd", plain(&self.initramfs)?);
        args.pair("-append", self.kernel_command_line());
        let console = escaped(&self.console)?;
        args.pair(
            "-chardev",
            format!("file,id=console,append=on,path={console}"),
        );
        args.pair("-serial", "chardev:console");
        args.pair(
            "-qmp",
            format!("unix:{},server=on,wait=off", socket(&self.qmp())?),
        );
        args.pair("-device", "virtio-balloon-pci,id=balloon");
        args.pair("-device", "virtio-rng-pci");
        self.ports(&mut args)?;
        self.disks(&mut args)?;
        self.nics(&mut args)?;
        if let Some(state) = &self.incoming {
            let word = super::control::shell_word(state)?;
            args.pair("-incoming", format!("exec:cat {word}"));
        }
        Ok(args.0)
    }

    fn ports(&self, args: &mut Arguments) -> Result<()> {
        if !self.ports.is_empty() {
            args.pair("-device", "virtio-serial-pci");
        }
        for (nth, name) in self.ports.iter().enumerate() {
            let path = socket(&self.port(name))?;
            args.pair(
                "-chardev",
                format!("socket,id=port{nth},path={path},server=on,wait=off"),
            );
            args.pair(
                "-device",
                format!("virtserialport,chardev=port{nth},name={name}"),
            );
        }
        Ok(())
    }

    fn disks(&self, args: &mut Arguments) -> Result<()> {
        for (nth, disk) in self.disks.iter().enumerate() {
            let format = match disk.format {
                DiskFormat::Raw => "raw",
                DiskFormat::Qcow2 => "qcow2",
            };
            let read_only = if disk.read_only { "on" } else { "off" };
            // writeback honours the guest's flushes; without them a power cut would mean nothing.
            args.pair(
                "-drive",
                format!(
                    "file={},if=none,id=disk{nth},format={format},cache=writeback,readonly={read_only}",
                    escaped(&disk.file)?
                ),
            );
            let serial = disk.serial;
            args.pair(
                "-device",
                format!("virtio-blk-pci,drive=disk{nth},serial={serial}"),
            );
        }
        Ok(())
    }

    fn nics(&self, args: &mut Arguments) -> Result<()> {
        for (nth, nic) in self.nics.iter().enumerate() {
            let (backend, address) = match nic {
                Nic::Tap { name } => (
                    format!("tap,id=net{nth},ifname={name},script=no,downscript=no"),
                    FIRST_ADDRESS,
                ),
                Nic::User { forwards } => {
                    let rules: String = forwards
                        .iter()
                        .map(|(host, guest)| format!(",hostfwd=tcp:127.0.0.1:{host}-:{guest}"))
                        .collect();
                    (
                        format!("user,id=net{nth},restrict=on{rules}"),
                        FIRST_ADDRESS,
                    )
                }
                Nic::Stream {
                    socket: path,
                    address,
                } => {
                    let path = socket(path)?;
                    let peer =
                        format!("stream,id=net{nth},server=off,addr.type=unix,addr.path={path}");
                    (peer, *address)
                }
            };
            args.pair("-netdev", backend);
            let mac = address.map(|byte| format!("{byte:02x}")).join(":");
            // No option ROM: nothing boots from the network.
            args.pair(
                "-device",
                format!("virtio-net-pci,netdev=net{nth},mac={mac},romfile="),
            );
        }
        Ok(())
    }
}

/// The guest's hardware address where it is alone with the host: constant, so that a saved state fits.
const FIRST_ADDRESS: [u8; 6] = [0x52, 0x54, 0x00, 0x61, 0x73, 0x79];

#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn pair(&mut self, option: &str, value: impl Into<String>) {
        self.0.extend([option.to_owned(), value.into()]);
    }

    fn words(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|word| (*word).to_owned()));
    }
}

fn plain(path: &Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .with_context(|| format!("failed to use {}: it is not UTF-8", path.display()))
}

/// A path within QEMU's option syntax, where a comma separates and two are one.
fn escaped(path: &Path) -> Result<String> {
    Ok(plain(path)?.replace(',', ",,"))
}

fn socket(path: &Path) -> Result<String> {
    ensure!(
        path.as_os_str().len() <= SOCKET_PATH,
        "failed to make the socket {}: its path is longer than {SOCKET_PATH} bytes; set ASSAY_STATE to a shorter folder",
        path.display()
    );
    escaped(path)
}
