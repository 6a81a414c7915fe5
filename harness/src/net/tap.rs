//! The host's end of an emulated machine's network: a TAP device that the emulator makes and that goes with it.

use std::fs::File;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rtnetlink::LinkUnspec;

use super::link::{self, LinkName};
use super::{Subnet, on_a_thread, talk};

/// The emulator makes its device before it answers on its control socket; this only guards against a hang.
const DEVICE_WITHIN: Duration = Duration::from_secs(5);

/// A subnet that was chosen, and the lock on the address range until an interface carries it.
#[derive(Debug)]
pub(crate) struct Claim {
    subnet: Subnet,
    _lock: File,
}

/// Chooses a free subnet and keeps all other assays from choosing until the claim is used or dropped. Blocks.
///
/// # Errors
/// When the kernel refuses, or the whole range (or the subnet that was asked for) is in use.
pub(crate) fn claim(link: LinkName, wish: Option<Subnet>) -> Result<Claim> {
    on_a_thread(move || {
        let lock = link::lock_range()?;
        let used = talk(|handle| async move { link::in_use(&handle).await })?;
        let subnet = match wish {
            Some(wish) if wish.is_free(&used) => wish,
            Some(wish) => bail!("failed to use the network of {}: it is taken", wish.host()),
            None => Subnet::choose(link.seed(), &used)
                .context("failed to find a free /30 in 198.18.0.0/15; run `assay sweep`")?,
        };
        Ok(Claim {
            subnet,
            _lock: lock,
        })
    })
}

impl Claim {
    /// The subnet.
    pub fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// Waits for the device, marks it as assay's by its hardware address, and gives it the host's address.
    /// Blocks.
    ///
    /// # Errors
    /// When it does not appear, or the kernel refuses.
    pub fn adopt(self, link: LinkName) -> Result<Subnet> {
        let subnet = self.subnet;
        on_a_thread(move || {
            talk(|handle| async move {
                let end = Instant::now() + DEVICE_WITHIN;
                let index = loop {
                    match link::index_of(&handle, &link.name()).await? {
                        Some(index) => break index,
                        None if Instant::now() >= end => bail!(
                            "failed to find the emulator's network device {} within {DEVICE_WITHIN:?}",
                            link.name()
                        ),
                        None => tokio::time::sleep(Duration::from_millis(5)).await,
                    }
                };
                let mark = LinkUnspec::new_with_index(index)
                    .address(link.hardware_address())
                    .build();
                let marked = handle.link().set(mark).execute().await;
                marked.context("failed to mark the emulator's network device")?;
                link::bring_up(&handle, index, Some((subnet.host(), subnet.prefix()))).await
            })
        })?;
        Ok(subnet)
    }
}
