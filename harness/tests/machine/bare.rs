//! A machine whose "kernel" writes one letter to its console and then waits for ever.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use harness::machine::{
    MachineSpec, Network, NetworkRequest, Profile, Surroundings, TimeMode, find_emulator,
};
use harness::scope::Scope;
use reports::budget::Budget;

/// No step takes longer than a second on a quiet host.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// AArch64: `x0 = 0x0900_0000` (the PL011 console of `-M virt`), `w1 = 'A'`, store, then `wfi` in a loop.
const KERNEL: [u32; 5] = [
    0xd2a1_2000,
    0x5280_0821,
    0x3900_0001,
    0xd503_207f,
    0x17ff_ffff,
];

/// A state folder with a ledger, and what a machine needs in it.
pub struct Bench {
    pub state: tempfile::TempDir,
    pub scope: Scope,
}

impl Bench {
    pub fn new() -> Result<Self> {
        let state = tempfile::tempdir()?;
        let scope = Scope::open(state.path(), "run-1")?;
        std::fs::create_dir_all(state.path().join("work/m"))?;
        Ok(Self { state, scope })
    }

    pub fn folder(&self) -> PathBuf {
        self.state.path().join("work/m")
    }

    pub fn surroundings(&self) -> Surroundings {
        surroundings(self.state.path(), &self.scope)
    }

    pub fn spec(&self) -> Result<MachineSpec> {
        spec(&self.folder())
    }

    /// What the console has shown so far.
    pub fn console(&self) -> String {
        std::fs::read_to_string(self.folder().join("console.log")).unwrap_or_default()
    }
}

pub fn surroundings(state: &Path, scope: &Scope) -> Surroundings {
    Surroundings {
        helper: "/proc/self/exe".into(),
        log: state.join("work/m/qemu.log"),
        scope: scope.clone(),
    }
}

pub fn spec(folder: &Path) -> Result<MachineSpec> {
    let kernel = folder.join("kernel");
    std::fs::write(&kernel, KERNEL.map(u32::to_le_bytes).concat())?;
    std::fs::write(folder.join("initramfs"), "nothing")?;
    let profile = Profile::find("aarch64-virt")?;
    Ok(MachineSpec {
        program: find_emulator()?,
        size: profile.size(&Budget::edge())?,
        profile,
        kernel,
        initramfs: folder.join("initramfs"),
        kernel_args: Vec::new(),
        disks: Vec::new(),
        nics: Vec::new(),
        ports: vec!["ctl"],
        folder: folder.to_owned(),
        console: folder.join("console.log"),
        time: TimeMode::Free,
        incoming: None,
    })
}

/// Without root's TAP device.
pub fn forwarded() -> NetworkRequest {
    NetworkRequest {
        tap: false,
        subnet: None,
        ports: vec![6443],
    }
}

pub fn tap() -> NetworkRequest {
    NetworkRequest {
        tap: true,
        ..forwarded()
    }
}

/// The name of a machine's TAP device.
pub fn device(network: &Network) -> Result<String> {
    match network {
        Network::Private { name, .. } => Ok(name.clone()),
        Network::Forwarded { .. } => bail!("no TAP device"),
    }
}

/// Waits for a condition.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        if Instant::now() >= end {
            bail!("{what}: not within {DEADLINE:?}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Runtime::new()?.block_on(future)
}
