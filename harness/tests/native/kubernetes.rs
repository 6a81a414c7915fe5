//! The upstream servers as one cell, where their folder is: they serve, and they end together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, ensure};
use harness::cell::Shape;
use harness::distribution::kubernetes::{CONTROLLER_MANAGER, Kubernetes};
use harness::distribution::{Datastore, Distribution};
use harness::target::Target;
use reports::budget::Budget;

use crate::specimen::{Run, block_on, destroy};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[(
    "kubernetes/serves_until_one_of_its_servers_ends",
    ends_together,
)];

/// Servers of many megabytes start on a machine that may be busy.
const READY_WITHIN: Duration = Duration::from_secs(240);

/// The folder of the servers, where envtest's convention has one with all of them.
pub fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| "/usr/local/kubebuilder/bin".into());
    ["etcd", "kube-apiserver", CONTROLLER_MANAGER]
        .iter()
        .all(|name| folder.join(name).exists())
        .then_some(folder)
}

fn ends_together() -> Outcome {
    let folder = folder().context("ignored without the folder")?;
    block_on(async {
        let run = Run::new()?;
        let mut cell = run.cell("unused", &[], Budget::unlimited())?;
        cell.distribution = &Kubernetes;
        cell.datastore = Datastore::Etcd;
        let binaries = ["etcd", "kube-apiserver", CONTROLLER_MANAGER];
        cell.binaries = BTreeMap::from(binaries.map(|name| (name, folder.join(name))));
        cell.binaries.insert("assay", std::env::current_exe()?);
        let cluster = run.target.provision(&cell, &run.scope).await?;
        let last_seen = Mutex::new(String::new());
        let conditions = Kubernetes.ready_when(Shape::ControlPlane);
        let waited = harness::ready::wait(cluster.as_ref(), conditions, "test", &last_seen);
        let ready = tokio::time::timeout(READY_WITHIN, waited).await;
        let words = || {
            format!(
                "{last_seen:?}; {:?}",
                std::fs::read_to_string(cluster.log())
            )
        };
        ready.with_context(words)?.with_context(words)?;
        let bytes = cluster
            .disk_usage(Kubernetes.database_paths(Datastore::Etcd))
            .await?;
        ensure!(
            bytes.is_some_and(|bytes| bytes > 0),
            "etcd's data: {bytes:?}"
        );

        let processes = cluster.processes().await;
        // The kernel keeps 15 characters of a name.
        let of = |name: &str| processes.iter().find(|process| process.name == name);
        for name in ["etcd", "kube-apiserver", "kube-controller"] {
            ensure!(of(name).is_some(), "{name} is not among {processes:?}");
        }
        ensure!(cluster.budget_evidence().stayed_in_cgroup);
        let victim = of("kube-controller").map(|process| process.pid);
        let victim = victim.and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(victim.context("no pid")?, rustix::process::Signal::KILL)?;
        let exit = tokio::time::timeout(READY_WITHIN, cluster.ended()).await?;
        ensure!(exit.code == Some(1), "{exit:?}");
        let log = std::fs::read_to_string(cluster.log())?;
        ensure!(
            log.contains("kube-controller-manager ended with signal: 9"),
            "{log}"
        );
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}
