//! A bare etcd: one member, no Kubernetes. It shows what the datastore alone costs.

use crate::cell::Shape;
use crate::distribution::{
    Access, ArtifactNeed, CommandLine, Datastore, DatastoreAccess, Distribution, ReadyWhen,
    ServerSpec, Surface,
};

/// etcd by itself.
pub struct Etcd;

impl Distribution for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::EtcdApi]
    }

    fn datastores(&self) -> &'static [Datastore] {
        &[Datastore::Etcd]
    }

    fn artifacts(&self) -> &'static [ArtifactNeed] {
        const { &[ArtifactNeed::always("etcd")] }
    }

    fn server(&self, spec: &ServerSpec<'_>) -> CommandLine {
        let client = format!("http://{}:2379", spec.address);
        let peer = "http://127.0.0.1:2380";
        let data_dir = spec.data_dir.join("etcd").display().to_string();
        let pairs = [
            ("--name", "assay".to_owned()),
            ("--data-dir", data_dir),
            ("--listen-client-urls", client.clone()),
            ("--advertise-client-urls", client),
            ("--listen-peer-urls", peer.to_owned()),
            ("--initial-advertise-peer-urls", peer.to_owned()),
            ("--initial-cluster", format!("assay={peer}")),
            // What K3s sets for its embedded member, so that the two can be compared.
            ("--snapshot-count", "10000".to_owned()),
            (
                "--experimental-watch-progress-notify-interval",
                "5s".to_owned(),
            ),
        ];
        CommandLine {
            program: spec.binaries.get("etcd").cloned().unwrap_or_default(),
            args: pairs
                .into_iter()
                .flat_map(|(flag, value)| [flag.to_owned(), value])
                .collect(),
            env: spec.env.to_vec(),
        }
    }

    fn access(&self, spec: &ServerSpec<'_>) -> Access {
        Access::Etcd {
            url: format!("http://{}:2379", spec.address),
        }
    }

    fn ready_when(&self, _: Shape) -> &'static [ReadyWhen] {
        &[
            ReadyWhen::Listening,
            ReadyWhen::Http200("/health"),
            ReadyWhen::FirstWrite,
        ]
    }

    fn database_paths(&self, _: Datastore) -> &'static [&'static str] {
        &["etcd/member"]
    }

    fn etcd_metrics(&self, spec: &ServerSpec<'_>) -> Option<String> {
        Some(format!("http://{}:2379/metrics", spec.address))
    }

    fn datastore(&self, spec: &ServerSpec<'_>) -> Option<DatastoreAccess> {
        Some(DatastoreAccess::plain(format!(
            "http://{}:2379",
            spec.address
        )))
    }
}
