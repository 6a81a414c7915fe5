//! The command line of each server.
//!
//! What is not said here is at its default: official conformance is judged against those. Flags are ones that v1.21 and the
//! newest Kubernetes know.

use std::net::IpAddr;
use std::path::PathBuf;

use super::Args;
use super::pki::{Pki, SERVICE_RANGE};

/// A server to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// What it is called in messages.
    pub(super) name: &'static str,
    /// Its binary.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<String>,
}

/// What etcd's clients connect to, in its working folder. etcd takes `unix://name:port`, and the file is then called
/// `name:port`: no port that another run could hold.
pub(crate) const ETCD_SOCKET: &str = "etcd.sock:0";

impl Server {
    /// `flags` with their values; a flag's two dashes are added.
    fn new(name: &'static str, program: &std::path::Path, flags: &[(&str, String)]) -> Self {
        Self {
            name,
            program: program.to_owned(),
            args: flags
                .iter()
                .map(|(flag, value)| format!("--{flag}={value}"))
                .collect(),
        }
    }
}

/// etcd, in the data folder as its working folder.
pub(super) fn etcd(args: &Args) -> Server {
    let client = format!("unix://{ETCD_SOCKET}");
    let peer = "unix://peer.sock:0".to_owned();
    let mut flags = vec![
        ("name", "assay".to_owned()),
        ("data-dir", "etcd".to_owned()),
        ("listen-client-urls", client.clone()),
        ("advertise-client-urls", client),
        ("listen-peer-urls", peer.clone()),
        ("initial-advertise-peer-urls", peer.clone()),
        ("initial-cluster", format!("assay={peer}")),
        // What K3s sets for its embedded member, so that the two can be compared.
        ("snapshot-count", "10000".to_owned()),
        (
            "experimental-watch-progress-notify-interval",
            "5s".to_owned(),
        ),
    ];
    if let Some(metrics) = &args.etcd_metrics {
        flags.push(("listen-metrics-urls", metrics.clone()));
    }
    Server::new("etcd", &args.etcd, &flags)
}

/// The API server. It is not bound to one address, for it advertises itself on `address` and checks call it there; on a
/// shared network it is not for others than this host.
pub(super) fn kube_apiserver(args: &Args, pki: &Pki, port: u16) -> Server {
    let bind = match args.address {
        own if own.is_loopback() => own.to_string(),
        IpAddr::V4(_) => "0.0.0.0".to_owned(),
        IpAddr::V6(_) => "::".to_owned(),
    };
    let socket = args.data_dir.join(ETCD_SOCKET);
    let mut flags = vec![
        ("etcd-servers", format!("unix://{}", socket.display())),
        ("bind-address", bind),
        ("secure-port", port.to_string()),
        ("tls-cert-file", pki.file("apiserver.crt")),
        ("tls-private-key-file", pki.file("apiserver.key")),
        ("client-ca-file", pki.file("ca.crt")),
        ("authorization-mode", "Node,RBAC".to_owned()),
        ("allow-privileged", "true".to_owned()),
        ("service-cluster-ip-range", SERVICE_RANGE.to_owned()),
        (
            "service-account-issuer",
            "https://kubernetes.default.svc.cluster.local".to_owned(),
        ),
        ("service-account-key-file", pki.file("sa.pub")),
        ("service-account-signing-key-file", pki.file("sa.key")),
        // Five by default: a check that awaits a compaction would wait for up to ten minutes.
        ("etcd-compaction-interval", "1m".to_owned()),
        // Who may speak for others to an aggregated API server, and so that there can be one at all.
        (
            "requestheader-client-ca-file",
            pki.file("front-proxy-ca.crt"),
        ),
        (
            "requestheader-allowed-names",
            "front-proxy-client".to_owned(),
        ),
        ("requestheader-username-headers", "X-Remote-User".to_owned()),
        ("requestheader-group-headers", "X-Remote-Group".to_owned()),
        (
            "requestheader-extra-headers-prefix",
            "X-Remote-Extra-".to_owned(),
        ),
        ("proxy-client-cert-file", pki.file("front-proxy-client.crt")),
        ("proxy-client-key-file", pki.file("front-proxy-client.key")),
        // No node carries Services here: those of webhooks and aggregated servers are reached at their endpoints.
        ("enable-aggregator-routing", "true".to_owned()),
    ];
    if !args.address.is_loopback() {
        flags.push(("advertise-address", args.address.to_string()));
    }
    Server::new("kube-apiserver", &args.kube_apiserver, &flags)
}

/// The controller manager, where there is one.
pub(super) fn kube_controller_manager(args: &Args, pki: &Pki) -> Option<Server> {
    let flags = [
        ("kubeconfig", pki.file("controller-manager.kubeconfig")),
        ("use-service-account-credentials", "true".to_owned()),
        ("service-account-private-key-file", pki.file("sa.key")),
        ("root-ca-file", pki.file("ca.crt")),
        ("cluster-signing-cert-file", pki.file("ca.crt")),
        ("cluster-signing-key-file", pki.file("ca.key")),
        // There is no other to agree with, and nobody asks it anything.
        ("leader-elect", "false".to_owned()),
        ("secure-port", "0".to_owned()),
    ];
    let program = args.kube_controller_manager.as_ref()?;
    Some(Server::new("kube-controller-manager", program, &flags))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::control_plane::pki;

    fn args(address: Ipv4Addr, data_dir: &std::path::Path) -> Args {
        Args {
            data_dir: data_dir.to_owned(),
            address: IpAddr::V4(address),
            port: Some(6443),
            etcd: "/k8s/etcd".into(),
            kube_apiserver: "/k8s/kube-apiserver".into(),
            kube_controller_manager: None,
            etcd_metrics: None,
        }
    }

    #[test]
    fn the_api_server_is_this_hosts_alone_on_a_shared_network() {
        let folder = tempfile::tempdir().unwrap();
        let line = |address: Ipv4Addr| {
            let pki = pki::prepare(folder.path(), IpAddr::V4(address), "https://h").unwrap();
            let server = kube_apiserver(&args(address, folder.path()), &pki, 6443);
            server.args.join(" ")
        };
        let shared = line(Ipv4Addr::LOCALHOST);
        assert!(shared.contains("--bind-address=127.0.0.1 "), "{shared}");
        assert!(!shared.contains("--advertise-address"), "{shared}");
        let private = line(Ipv4Addr::new(198, 18, 0, 2));
        assert!(private.contains("--bind-address=0.0.0.0 "), "{private}");
        assert!(
            private.contains("--advertise-address=198.18.0.2"),
            "{private}"
        );
    }

    #[test]
    fn without_its_binary_no_controller_runs() {
        let folder = tempfile::tempdir().unwrap();
        let address = Ipv4Addr::LOCALHOST;
        let pki = pki::prepare(folder.path(), IpAddr::V4(address), "https://h").unwrap();
        let without = args(address, folder.path());
        assert_eq!(kube_controller_manager(&without, &pki), None);
        let with = Args {
            kube_controller_manager: Some("/k8s/kube-controller-manager".into()),
            ..without
        };
        let line = kube_controller_manager(&with, &pki).unwrap().args;
        let kubeconfig = pki.file("controller-manager.kubeconfig");
        assert!(line.contains(&format!("--kubeconfig={kubeconfig}")));
    }

    #[test]
    fn etcd_shows_its_metrics_where_it_is_told_to() {
        let mut args = args(Ipv4Addr::LOCALHOST, std::path::Path::new("/data"));
        let listens = |args: &Args| {
            let line = etcd(args).args.join(" ");
            line.contains("--listen-metrics-urls=http://198.18.0.2:2381")
        };
        assert!(!listens(&args));
        args.etcd_metrics = Some("http://198.18.0.2:2381".to_owned());
        assert!(listens(&args));
    }
}
