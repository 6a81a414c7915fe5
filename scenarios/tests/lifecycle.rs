//! What a run leaves when it ends in any way: nothing, after a sweep; and nothing of anybody else's is touched.
//!
//! `ASSAY_KILLS` is the number of random kills (5), `ASSAY_SEED` their seed. `ASSAY_TEST_K3S=/path/to/k3s` with `--ignored` runs the
//! same on a real K3s, `ASSAY_TEST_KUBECONFIG` on a cluster that is there already. Most need root, for cgroups and namespaces, and are ignored unless asked for.

#[path = "lifecycle/bystander.rs"]
mod bystander;
#[path = "lifecycle/existing.rs"]
mod existing;
#[path = "lifecycle/existing_kills.rs"]
mod existing_kills;
#[path = "lifecycle/held.rs"]
mod held;
#[path = "lifecycle/interrupt.rs"]
mod interrupt;
#[path = "lifecycle/keep.rs"]
mod keep;
#[path = "lifecycle/kills.rs"]
mod kills;
#[path = "lifecycle/known_bugs.rs"]
mod known_bugs;
#[path = "lifecycle/leftovers.rs"]
mod leftovers;
#[path = "lifecycle/limits.rs"]
mod limits;
#[path = "lifecycle/pairs.rs"]
mod pairs;
#[path = "lifecycle/standing.rs"]
mod standing;
mod support;
#[path = "lifecycle/unprivileged.rs"]
mod unprivileged;

/// Sends a signal to a binary that has not been waited for yet.
fn send(running: &support::Running, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(&running.child);
    rustix::process::kill_process(pid, signal).expect("the child is not reaped yet");
}
