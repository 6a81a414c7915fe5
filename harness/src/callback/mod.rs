//! What an API server calls: webhooks and aggregated groups, served over HTTPS by assay itself.
//!
//! The official tests run these in pods, which need a kubelet and an image. Here a check opens a server of its own, on
//! one address of this host and a port that the kernel chooses, for as long as the check lasts. It has a certificate
//! authority of its own: a configuration that another run left behind cannot speak to it by chance of the same port.

mod certificates;
mod conversion;
mod place;
mod probe;
mod review;
mod serve;
mod server;

pub use place::{Callback, Place, toward_server};
pub(crate) use probe::probe;
pub use review::Verdict;
pub use serve::{Answer, Call};
pub use server::{CallbackOptions, CallbackServer, IGNORED};
