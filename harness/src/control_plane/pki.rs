//! The keys of a control plane: who may speak to whom, and the kubeconfigs that say so.
//!
//! Files and subjects are those that the Kubernetes documentation lists under "PKI certificates and requirements".

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use fixtures::pki::{Authority, Identity, Subject, key_pair, kubeconfig, write_private};

/// The first address of [`SERVICE_RANGE`], which the Service `kubernetes` gets.
const SERVICE_ADDRESS: &str = "10.96.0.1";

/// The addresses of Services; kubeadm's default.
pub(super) const SERVICE_RANGE: &str = "10.96.0.0/16";

/// The names by which the API server may be called.
const NAMES: [&str; 5] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// Where the keys are.
pub(super) struct Pki {
    folder: PathBuf,
}

impl Pki {
    /// A file of it, such as `ca.crt`.
    pub(super) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The cluster administrator's kubeconfig.
    pub(super) fn admin(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }
}

/// Makes the keys of a control plane in `<data_dir>/pki`. Those that are there are kept, so that clients go on
/// trusting a server that is started again on its data.
///
/// # Errors
/// When they cannot be made or written.
pub(super) fn prepare(data_dir: &Path, address: IpAddr, url: &str) -> anyhow::Result<Pki> {
    let folder = data_dir.join("pki");
    if !folder.exists() {
        // Under another name until it is whole.
        let unfinished = data_dir.join("pki.part");
        if unfinished.exists() {
            fs_err::remove_dir_all(&unfinished)?;
        }
        fs_err::create_dir(&unfinished)?;
        make(&unfinished, address, url).context("failed to make the keys of the control plane")?;
        fs_err::rename(&unfinished, &folder)?;
    }
    Ok(Pki { folder })
}

fn make(folder: &Path, address: IpAddr, url: &str) -> anyhow::Result<()> {
    let ca = Authority::new("kubernetes-ca")?;
    let front = Authority::new("kubernetes-front-proxy-ca")?;
    let local = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let addresses = [address, local, SERVICE_ADDRESS.parse()?];
    let apiserver = ca.signs(Subject::server("kube-apiserver", &addresses, &NAMES))?;
    let admin = ca.signs(Subject::client("kubernetes-admin", Some("system:masters")))?;
    let controllers = ca.signs(Subject::client("system:kube-controller-manager", None))?;
    let proxy = front.signs(Subject::client("front-proxy-client", None))?;
    let (accounts, accounts_public) = key_pair()?;
    let of = |client: &Identity| kubeconfig("kubernetes", url, ca.certificate(), client);
    for (name, text) in [
        ("ca.crt", ca.certificate()),
        ("ca.key", ca.key()),
        ("apiserver.crt", apiserver.certificate.as_str()),
        ("apiserver.key", apiserver.key.as_str()),
        ("front-proxy-ca.crt", front.certificate()),
        ("front-proxy-client.crt", proxy.certificate.as_str()),
        ("front-proxy-client.key", proxy.key.as_str()),
        ("sa.key", accounts.as_str()),
        ("sa.pub", accounts_public.as_str()),
        ("admin.kubeconfig", of(&admin).as_str()),
        ("controller-manager.kubeconfig", of(&controllers).as_str()),
    ] {
        write_private(&folder.join(name), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_private_and_kept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let address = IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 2));
        let first = prepare(folder.path(), address, "https://198.18.0.2:6443").unwrap();
        let read = |pki: &Pki| fs_err::read_to_string(pki.admin()).unwrap();
        let text = read(&first);
        assert!(text.contains("server: https://198.18.0.2:6443\n"), "{text}");
        assert!(kube::config::Kubeconfig::from_yaml(&text).is_ok());
        for entry in fs_err::read_dir(folder.path().join("pki")).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
        let again = prepare(folder.path(), address, "https://198.18.0.2:6443").unwrap();
        assert_eq!(read(&again), text);
    }

    #[test]
    fn the_service_kubernetes_has_the_first_address_of_the_range() {
        let (network, _) = SERVICE_RANGE.split_once('/').unwrap();
        let network: std::net::Ipv4Addr = network.parse().unwrap();
        let first: std::net::Ipv4Addr = SERVICE_ADDRESS.parse().unwrap();
        assert_eq!(u32::from(first), u32::from(network) + 1);
    }
}
