//! A machine by hand: the least that boots a guest. What targets use is `harness::machine`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use harness::guest::{Control, Hello, Images};

/// How long a guest may take to come up, on a busy machine.
const BOOT: Duration = Duration::from_secs(90);

/// A running machine; dropped, it is killed, which is a power cut.
pub struct Machine {
    child: Child,
    folder: PathBuf,
}

/// What a machine has besides its root disk.
#[derive(Default)]
pub struct Disks<'a> {
    pub data: Option<&'a Path>,
    pub programs: Option<&'a Path>,
}

pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .into_iter()
        .any(|folder| folder.join(program).is_file())
}

impl Machine {
    /// Boots with its sockets in `folder`.
    pub fn boot(images: &Images, folder: &Path, disks: &Disks<'_>) -> anyhow::Result<Self> {
        let at = |name: &str| folder.join(name).display().to_string();
        let mut command = Command::new("qemu-system-aarch64");
        command
            .args([
                "-M",
                "virt",
                "-accel",
                "tcg,tb-size=256",
                "-cpu",
                "cortex-a72",
                "-m",
                "512",
                "-smp",
                "1",
            ])
            .args(["-nodefaults", "-display", "none", "-no-reboot"])
            .arg("-kernel")
            .arg(&images.kernel)
            .arg("-initrd")
            .arg(&images.initramfs)
            .args([
                "-append",
                &format!(
                    "console=ttyAMA0 panic=-1 quiet nokaslr assay.period=200 assay.time={}",
                    seconds()
                ),
            ])
            .args(["-serial", &format!("file:{}", at("console"))])
            .args(["-device", "virtio-serial-pci"]);
        for name in ["ctl", "samples"] {
            command
                .args([
                    "-chardev",
                    &format!("socket,id={name},path={},server=on,wait=off", at(name)),
                ])
                .args([
                    "-device",
                    &format!("virtserialport,chardev={name},name=assay.{name}"),
                ]);
        }
        let drives = [
            ("assay-root", Some(images.root.as_path()), "snapshot=on"),
            ("assay-data", disks.data, "cache=writeback"),
            ("assay-programs", disks.programs, "readonly=on"),
        ];
        for (serial, file, how) in drives {
            let Some(file) = file else { continue };
            command
                .args([
                    "-drive",
                    &format!(
                        "file={},if=none,id={serial},format=raw,{how}",
                        file.display()
                    ),
                ])
                .args([
                    "-device",
                    &format!("virtio-blk-pci,drive={serial},serial={serial}"),
                ]);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("failed to start QEMU")?;
        Ok(Self {
            child,
            folder: folder.to_owned(),
        })
    }

    /// Boots and waits for the agent.
    pub async fn ready(
        images: &Images,
        folder: &Path,
        disks: &Disks<'_>,
    ) -> anyhow::Result<(Self, Control, Hello)> {
        let started = Instant::now();
        let machine = Self::boot(images, folder, disks)?;
        let (control, hello) = machine.control().await?;
        eprintln!(
            "agent ready {} ms after QEMU was started",
            started.elapsed().as_millis()
        );
        Ok((machine, control, hello))
    }

    pub async fn control(&self) -> anyhow::Result<(Control, Hello)> {
        Control::connect(&self.socket("ctl"), BOOT, 1)
            .await
            .with_context(|| format!("the console says: {}", self.console()))
    }

    pub fn socket(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn console(&self) -> String {
        let text = std::fs::read(self.folder.join("console")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits for the process to end by itself.
    pub fn wait(mut self, within: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + within;
        loop {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            anyhow::ensure!(
                Instant::now() < until,
                "QEMU is still there after {} s",
                within.as_secs()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map(|since| since.as_secs()).unwrap_or(0)
}

/// Runs a test's body with a deadline of its own.
pub fn run(body: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(300), body)
            .await
            .context("the test did not end within 300 s")?
    })
}
