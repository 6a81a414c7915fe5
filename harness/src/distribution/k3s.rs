//! K3s, as a control plane without agent (API server, controller manager, scheduler and datastore in one process, no
//! kubelet, hence no images) or as a whole node with the network plugins of its place. Only flags that v1.21 and the newest know; the helm controller stays
//! on, for the flag that turns it off came after v1.21.2.

use crate::cell::Shape;
use crate::distribution::{
    Access, AgentSpec, ArtifactNeed, CommandLine, Datastore, DatastoreAccess, Distribution,
    PROBE_IMAGE, ReadyWhen, ServerSpec, Surface, TlsFiles,
};

/// The distribution that assay exists for.
pub struct K3s;

/// Packaged components that need a kubelet or a network to be of use.
const DISABLED: &str = "traefik,metrics-server,local-storage,coredns,servicelb";

/// The supervisor and API server's port (`--https-listen-port`'s default).
pub const API_PORT: u16 = 6443;

/// The secret, as a variable and not as an argument: arguments are in the record and in every list of processes.
fn token(secret: &str) -> (String, String) {
    ("K3S_TOKEN".to_owned(), secret.to_owned())
}

impl Distribution for K3s {
    fn name(&self) -> &'static str {
        "k3s"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi]
    }

    fn datastores(&self) -> &'static [Datastore] {
        &[Datastore::Sqlite, Datastore::Etcd, Datastore::SqliteFull]
    }

    fn shapes(&self) -> &'static [Shape] {
        &[Shape::ControlPlane, Shape::Node]
    }

    fn artifacts(&self) -> &'static [ArtifactNeed] {
        const { &[ArtifactNeed::always("k3s")] }
    }

    fn server(&self, spec: &ServerSpec<'_>) -> CommandLine {
        let data = spec.data_dir.display().to_string();
        let mut args: Vec<String> = [
            "server",
            "--disable",
            DISABLED,
            "--disable-cloud-controller",
            "--disable-network-policy",
        ]
        .map(str::to_owned)
        .to_vec();
        match spec.shape {
            Shape::ControlPlane | Shape::ApiServer => args.push("--disable-agent".into()),
            // Offline: the one image that there is, and a network that needs no plugin of K3s's own bundle.
            Shape::Node => args.extend(
                ["--flannel-backend", "none", "--pause-image", PROBE_IMAGE].map(str::to_owned),
            ),
        }
        args.extend(["--data-dir".into(), data.clone()]);
        args.extend([
            "--write-kubeconfig".into(),
            format!("{data}/kubeconfig.yaml"),
        ]);
        args.extend(["--tls-san".into(), spec.address.to_string()]);
        if let Some(address) = spec.node_address {
            // It is what the server tells agents to connect to from then on, too.
            args.extend(["--node-ip".into(), address.to_string()]);
        }
        if spec.datastore == Datastore::SqliteFull {
            // kine's own options and one more. It takes them from the endpoint as they stand, and makes no folder.
            args.extend([
                "--datastore-endpoint".into(),
                format!(
                    "sqlite://{data}/server/state.db?_journal=WAL&cache=shared&_synchronous=FULL"
                ),
            ]);
        }
        if spec.datastore == Datastore::Etcd {
            // Exposed metrics are the only view of etcd's fsyncs; snapshots would write to disk at noon.
            args.extend(
                [
                    "--cluster-init",
                    "--etcd-expose-metrics",
                    "--etcd-disable-snapshots",
                ]
                .map(str::to_owned),
            );
        }
        CommandLine {
            program: spec.binaries.get("k3s").cloned().unwrap_or_default(),
            args,
            env: spec
                .env
                .iter()
                .cloned()
                .chain(spec.token.map(token))
                .collect(),
        }
    }

    fn has_agents(&self) -> bool {
        true
    }

    fn agent(&self, spec: &AgentSpec<'_>) -> Option<CommandLine> {
        let server = format!("https://{}:{API_PORT}", spec.server);
        let data = spec.data_dir.display().to_string();
        let args = [
            "agent",
            "--server",
            &server,
            "--node-name",
            spec.name,
            "--pause-image",
            PROBE_IMAGE,
            "--data-dir",
            &data,
        ];
        let own = spec.address.map(|address| address.to_string());
        let own = own.iter().flat_map(|address| ["--node-ip", address]);
        let env = spec.env.iter().cloned();
        Some(CommandLine {
            program: spec.binaries.get("k3s").cloned().unwrap_or_default(),
            args: args.into_iter().chain(own).map(str::to_owned).collect(),
            env: env.chain([token(spec.token)]).collect(),
        })
    }

    fn access(&self, spec: &ServerSpec<'_>) -> Access {
        Access::Kubeconfig {
            path: spec.data_dir.join("kubeconfig.yaml"),
            context: None,
            url: Some(format!("https://{}:{API_PORT}", spec.address)),
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
            Datastore::Sqlite => &[
                "server/db/state.db",
                "server/db/state.db-wal",
                "server/db/state.db-shm",
            ],
            Datastore::SqliteFull => &[
                "server/state.db",
                "server/state.db-wal",
                "server/state.db-shm",
            ],
            Datastore::Etcd => &["server/db/etcd/member"],
            Datastore::Unknown => &[],
        }
    }

    fn etcd_metrics(&self, spec: &ServerSpec<'_>) -> Option<String> {
        (spec.datastore == Datastore::Etcd).then(|| format!("http://{}:2381/metrics", spec.address))
    }

    /// kine serves on a socket that it makes. The embedded member serves clients on the node's address, and takes the
    /// certificate by which the API server speaks to it.
    fn datastore(&self, spec: &ServerSpec<'_>) -> Option<DatastoreAccess> {
        let server = spec.data_dir.join("server");
        match spec.datastore {
            Datastore::Sqlite | Datastore::SqliteFull => {
                Some(DatastoreAccess::unix(&server.join("kine.sock")))
            }
            Datastore::Etcd => {
                let tls = server.join("tls/etcd");
                Some(DatastoreAccess {
                    url: format!("https://{}:2379", spec.address),
                    tls: Some(TlsFiles {
                        ca: tls.join("server-ca.crt"),
                        cert: tls.join("client.crt"),
                        key: tls.join("client.key"),
                    }),
                })
            }
            Datastore::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{IpAddr, Ipv4Addr};
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn an_agent_joins_with_the_servers_secret_which_no_argument_shows() {
        let binaries = BTreeMap::from([("k3s", PathBuf::from("/bin/k3s"))]);
        let address = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 10));
        let server = K3s.server(&ServerSpec {
            datastore: Datastore::Sqlite,
            shape: Shape::Node,
            env: &[("GOGC".to_owned(), "40".to_owned())],
            data_dir: Path::new("/data"),
            address,
            private_network: true,
            node_address: None,
            token: Some("secret"),
            binaries: &binaries,
        });
        let spec = AgentSpec {
            name: "agent-1",
            env: &[("GOGC".to_owned(), "40".to_owned())],
            server: address,
            address: Some(IpAddr::V4(Ipv4Addr::new(10, 61, 0, 2))),
            token: "secret",
            data_dir: Path::new("/agent"),
            binaries: &binaries,
        };
        let agent = K3s.agent(&spec).unwrap();
        let secret = ("K3S_TOKEN".to_owned(), "secret".to_owned());
        assert!(server.env.contains(&secret) && agent.env.contains(&secret));
        assert_eq!(server.env, agent.env);
        assert_eq!(server.env.len(), 2);
        assert!(
            agent
                .args
                .ends_with(&["--node-ip".to_owned(), "10.61.0.2".to_owned()])
        );
        let words = [server.args, agent.args.clone()].concat().join(" ");
        assert!(!words.contains("secret"), "{words}");
        assert!(
            agent
                .args
                .join(" ")
                .starts_with("agent --server https://198.18.0.10:6443 --node-name agent-1 "),
            "{:?}",
            agent.args
        );
        assert_eq!(K3s.has_agents(), K3s.agent(&spec).is_some());
    }
}
