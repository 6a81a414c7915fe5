//! Booted, paused, cut off, saved, restored, ended.

use std::net::TcpStream;
use std::path::Path;

use anyhow::{Context, ensure};
use harness::machine::{Accelerator, Machine, TimeMode, find_emulator, kvm, run_guest};
use harness::scope::Resource;

use crate::bare::{Bench, DEADLINE, block_on, device, forwarded, tap, until};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[
    ("life/booted_paused_and_ended", ended),
    ("life/a_tap_device_comes_and_goes_with_it", tap_device),
    (
        "life/a_power_cut_boots_it_again_at_the_same_address_on_tap",
        power_cut,
    ),
    ("life/ports_are_forwarded_without_root", forwards),
    ("life/a_saved_state_goes_on_where_it_was", saved),
    ("life/counted_time_runs", counted),
    ("life/a_probe_guest_runs_to_its_end", probed),
    (
        "life/what_cannot_start_says_why_and_leaves_nothing",
        refused,
    ),
];

fn ended() -> Outcome {
    block_on(async {
        let bench = Bench::new()?;
        let machine = Machine::boot(bench.spec()?, &forwarded(), bench.surroundings()).await?;
        until("the console shows a letter", || bench.console() == "A").await?;
        let qmp = machine.emulator().qmp();
        ensure!(qmp.status().await? == "running");
        qmp.stop().await?;
        ensure!(qmp.status().await? == "paused");
        qmp.cont().await?;
        let threads = qmp.vcpu_threads().await?;
        ensure!(threads.len() == 1, "{threads:?}");
        let pid = machine.emulator().pid();
        let task = format!("/proc/{pid}/task/{}", threads[0]);
        ensure!(Path::new(&task).exists(), "{task}");
        let standing = bench.scope.standing();
        ensure!(
            matches!(standing.as_slice(), [Resource::Process { pid: listed, .. }] if *listed == pid),
            "{standing:?}"
        );
        let left = machine.end().await;
        ensure!(
            left.is_empty() && bench.scope.standing().is_empty(),
            "{left:?}"
        );
        ensure!(
            !Path::new(&format!("/proc/{pid}")).exists(),
            "{pid} still runs"
        );
        Ok(())
    })
}

fn tap_device() -> Outcome {
    block_on(async {
        let bench = Bench::new()?;
        let machine = Machine::boot(bench.spec()?, &tap(), bench.surroundings()).await?;
        let folder = format!("/sys/class/net/{}", device(machine.network())?);
        let address = std::fs::read_to_string(format!("{folder}/address"))?;
        ensure!(address.starts_with("02:61:"), "{address}");
        let flags = std::fs::read_to_string(format!("{folder}/flags"))?;
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16)?;
        ensure!(flags & 1 == 1, "it is not up: {flags:x}");
        // A second one at the same time gets another subnet.
        let other = Bench::new()?;
        let second = Machine::boot(other.spec()?, &tap(), other.surroundings()).await?;
        ensure!(second.network().guest() != machine.network().guest());
        let left = [machine.end().await, second.end().await].concat();
        ensure!(left.is_empty(), "{left:?}");
        ensure!(!Path::new(&folder).exists(), "{folder} is still there");
        ensure!(bench.scope.standing().is_empty());
        Ok(())
    })
}

fn power_cut() -> Outcome {
    block_on(async {
        let bench = Bench::new()?;
        let machine = Machine::boot(bench.spec()?, &tap(), bench.surroundings()).await?;
        until("the first boot", || bench.console() == "A").await?;
        let (pid, guest) = (machine.emulator().pid(), machine.network().guest());
        let machine = machine.power_cut().await?;
        until("the second boot", || bench.console() == "AA").await?;
        ensure!(machine.emulator().pid() != pid && machine.network().guest() == guest);
        let left = machine.end().await;
        ensure!(
            left.is_empty() && bench.scope.standing().is_empty(),
            "{left:?}"
        );
        Ok(())
    })
}

fn forwards() -> Outcome {
    block_on(async {
        let bench = Bench::new()?;
        let machine = Machine::boot(bench.spec()?, &forwarded(), bench.surroundings()).await?;
        let reached = machine.network().reach(6443).context("not forwarded")?;
        // QEMU accepts on the guest's behalf, whether or not the guest answers.
        TcpStream::connect(reached)?;
        ensure!(machine.network().reach(22).is_none());
        let left = machine.end().await;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}

fn saved() -> Outcome {
    block_on(async {
        let bench = Bench::new()?;
        let machine = Machine::boot(bench.spec()?, &forwarded(), bench.surroundings()).await?;
        until("the first boot", || bench.console() == "A").await?;
        let qmp = machine.emulator().qmp();
        qmp.stop().await?;
        let state = bench.folder().join("state");
        qmp.save(&state, DEADLINE).await?;
        let mut spec = machine.spec().clone();
        let left = machine.end().await;
        ensure!(left.is_empty(), "{left:?}");
        spec.incoming = Some(state);
        let machine = Machine::boot(spec, &forwarded(), bench.surroundings()).await?;
        machine.emulator().qmp().resume_incoming(DEADLINE).await?;
        ensure!(machine.emulator().qmp().status().await? == "running");
        // It went on waiting; a boot would have written another letter.
        ensure!(bench.console() == "A", "{}", bench.console());
        let left = machine.end().await;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}

fn counted() -> Outcome {
    block_on(async {
        let bench = Bench::new()?;
        let mut spec = bench.spec()?;
        spec.time = TimeMode::Counted;
        let machine = Machine::boot(spec, &forwarded(), bench.surroundings()).await?;
        until("the boot", || bench.console() == "A").await?;
        let left = machine.end().await;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}

fn probed() -> Outcome {
    let emulator = find_emulator()?;
    // The control: the same guest runs under emulation, so that its failure under KVM says something of KVM.
    run_guest(&emulator, Accelerator::Tcg).map_err(anyhow::Error::msg)?;
    let native = run_guest(&emulator, Accelerator::Kvm);
    if std::env::consts::ARCH == "aarch64" {
        ensure!(kvm().is_ok() == native.is_ok(), "{native:?}");
    } else {
        let words = native.err().context("a guest ran on a foreign CPU")?;
        ensure!(words.contains("kvm"), "{words}");
        let words = kvm().err().context("KVM is trusted on a foreign CPU")?;
        ensure!(words.contains(std::env::consts::ARCH), "{words}");
    }
    Ok(())
}

fn refused() -> Outcome {
    block_on(async {
        let bench = Bench::new()?;
        let mut spec = bench.spec()?;
        spec.kernel = "/nonexistent/kernel".into();
        let error = Machine::boot(spec, &forwarded(), bench.surroundings()).await;
        let words = format!("{:#}", error.err().context("it booted nothing")?);
        ensure!(words.contains("/nonexistent/kernel"), "{words}");
        ensure!(bench.scope.standing().is_empty());
        let mut spec = bench.spec()?;
        spec.program = "/nonexistent/qemu".into();
        let error = Machine::boot(spec, &tap(), bench.surroundings()).await;
        let words = format!("{:#}", error.err().context("it booted nothing")?);
        ensure!(words.contains("/nonexistent/qemu"), "{words}");
        ensure!(bench.scope.standing().is_empty());
        Ok(())
    })
}
