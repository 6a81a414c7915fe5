//! The built-in specimen: known good, so that the instrument can be checked. Its figures say nothing about K3s.

use reports::known_bug::KNOWN_BUG;

use crate::cell::Shape;
use crate::distribution::{
    Access, ArtifactNeed, CommandLine, Datastore, DatastoreAccess, Distribution, ReadyWhen,
    ServerSpec, Surface,
};

/// The specimen, run by assay's own binary as a child process.
pub struct Reference;

/// The hidden subcommand that runs it.
pub const SUBCOMMAND: &str = "__specimen";

impl Distribution for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi]
    }

    fn datastores(&self) -> &'static [Datastore] {
        &[Datastore::Sqlite, Datastore::Etcd, Datastore::SqliteFull]
    }

    fn artifacts(&self) -> &'static [ArtifactNeed] {
        const {
            &[
                ArtifactNeed::always("assay"),
                ArtifactNeed {
                    name: "etcd",
                    only_for: Some(Datastore::Etcd),
                    not_in: None,
                },
            ]
        }
    }

    fn is_specimen(&self) -> bool {
        true
    }

    /// It runs no controller but those of namespaces, quotas and garbage, and admits pods as they come.
    fn lacks(&self) -> &'static [&'static str] {
        &[
            "aggregated-discovery",
            "compaction",
            "disruption-controller",
            "endpoints-controllers",
            "event-fields",
            "limit-ranges",
            "openapi",
            "pod-validation",
            "quota-compute",
            "priority-and-fairness",
            "rbac-escalation",
            "server-side-apply",
            "token-mounts",
            "volume-controllers",
            "volume-status-defaults",
            "workload-controllers",
        ]
    }

    fn server(&self, spec: &ServerSpec<'_>) -> CommandLine {
        // On a shared network the kernel chooses the port, so that runs do not meet.
        let listen = if spec.private_network {
            "0.0.0.0:6443"
        } else {
            "127.0.0.1:0"
        };
        let mut args = vec![
            SUBCOMMAND.to_owned(),
            "--data-dir".into(),
            spec.data_dir.display().to_string(),
            "--listen".into(),
            listen.into(),
            "--advertise".into(),
            spec.address.to_string(),
        ];
        if let Some((_, bug)) = spec.env.iter().find(|(name, _)| name == KNOWN_BUG) {
            args.extend(["--bug".into(), bug.clone()]);
        }
        if spec.datastore == Datastore::SqliteFull {
            args.push("--synchronous-full".into());
        }
        if spec.datastore == Datastore::Etcd {
            let etcd = spec.binaries.get("etcd").cloned().unwrap_or_default();
            args.extend(["--etcd-binary".into(), etcd.display().to_string()]);
            if spec.private_network {
                args.extend([
                    "--etcd-metrics".into(),
                    format!("http://{}:2381", spec.address),
                ]);
            }
        }
        CommandLine {
            program: spec.binaries.get("assay").cloned().unwrap_or_default(),
            args,
            env: spec.env.to_vec(),
        }
    }

    fn access(&self, spec: &ServerSpec<'_>) -> Access {
        Access::Kubeconfig {
            path: spec.data_dir.join("kubeconfig"),
            context: None,
            url: None,
        }
    }

    fn ready_when(&self, _: Shape) -> &'static [ReadyWhen] {
        &[
            ReadyWhen::Listening,
            ReadyWhen::Http200("/readyz"),
            ReadyWhen::FirstWrite,
        ]
    }

    fn database_paths(&self, datastore: Datastore) -> &'static [&'static str] {
        match datastore {
            Datastore::Sqlite | Datastore::SqliteFull => &["db"],
            Datastore::Etcd => &["etcd/member"],
            Datastore::Unknown => &[],
        }
    }

    fn etcd_metrics(&self, spec: &ServerSpec<'_>) -> Option<String> {
        (spec.datastore == Datastore::Etcd && spec.private_network)
            .then(|| format!("http://{}:2381/metrics", spec.address))
    }

    fn datastore(&self, spec: &ServerSpec<'_>) -> Option<DatastoreAccess> {
        let socket = match spec.datastore {
            Datastore::Sqlite | Datastore::SqliteFull => "etcd.sock",
            Datastore::Etcd => crate::control_plane::ETCD_SOCKET,
            Datastore::Unknown => return None,
        };
        Some(DatastoreAccess::unix(&spec.data_dir.join(socket)))
    }
}
