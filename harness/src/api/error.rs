//! What can go wrong between assay and an API server, apart from the server's own answers.

use std::time::Duration;

/// A transport fault. It says nothing about the product unless the server died of it: checks make it Errored.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The kubeconfig could not be used.
    #[error(
        "failed to use the kubeconfig {path}: {reason}; give one that names a reachable server"
    )]
    Kubeconfig {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request could not be built: assay's own fault.
    #[error("failed to build {request}: {reason}")]
    BadRequest {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There was no connection, so that nothing was sent.
    #[error("failed to reach the server for {request}: {reason}; see whether it still runs")]
    Unreachable {
        /// Method and path.
        request: String,
        /// The chain of causes.
        reason: String,
    },
    /// The connection failed before or during the answer.
    #[error("failed to exchange {request}: {reason}; see whether the server still runs")]
    Transport {
        /// Method and path.
        request: String,
        /// The chain of causes.
        reason: String,
    },
    /// No answer in time.
    #[error(
        "failed to get an answer to {request} within {waited:?}; see whether the server still runs"
    )]
    Timeout {
        /// Method and path.
        request: String,
        /// The time granted.
        waited: Duration,
    },
    /// The server answers, and not as it must for anything to be examined.
    #[error(
        "failed to learn what the server offers: {request} was answered with {seen}; see whether it is ready, and \
         whether these credentials may ask"
    )]
    Refused {
        /// Method and path.
        request: String,
        /// The answer in one line.
        seen: String,
    },
    /// The answer is greater than assay takes from a device under test.
    #[error("failed to take the answer to {request}: it is longer than {limit} bytes")]
    TooLong {
        /// Method and path.
        request: String,
        /// The limit in bytes.
        limit: usize,
    },
}

/// The causes of an error in one line, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

/// Whether what went wrong is that no connection could be made.
pub(crate) fn is_unconnected(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let client = error.downcast_ref::<hyper_util::client::legacy::Error>();
        if client.is_some_and(hyper_util::client::legacy::Error::is_connect) {
            return true;
        }
        cause = error.source();
    }
    false
}
