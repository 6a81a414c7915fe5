//! Kubernetes as it is released: kube-apiserver, etcd and kube-controller-manager from one folder, with nothing of a
//! lightweight distribution between. What K3s is held against.
//!
//! One inner process of assay starts them ([`crate::control_plane`]), so that a cell has one server.

use crate::cell::Shape;
use crate::control_plane::{ETCD_SOCKET, SUBCOMMAND};
use crate::distribution::{
    Access, ArtifactNeed, CommandLine, Datastore, DatastoreAccess, Distribution, ReadyWhen,
    ServerSpec, Surface,
};

/// The upstream servers.
pub struct Kubernetes;

/// The API server's port where every port is free; kube-apiserver's default.
const API_PORT: u16 = 6443;

/// The binary without which no controller runs. envtest's own releases do not have it.
pub const CONTROLLER_MANAGER: &str = "kube-controller-manager";

impl Distribution for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi]
    }

    fn datastores(&self) -> &'static [Datastore] {
        &[Datastore::Etcd]
    }

    fn shapes(&self) -> &'static [Shape] {
        &[Shape::ControlPlane, Shape::ApiServer]
    }

    fn artifacts(&self) -> &'static [ArtifactNeed] {
        const {
            &[
                ArtifactNeed::always("assay"),
                ArtifactNeed::always("etcd"),
                ArtifactNeed::always("kube-apiserver"),
                ArtifactNeed {
                    name: CONTROLLER_MANAGER,
                    only_for: None,
                    not_in: Some(Shape::ApiServer),
                },
            ]
        }
    }

    fn server(&self, spec: &ServerSpec<'_>) -> CommandLine {
        let binary = |name: &str| spec.binaries.get(name).cloned().unwrap_or_default();
        let mut args = vec![
            SUBCOMMAND.to_owned(),
            "--data-dir".into(),
            spec.data_dir.display().to_string(),
            "--address".into(),
            spec.address.to_string(),
        ];
        // On a shared network a free port is chosen, and etcd shows its metrics to nobody, so that runs do not meet.
        if spec.private_network {
            args.extend(["--port".into(), API_PORT.to_string()]);
        }
        if let Some(url) = metrics(spec) {
            args.extend(["--etcd-metrics".into(), url]);
        }
        let controllers = (spec.shape != Shape::ApiServer).then_some(CONTROLLER_MANAGER);
        for name in ["etcd", "kube-apiserver"].into_iter().chain(controllers) {
            args.extend([format!("--{name}"), binary(name).display().to_string()]);
        }
        CommandLine {
            program: binary("assay"),
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

    fn ready_when(&self, shape: Shape) -> &'static [ReadyWhen] {
        const CONDITIONS: &[ReadyWhen] = &[
            ReadyWhen::Listening,
            ReadyWhen::Http200("/readyz"),
            ReadyWhen::FirstWrite,
            ReadyWhen::Controllers,
        ];
        match shape {
            Shape::ApiServer => &CONDITIONS[..3],
            _ => CONDITIONS,
        }
    }

    fn database_paths(&self, _: Datastore) -> &'static [&'static str] {
        &["etcd/member"]
    }

    fn etcd_metrics(&self, spec: &ServerSpec<'_>) -> Option<String> {
        metrics(spec).map(|url| format!("{url}/metrics"))
    }

    fn datastore(&self, spec: &ServerSpec<'_>) -> Option<DatastoreAccess> {
        Some(DatastoreAccess::unix(&spec.data_dir.join(ETCD_SOCKET)))
    }
}

/// Where etcd is to show its metrics.
fn metrics(spec: &ServerSpec<'_>) -> Option<String> {
    spec.private_network
        .then(|| format!("http://{}:2381", spec.address))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{IpAddr, Ipv4Addr};
    use std::path::{Path, PathBuf};

    use clap::Parser;

    use super::*;

    fn line(shape: Shape, private_network: bool) -> crate::control_plane::Args {
        let binaries = ["assay", "etcd", "kube-apiserver", CONTROLLER_MANAGER]
            .map(|name| (name, Path::new("/k8s").join(name)));
        let command = Kubernetes.server(&ServerSpec {
            datastore: Datastore::Etcd,
            shape,
            env: &[],
            data_dir: Path::new("/data"),
            address: IpAddr::V4(Ipv4Addr::new(198, 18, 0, 2)),
            private_network,
            node_address: None,
            token: None,
            binaries: &BTreeMap::from(binaries),
        });
        assert_eq!(command.program, Path::new("/k8s/assay"));
        crate::control_plane::Args::try_parse_from(command.args).unwrap()
    }

    #[test]
    fn its_supervisor_understands_what_it_is_told() {
        let args = line(Shape::ControlPlane, true);
        assert_eq!(args.port, Some(API_PORT));
        assert_eq!(args.etcd_metrics.as_deref(), Some("http://198.18.0.2:2381"));
        assert_eq!(args.kube_apiserver, Path::new("/k8s/kube-apiserver"));
        let controllers = Some(PathBuf::from("/k8s/kube-controller-manager"));
        assert_eq!(args.kube_controller_manager, controllers);
        let shared = line(Shape::ControlPlane, false);
        assert_eq!((shared.port, shared.etcd_metrics), (None, None));
    }

    #[test]
    fn the_shape_api_server_has_no_controllers_and_awaits_none() {
        let args = line(Shape::ApiServer, true);
        assert_eq!(args.kube_controller_manager, None);
        let awaits = |shape| {
            let conditions = Kubernetes.ready_when(shape);
            conditions.contains(&ReadyWhen::Controllers)
        };
        assert!(awaits(Shape::ControlPlane) && !awaits(Shape::ApiServer));
        let needs = |shape| {
            let artifacts = Kubernetes.artifacts().iter();
            let needed = artifacts.filter(|need| need.applies(Datastore::Etcd, shape));
            needed.map(|need| need.name).collect::<Vec<_>>()
        };
        assert!(needs(Shape::ControlPlane).contains(&CONTROLLER_MANAGER));
        assert!(!needs(Shape::ApiServer).contains(&CONTROLLER_MANAGER));
    }
}
