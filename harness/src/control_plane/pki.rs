//! The keys of a control plane: who may speak to whom, and the kubeconfigs that say so.
//!
//! Files and subjects are those that the Kubernetes documentation lists under "PKI certificates and requirements".

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// The first address of [`SERVICE_RANGE`], which the Service `kubernetes` gets.
const SERVICE_ADDRESS: &str = "10.96.0.1";

/// The addresses of Services; kubeadm's default.
pub(super) const SERVICE_RANGE: &str = "10.96.0.0/16";

/// A certificate and its key, both PEM.
struct Identity {
    certificate: String,
    key: String,
}

/// An authority that signs.
struct Authority {
    certificate: String,
    key: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> anyhow::Result<Self> {
        let pair = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        Ok(Self {
            certificate: params.self_signed(&pair)?.pem(),
            key: pair.serialize_pem(),
            issuer: Issuer::new(params, pair),
        })
    }

    fn signs(
        &self,
        name: &str,
        group: Option<&str>,
        usage: ExtendedKeyUsagePurpose,
        names: Vec<SanType>,
    ) -> anyhow::Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(group) = group {
            params
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        params.subject_alt_names = names;
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        Ok(Identity {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// A kubeconfig of a client that this authority has signed, with everything in it.
    fn kubeconfig(&self, client: &Identity, url: &str) -> String {
        let encode = |text: &str| STANDARD.encode(text);
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: kubernetes\n  cluster:\n    server: {url}\n    \
             certificate-authority-data: {}\nusers:\n- name: client\n  user:\n    client-certificate-data: {}\n    \
             client-key-data: {}\ncontexts:\n- name: client@kubernetes\n  context:\n    cluster: kubernetes\n    \
             user: client\ncurrent-context: client@kubernetes\n",
            encode(&self.certificate),
            encode(&client.certificate),
            encode(&client.key),
        )
    }
}

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
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let ca = Authority::new("kubernetes-ca")?;
    let front = Authority::new("kubernetes-front-proxy-ca")?;
    let apiserver = ca.signs("kube-apiserver", None, ServerAuth, names(address)?)?;
    let masters = Some("system:masters");
    let admin = ca.signs("kubernetes-admin", masters, ClientAuth, Vec::new())?;
    let name = "system:kube-controller-manager";
    let controllers = ca.signs(name, None, ClientAuth, Vec::new())?;
    let proxy = front.signs("front-proxy-client", None, ClientAuth, Vec::new())?;
    let accounts = KeyPair::generate()?;
    for (name, text) in [
        ("ca.crt", &ca.certificate),
        ("ca.key", &ca.key),
        ("apiserver.crt", &apiserver.certificate),
        ("apiserver.key", &apiserver.key),
        ("front-proxy-ca.crt", &front.certificate),
        ("front-proxy-client.crt", &proxy.certificate),
        ("front-proxy-client.key", &proxy.key),
        ("sa.key", &accounts.serialize_pem()),
        ("sa.pub", &accounts.public_key_pem()),
        ("admin.kubeconfig", &ca.kubeconfig(&admin, url)),
        (
            "controller-manager.kubeconfig",
            &ca.kubeconfig(&controllers, url),
        ),
    ] {
        write_private(&folder.join(name), text)?;
    }
    Ok(())
}

/// The names by which the API server may be called.
fn names(address: IpAddr) -> anyhow::Result<Vec<SanType>> {
    let mut names = vec![
        SanType::IpAddress(address),
        SanType::IpAddress(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(SERVICE_ADDRESS.parse()?),
    ];
    for name in [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ] {
        names.push(SanType::DnsName(name.try_into()?));
    }
    Ok(names)
}

/// Writes a file that only its owner may read.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create_new(true);
    options.options_mut().mode(0o600);
    std::io::Write::write_all(&mut options.open(path)?, text.as_bytes())?;
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
