//! Address ranges: which addresses of a network may be given to devices.
//!
//! Never the network's own address, the gateway or, in IPv4, the broadcast address. Addresses are counted as offsets
//! from the network's address, so that allocation is arithmetic and not a search.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// More than anybody has devices, and safe from overflow in the database's 64-bit integers.
const OFFSET_MAX: u64 = 1 << 62;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    network: IpNet,
    gateway_offset: u64,
    last_offset: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    #[error("{network} is too small: it has no address for a device")]
    TooSmall { network: IpNet },
    #[error("{network} is no network for devices; what they send through the tunnel are the allowed IPs")]
    Everything { network: IpNet },
    #[error("{address} cannot be the gateway of {network}")]
    Gateway { address: IpAddr, network: IpNet },
}

impl AddressRange {
    /// `10.10.0.0/24` means that the first host is the gateway; `10.10.0.5/24` names the gateway.
    pub fn parse(typed: IpNet) -> Result<Self, InvalidRange> {
        let network = typed.trunc();
        if network.addr().is_unspecified() {
            return Err(InvalidRange::Everything { network });
        }
        let host_bits = network.max_prefix_len() - network.prefix_len();
        if host_bits < 2 {
            return Err(InvalidRange::TooSmall { network });
        }
        let highest = if host_bits >= 62 { OFFSET_MAX } else { (1 << host_bits) - 1 };
        let last_offset = match network {
            IpNet::V4(_) => highest - 1,
            IpNet::V6(_) => highest,
        };
        let gateway = Self::offset_of(network, typed.addr());
        let gateway_offset = if gateway == 0 { 1 } else { gateway };
        if matches!(network, IpNet::V4(_)) && gateway_offset > u128::from(last_offset) {
            return Err(InvalidRange::Gateway { address: typed.addr(), network });
        }
        // A gateway beyond what is ever handed out needs no keeping clear of.
        let gateway_offset = u64::try_from(gateway_offset).map_or(OFFSET_MAX + 1, |offset| offset.min(OFFSET_MAX + 1));
        Ok(Self { network, gateway_offset, last_offset })
    }

    pub fn network(&self) -> IpNet {
        self.network
    }

    pub fn gateway_offset(&self) -> u64 {
        self.gateway_offset
    }

    pub fn last_offset(&self) -> u64 {
        self.last_offset
    }

    /// How many devices fit.
    pub fn capacity(&self) -> u64 {
        self.last_offset - 1
    }

    fn offset_of(network: IpNet, address: IpAddr) -> u128 {
        match (network.addr(), address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => u128::from(u32::from(address) - u32::from(base)),
            (IpAddr::V6(base), IpAddr::V6(address)) => u128::from(address) - u128::from(base),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => 0,
        }
    }
}

/// The address this far into a network; `None` when the network ends before.
pub(crate) fn address_at(network: IpNet, offset: u64) -> Option<IpAddr> {
    let address = match network.network() {
        IpAddr::V4(base) => {
            let offset = u32::try_from(offset).ok()?;
            IpAddr::V4(Ipv4Addr::from(u32::from(base).checked_add(offset)?))
        }
        IpAddr::V6(base) => IpAddr::V6(Ipv6Addr::from(u128::from(base).checked_add(u128::from(offset))?)),
    };
    network.contains(&address).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AddressRange, InvalidRange> {
        AddressRange::parse(text.parse().unwrap())
    }

    #[test]
    fn network_gateway_and_broadcast_are_left_out() {
        let range = parse("10.10.0.0/24").unwrap();
        assert_eq!((range.gateway_offset(), range.last_offset(), range.capacity()), (1, 254, 253));
        assert_eq!(address_at(range.network(), 254), Some("10.10.0.254".parse().unwrap()));
        assert_eq!(address_at(range.network(), 256), None);
    }

    #[test]
    fn host_bits_name_the_gateway() {
        let range = parse("10.10.0.5/24").unwrap();
        assert_eq!((range.network(), range.gateway_offset()), ("10.10.0.0/24".parse().unwrap(), 5));
        assert!(matches!(parse("10.10.0.255/24"), Err(InvalidRange::Gateway { .. })));
    }

    #[test]
    fn the_smallest_range_has_one_address_and_smaller_ones_are_refused() {
        assert_eq!(parse("10.0.0.0/30").unwrap().capacity(), 1);
        assert!(matches!(parse("10.0.0.0/31"), Err(InvalidRange::TooSmall { .. })));
        assert!(matches!(parse("10.0.0.0/32"), Err(InvalidRange::TooSmall { .. })));
        assert!(matches!(parse("fd00::/127"), Err(InvalidRange::TooSmall { .. })));
    }

    #[test]
    fn the_route_to_everything_is_no_range() {
        for text in ["0.0.0.0/0", "10.0.0.0/0", "::/0"] {
            assert!(matches!(parse(text), Err(InvalidRange::Everything { .. })), "{text}");
        }
    }

    #[test]
    fn ipv6_has_no_broadcast_address_and_does_not_overflow() {
        let range = parse("fd00::/126").unwrap();
        assert_eq!((range.gateway_offset(), range.last_offset()), (1, 3));
        let wide = parse("fd00::/8").unwrap();
        assert_eq!(wide.last_offset(), OFFSET_MAX);
        assert_eq!(address_at(wide.network(), 2), Some("fd00::2".parse().unwrap()));
        assert!(address_at(wide.network(), OFFSET_MAX).is_some());
        assert_eq!(parse("fd00::ffff:ffff:ffff:fffe/64").unwrap().gateway_offset(), OFFSET_MAX + 1);
    }
}
