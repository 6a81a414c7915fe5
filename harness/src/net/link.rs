//! The veth pair: made in the host's namespace with its peer in the cell's.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use rustix::fs::{FlockOperation, flock};

use super::{Subnet, talk};

const PREFIX: &str = "asy";
/// The name of the cell's end.
const INSIDE: &str = "eth0";

/// The name of a host-side interface: `asy` and 8 random hexadecimal digits. Its hardware address is made of
/// the same digits, so that `sweep` can tell assay's interface from another of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkName(u32);

impl LinkName {
    /// Names an interface by a random number.
    #[must_use]
    pub fn new(id: u32) -> Self {
        Self(id)
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let digits = name.strip_prefix(PREFIX).filter(|d| d.len() == 8)?;
        let link = Self(u32::from_str_radix(digits, 16).ok()?);
        (link.name() == name).then_some(link)
    }

    /// The interface's name, 11 characters of the 15 that the kernel allows.
    #[must_use]
    pub fn name(self) -> String {
        format!("{PREFIX}{:08x}", self.0)
    }

    /// The random number, from which the search for a free subnet starts.
    pub(super) fn seed(self) -> u32 {
        self.0
    }

    /// A locally administered unicast address (second-lowest bit of the first byte set, lowest clear).
    pub(super) fn hardware_address(self) -> Vec<u8> {
        let mut address = vec![0x02, b'a'];
        address.extend(self.0.to_be_bytes());
        address
    }
}

/// Makes the pair with its peer in the network namespace of `peer`, chooses a subnet and configures the host's
/// end. The interface must stand in the ledger already. Blocks.
///
/// # Errors
/// When the kernel refuses (no veth, no right), or the whole range is in use.
pub(crate) fn connect(link: LinkName, peer: u32) -> Result<Subnet> {
    super::on_a_thread(move || {
        // Choosing a subnet and taking it (by address) must be one step for all assays on this host. The
        // lock goes with the file; the address on the interface is what marks the subnet as taken.
        let _range = lock_range()?;
        talk(|handle| async move {
            let used = in_use(&handle).await?;
            let subnet = Subnet::choose(link.0, &used)
                .context("failed to find a free /30 in 198.18.0.0/15; run `assay sweep`")?;
            make(&handle, link, peer).await?;
            let index = index_of(&handle, &link.name())
                .await?
                .context("it vanished")?;
            bring_up(&handle, index, Some((subnet.host(), subnet.prefix()))).await?;
            Ok(subnet)
        })
    })
}

/// A subnet of this size that no interface and no route of this host uses, from a starting point on. Nothing marks it
/// as taken: the caller must try, and come back with another start if it was too late. Blocks.
///
/// # Errors
/// When the kernel does not answer, or the whole range is in use.
pub(crate) fn free_subnet(prefix: u8, start: u32) -> Result<Subnet> {
    super::on_a_thread(move || {
        talk(|handle| async move {
            Subnet::choose_sized(prefix, start, &in_use(&handle).await?).with_context(|| {
                format!("failed to find a free /{prefix} in 198.18.0.0/15; run `assay sweep`")
            })
        })
    })
}

/// Another assay holds the range for as long as its emulator takes to start.
const RANGE_WITHIN: Duration = Duration::from_secs(60);

/// Takes the lock on the address range; it goes with the file. Blocks.
pub(super) fn lock_range() -> Result<File> {
    let file = lock_file()?;
    let end = Instant::now() + RANGE_WITHIN;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => {
                return Err(error).context(
                    "failed to lock the address range within a minute; another assay holds it, perhaps a stopped one",
                );
            }
        }
    }
}

fn lock_file() -> Result<File> {
    let folder = ["/run/lock", "/var/lock"]
        .into_iter()
        .map(PathBuf::from)
        .find(|folder| folder.is_dir())
        .unwrap_or_else(std::env::temp_dir);
    let path = folder.join("assay-net.lock");
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("failed to open {}", path.display()))
}

/// Networks on this host's interfaces and in its routing tables, except default routes.
pub(super) async fn in_use(handle: &Handle) -> Result<Vec<(Ipv4Addr, u8)>> {
    let mut used = Vec::new();
    let mut addresses = handle.address().get().execute();
    while let Some(message) = addresses
        .try_next()
        .await
        .context("failed to list addresses")?
    {
        used.extend(
            message
                .attributes
                .iter()
                .filter_map(|attribute| match attribute {
                    AddressAttribute::Address(IpAddr::V4(address)) => {
                        Some((*address, message.header.prefix_len))
                    }
                    _ => None,
                }),
        );
    }
    let every = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let mut routes = handle.route().get(every).execute();
    while let Some(message) = routes.try_next().await.context("failed to list routes")? {
        let bits = message.header.destination_prefix_length;
        used.extend(
            message
                .attributes
                .iter()
                .filter_map(|attribute| match attribute {
                    RouteAttribute::Destination(RouteAddress::Inet(address)) if bits > 0 => {
                        Some((*address, bits))
                    }
                    _ => None,
                }),
        );
    }
    Ok(used)
}

async fn make(handle: &Handle, link: LinkName, peer: u32) -> Result<()> {
    // The peer is made in its namespace at once, under its final name: a second name in the host's
    // namespace would be one more thing to sweep.
    let inside = LinkMessageBuilder::<LinkUnspec>::new()
        .name(INSIDE.to_owned())
        .setns_by_pid(peer)
        .build();
    let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(link.name())
        .address(link.hardware_address())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(inside)))
        .build();
    handle.link().add(pair).execute().await.with_context(|| {
        format!(
            "failed to make the veth pair {}; load the kernel module `veth`",
            link.name()
        )
    })
}

/// Configures the cell's end, the loopback interface and the default route. Called inside the namespace, on a
/// thread that belongs to no runtime.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn configure_inside(subnet: Subnet) -> Result<()> {
    talk(|handle| async move {
        for (name, address) in [
            ("lo", None),
            (INSIDE, Some((subnet.cell(), subnet.prefix()))),
        ] {
            let index = index_of(&handle, name)
                .await?
                .with_context(|| format!("failed to find {name} in the private network"))?;
            bring_up(&handle, index, address).await?;
        }
        let default = RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(subnet.host())
            .build();
        handle
            .route()
            .add(default)
            .execute()
            .await
            .context("failed to add the default route of the private network")
    })
}

pub(super) async fn bring_up(
    handle: &Handle,
    index: u32,
    address: Option<(Ipv4Addr, u8)>,
) -> Result<()> {
    if let Some((address, prefix)) = address {
        handle
            .address()
            .add(index, IpAddr::V4(address), prefix)
            .execute()
            .await
            .with_context(|| format!("failed to add the address {address}"))?;
    }
    let up = LinkUnspec::new_with_index(index).up().build();
    handle
        .link()
        .set(up)
        .execute()
        .await
        .context("failed to bring an interface up")
}

/// Deletes the interface, if its hardware address is the one that assay gives to this name.
pub(super) async fn remove(handle: Handle, link: LinkName) -> Result<bool> {
    let Some((index, address)) = find(&handle, &link.name()).await? else {
        return Ok(false);
    };
    if address != link.hardware_address() {
        bail!("{} was not made by assay, so it is left alone", link.name());
    }
    match handle.link().del(index).execute().await {
        Ok(()) => Ok(true),
        // The namespace of its peer went meanwhile, and took the pair with it.
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("failed to delete {}", link.name())),
    }
}

pub(super) async fn index_of(handle: &Handle, name: &str) -> Result<Option<u32>> {
    Ok(find(handle, name).await?.map(|(index, _)| index))
}

async fn find(handle: &Handle, name: &str) -> Result<Option<(u32, Vec<u8>)>> {
    let mut answer = handle.link().get().match_name(name.to_owned()).execute();
    match answer.try_next().await {
        Ok(None) => Ok(None),
        Ok(Some(message)) => {
            let address = message
                .attributes
                .iter()
                .find_map(|attribute| match attribute {
                    LinkAttribute::Address(address) => Some(address.clone()),
                    _ => None,
                });
            Ok(Some((message.header.index, address.unwrap_or_default())))
        }
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to look for {name}")),
    }
}

fn is_missing(error: &rtnetlink::Error) -> bool {
    const ENODEV: i32 = 19;
    matches!(error, rtnetlink::Error::NetlinkError(message) if message.raw_code() == -ENODEV)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_fit() {
        let link = LinkName::new(0x00c0_ffee);
        assert_eq!(link.name(), "asy00c0ffee");
        assert!(link.name().len() <= 15);
        assert_eq!(LinkName::parse("asy00c0ffee"), Some(link));
        for foreign in [
            "eth0",
            "asy",
            "asy00c0ffe",
            "asy00C0FFEE",
            "asy+0c0ffee",
            "cni0",
        ] {
            assert_eq!(LinkName::parse(foreign), None, "{foreign}");
        }
    }
}
