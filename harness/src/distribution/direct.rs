//! How a datastore is spoken to directly, past the Kubernetes API.

use std::path::{Path, PathBuf};

/// Where a datastore's etcd v3 API is, as seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatastoreAccess {
    /// `http://host:port`, `https://host:port` or `unix:///path`.
    pub url: String,
    /// For `https`: the files that it takes. They may appear only after the server serves.
    pub tls: Option<TlsFiles>,
}

/// PEM files of the server's own folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authority that the server's certificate comes from.
    pub ca: PathBuf,
    /// A client's certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl DatastoreAccess {
    /// By a socket.
    #[must_use]
    pub fn unix(path: &Path) -> Self {
        Self {
            url: format!("unix://{}", path.display()),
            tls: None,
        }
    }

    /// By a URL without TLS.
    #[must_use]
    pub fn plain(url: String) -> Self {
        Self { url, tls: None }
    }
}
