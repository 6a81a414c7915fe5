//! The /30 of a cell: the host's address, the cell's address.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// 198.18.0.0/15 is set aside for benchmarks of network devices (RFC 2544, RFC 6890): no site routes it, and
/// it collides with neither the clusters' 10.42/16 and 10.43/16 nor with common private networks.
const BASE: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// The number of /30 subnets in the /15.
const SLOTS: u32 = 1 << 15;

/// A /30 subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    slot: u32,
}

impl Subnet {
    /// Both addresses' prefix length.
    pub const PREFIX: u8 = 30;

    /// The address on the host's end, also the cell's gateway.
    #[must_use]
    pub fn host(self) -> Ipv4Addr {
        Ipv4Addr::from(self.network() + 1)
    }

    /// The address on the cell's end.
    #[must_use]
    pub fn cell(self) -> Ipv4Addr {
        Ipv4Addr::from(self.network() + 2)
    }

    fn network(self) -> u32 {
        BASE + self.slot * 4
    }

    /// The first subnet, from a starting point on, that overlaps none of the networks in use.
    pub(super) fn choose(start: u32, used: &[(Ipv4Addr, u8)]) -> Option<Self> {
        (0..SLOTS)
            .map(|step| Self {
                slot: (start.wrapping_add(step)) % SLOTS,
            })
            .find(|subnet| subnet.is_free(used))
    }

    /// Whether it overlaps none of the networks in use.
    pub(super) fn is_free(self, used: &[(Ipv4Addr, u8)]) -> bool {
        !used
            .iter()
            .any(|(address, bits)| self.overlaps(*address, *bits))
    }

    fn overlaps(self, address: Ipv4Addr, bits: u8) -> bool {
        let bits = u32::from(bits.min(Self::PREFIX));
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        (self.network() ^ u32::from(address)) & mask == 0
    }
}

/// As an engine's API wants it: `198.18.0.0/30`.
impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.network()), Self::PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_not_chosen() {
        let first = Subnet::choose(0, &[]).unwrap();
        assert_eq!(first.host(), Ipv4Addr::new(198, 18, 0, 1));
        assert_eq!(first.cell(), Ipv4Addr::new(198, 18, 0, 2));
        assert_eq!(first.to_string(), "198.18.0.0/30");
        let second = Subnet::choose(0, &[(first.host(), 30)]).unwrap();
        assert_eq!(second.host(), Ipv4Addr::new(198, 18, 0, 5));
        let half = (Ipv4Addr::new(198, 18, 0, 0), 16);
        assert_eq!(
            Subnet::choose(7, &[half]).unwrap().host(),
            Ipv4Addr::new(198, 19, 0, 1)
        );
        let last = Subnet::choose(SLOTS - 1, &[]).unwrap();
        assert_eq!(last.cell(), Ipv4Addr::new(198, 19, 255, 254));
        assert_eq!(
            Subnet::choose(
                0,
                &[(Ipv4Addr::UNSPECIFIED, 1), (Ipv4Addr::new(128, 0, 0, 0), 1)]
            ),
            None
        );
        // A host route in the middle of a subnet takes it, too.
        let next = Subnet::choose(0, &[(Ipv4Addr::new(198, 18, 0, 3), 32)]).unwrap();
        assert_eq!(next, second);
    }
}
