//! An authority for one server, and what it signs.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use fixtures::pki::{Authority, Subject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// What a listener needs, and what its callers must trust.
pub(super) struct Material {
    pub authority_pem: String,
    pub tls: Arc<ServerConfig>,
}

/// A certificate for an address and names. With `client_authority`, callers may show a certificate of that authority;
/// one of any other ends the handshake.
pub(super) fn make(
    address: IpAddr,
    names: &[String],
    client_authority: Option<&str>,
) -> Result<Material> {
    let authority = Authority::new("assay-callback-ca")?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let own = authority.signs(Subject::server("assay-callback", &[address], &names))?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match client_authority {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate?)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .context("failed to trust the cluster's authority of front proxies")?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut tls = builder.with_single_cert(
        vec![CertificateDer::from_pem_slice(own.certificate.as_bytes())?],
        PrivateKeyDer::from_pem_slice(own.key.as_bytes())?,
    )?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Material {
        authority_pem: authority.certificate().to_owned(),
        tls: Arc::new(tls),
    })
}
