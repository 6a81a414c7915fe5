//! A private network for one cell: a veth pair or an emulator's TAP device, and a /30, by netlink. The `ip` program
//! is not needed.
//!
//! The default route inside is not for reaching anything: without one the API server ends at once with
//! `no default routes found in "/proc/net/route"`.

mod link;
mod subnet;
mod tap;

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

pub use link::LinkName;
pub(crate) use link::{configure_inside, connect, free_subnet};
pub use subnet::Subnet;
pub(crate) use tap::{Claim, claim};

/// One conversation with the kernel takes well under a millisecond; this only guards against a hang.
const DEADLINE: Duration = Duration::from_secs(10);

/// Deletes an interface of assay's. `Ok(false)`: it was gone.
///
/// # Errors
/// A sentence: the name or the hardware address is not assay's, or the kernel refused.
pub fn remove_interface(name: &str) -> Result<bool, String> {
    let link = LinkName::parse(name)
        .ok_or_else(|| format!("{name} is not named like an interface of assay's; left alone"))?;
    on_a_thread(move || talk(|handle| link::remove(handle, link)))
        .map_err(|error| format!("{error:#}; delete it with `ip link del {name}`"))
}

/// Runs a conversation with rtnetlink to its end, on this thread, which must not belong to a runtime.
fn talk<T, F: Future<Output = Result<T>>>(f: impl FnOnce(rtnetlink::Handle) -> F) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start a runtime")?;
    runtime.block_on(async {
        let (connection, handle, _) =
            rtnetlink::new_connection().context("failed to open rtnetlink; run as root")?;
        tokio::spawn(connection);
        tokio::time::timeout(DEADLINE, f(handle))
            .await
            .map_err(|_| anyhow!("failed to get an answer from rtnetlink within {DEADLINE:?}"))?
    })
}

/// Runs something that blocks on a thread of its own, because callers may sit in a runtime.
pub(crate) fn on_a_thread<T: Send + 'static>(
    f: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    std::thread::Builder::new()
        .name("assay-net".to_owned())
        .spawn(f)
        .context("failed to start a thread")?
        .join()
        .map_err(|_| anyhow!("the network thread panicked"))?
}
