//! From a kubeconfig file to a client.

use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::ApiError;
use super::error::chain;

/// Builds a client from a kubeconfig, optionally of another context than its current one, and with another server
/// address.
///
/// With another address the certificate is still checked against the kubeconfig's own host: K3s
/// writes `127.0.0.1`, which every K3s certificate carries, whatever address a target gave the server.
///
/// # Errors
/// When the file cannot be read or names no usable server.
pub async fn client(
    kubeconfig: &Path,
    context: Option<&str>,
    server: Option<&str>,
) -> Result<Client, ApiError> {
    let fault = |reason: String| ApiError::Kubeconfig {
        path: kubeconfig.display().to_string(),
        reason,
    };
    // Another part of the process may have chosen already; either choice is `ring`.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = Kubeconfig::read_from(kubeconfig).map_err(|error| fault(chain(&error)))?;
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let mut config = Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(|error| fault(chain(&error)))?;
    if let Some(server) = server {
        let original = config.cluster_url.host().map(str::to_owned);
        config.cluster_url = server
            .parse()
            .map_err(|error| fault(format!("{server} is not an address: {error}")))?;
        if config.tls_server_name.is_none() {
            config.tls_server_name = original;
        }
    }
    // Deadlines are assay's own; a silent retry would hide what the server said.
    config.read_timeout = None;
    config.write_timeout = None;
    config.default_retry = false;
    Client::try_from(config).map_err(|error| fault(chain(&error)))
}
