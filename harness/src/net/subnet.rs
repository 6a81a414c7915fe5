//! The network of a cell, a /30 unless it has more members than one: the host's address, the cell's address.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// 198.18.0.0/15 is set aside for benchmarks of network devices (RFC 2544, RFC 6890): no site routes it, and
/// it collides with neither the clusters' 10.42/16 and 10.43/16 nor with common private networks.
const BASE: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// Its prefix length.
const BASE_PREFIX: u8 = 15;
/// Room for the host and one cell.
const PAIR: u8 = 30;

/// A subnet: a /30, or as much larger as its members need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Counted in subnets of this size.
    slot: u32,
    /// What was saved before there were larger ones does not tell.
    #[serde(default = "pair")]
    prefix: u8,
}

fn pair() -> u8 {
    PAIR
}

impl Subnet {
    /// The prefix length that leaves room for so many members besides the host.
    pub(crate) fn prefix_for(members: u8) -> u8 {
        // The network's own address, the host's and the one for broadcasts.
        let addresses = (u32::from(members) + 3).next_power_of_two();
        // At most 512 addresses, hence no less than 23.
        PAIR.min(32 - addresses.trailing_zeros() as u8)
    }

    /// Its addresses' prefix length.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

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
        BASE + (self.slot << (32 - self.prefix))
    }

    /// The first /30, from a starting point on, that overlaps none of the networks in use.
    pub(super) fn choose(start: u32, used: &[(Ipv4Addr, u8)]) -> Option<Self> {
        Self::choose_sized(PAIR, start, used)
    }

    /// The same for any size from a /30 up.
    pub(super) fn choose_sized(prefix: u8, start: u32, used: &[(Ipv4Addr, u8)]) -> Option<Self> {
        let slots = 1_u32 << (prefix - BASE_PREFIX);
        (0..slots)
            .map(|step| Self {
                slot: (start.wrapping_add(step)) % slots,
                prefix,
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
        let bits = u32::from(bits.min(self.prefix));
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        (self.network() ^ u32::from(address)) & mask == 0
    }
}

/// As an engine's API wants it: `198.18.0.0/30`.
impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.network()), self.prefix)
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
        let last = Subnet::choose((1 << 15) - 1, &[]).unwrap();
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

    #[test]
    fn a_network_has_room_for_its_members() {
        let prefixes = [1, 2, 5, 6, 13, 255].map(Subnet::prefix_for);
        assert_eq!(prefixes, [30, 29, 29, 28, 28, 23]);
        let small = Subnet::choose(1, &[]).unwrap();
        let wide = Subnet::choose_sized(29, 0, &[(small.host(), 30)]).unwrap();
        assert_eq!(wide.to_string(), "198.18.0.8/29");
        assert_eq!(wide.cell(), Ipv4Addr::new(198, 18, 0, 10));
        let last = Subnet::choose_sized(23, u32::MAX, &[]).unwrap();
        assert_eq!(last.to_string(), "198.19.254.0/23");
        assert!(wide.overlaps(Ipv4Addr::new(198, 18, 0, 15), 32));
    }

    #[test]
    fn what_an_older_assay_saved_is_a_pair() {
        let saved: Subnet = serde_json::from_str(r#"{"slot":1}"#).unwrap();
        assert_eq!(saved, Subnet::choose(1, &[]).unwrap());
    }
}
