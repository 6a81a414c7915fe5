//! A guest that has come up: booted, or saved right after such a boot and restored.
//!
//! A boot is some 3 s of CPU time for the emulator, restoring what it leads to a third of a second. Nothing of the cell
//! is in the state yet, so that all cells on such a machine share it.

use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

use super::QemuTarget;
use super::provision::{AGENT_WITHIN, PORTS, agent};
use super::saved::Order;
use crate::cell::Cell;
use crate::guest::{Control, Exec, Hello};
use crate::machine::{
    Machine, MachineSpec, Network, NetworkRequest, SavedState, Surroundings, TimeMode, may_use_tap,
};
use crate::target::{Boot, Target};
use crate::text;

/// What is known of a saved guest.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Guest {
    /// The boot that goes on when it is restored.
    pub boot_id: String,
}

/// A machine whose agent answers.
pub(super) struct Up {
    pub machine: Machine,
    pub control: Control,
    pub hello: Hello,
    pub boot: Boot,
    /// What the record says of a saved state, where one was wanted.
    pub fact: Option<(String, String)>,
}

/// Restores a booted guest, or boots one, and saves it where that is wanted.
pub(super) async fn come_up(
    target: &QemuTarget,
    cell: &Cell,
    spec: MachineSpec,
    surroundings: Surroundings,
    order: Option<&Order>,
) -> Result<Up> {
    // A counted start begins with a boot: what its figures begin with is always the same then.
    let order = order.filter(|_| target.time == TimeMode::Free);
    let mut fact = None;
    if let Some(saved) = order.and_then(Order::find_guest) {
        match restored(target, cell, &spec, &surroundings, &saved).await {
            Ok(up) => return Ok(up),
            Err(error) => fact = Some(format!("not used: {}", text::tame(&format!("{error:#}")))),
        }
    }
    let machine = Machine::boot(spec, &request(), surroundings).await?;
    let (control, hello) = agent(&machine, target.patience()).await?;
    let boot = came_up(&machine, false);
    if let Some(order) = order {
        let saved = order.save_guest(&machine, &control, &hello).await;
        fact.get_or_insert_with(|| match saved {
            Ok(()) => {
                "none was there; the guest was booted, and saved for the next time".to_owned()
            }
            Err(error) => format!("not made: {}", text::tame(&format!("{error:#}"))),
        });
    }
    Ok(Up {
        machine,
        control,
        hello,
        boot,
        fact: fact.map(|fact| ("saved guest".to_owned(), fact)),
    })
}

/// How a machine came up whose agent has just answered.
pub(super) fn came_up(machine: &Machine, restored: bool) -> Boot {
    let emulator = machine.emulator();
    Boot {
        wall: emulator.started().elapsed(),
        cpu: emulator.cpu_used(),
        restored,
    }
}

fn request() -> NetworkRequest {
    NetworkRequest {
        tap: may_use_tap(),
        subnet: None,
        ports: PORTS.to_vec(),
    }
}

async fn restored(
    target: &QemuTarget,
    cell: &Cell,
    spec: &MachineSpec,
    surroundings: &Surroundings,
    saved: &SavedState<Guest>,
) -> Result<Up> {
    let mut spec = spec.clone();
    spec.disks = saved.overlay(&spec.disks, &cell.work)?;
    spec.incoming = Some(saved.memory());
    let machine = Machine::boot(spec, &request(), surroundings.clone()).await?;
    machine
        .emulator()
        .qmp()
        .resume_incoming(AGENT_WITHIN * target.patience())
        .await?;
    let (control, hello) = agent(&machine, target.patience()).await?;
    let boot = came_up(&machine, true);
    control.set_clock(SystemTime::now()).await?;
    control.reseed().await?;
    ensure!(
        hello.boot_id == saved.about.boot_id,
        "failed to restore the saved guest: another one answers"
    );
    settle(&control, machine.network()).await?;
    let fact = format!(
        "restored instead of booted, {}, saved at {}",
        saved.key, saved.saved_at
    );
    Ok(Up {
        machine,
        control,
        hello,
        boot,
        fact: Some(("saved guest".to_owned(), fact)),
    })
}

/// Gives the guest the address of the network that it woke up in.
async fn settle(control: &Control, network: &Network) -> Result<()> {
    const SCRIPT: &str =
        r#"ip addr flush dev eth0 && ip addr add "$1" dev eth0 && ip route add default via "$2""#;
    let (address, bits, gateway) = network.addresses();
    let (own, gateway) = (format!("{address}/{bits}"), gateway.to_string());
    let argv = ["sh", "-c", SCRIPT, "settle", &own, &gateway];
    let done = control.exec(&Exec::new(&argv)).await?;
    let words = text::tame(&String::from_utf8_lossy(&done.stderr));
    ensure!(
        done.exit.code == Some(0),
        "failed to give the restored guest the address {own}: {words}"
    );
    Ok(())
}

/// That the guest swaps to zram where the cell wants that: its init goes on without.
pub(super) async fn check_zram(control: &Control, bytes: u64) -> Result<(String, String)> {
    const SWAPS: &str = "/proc/swaps";
    let swaps = control.get(SWAPS, 4096).await?;
    let swaps = String::from_utf8_lossy(&swaps).into_owned();
    ensure!(
        swaps.contains("/dev/zram0"),
        "failed to swap to zram in the guest: {SWAPS} says {}; see its console",
        text::tame(&swaps)
    );
    let algorithm = control
        .get("/sys/block/zram0/comp_algorithm", 4096)
        .await
        .context("failed to ask zram for its algorithm")?;
    let words = format!(
        "{} MiB of swap, compressed by {} in the machine's own memory",
        bytes >> 20,
        text::tame(String::from_utf8_lossy(&algorithm).trim())
    );
    Ok(("zram".to_owned(), words))
}
