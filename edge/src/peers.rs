//! How many connections each address holds, so that no single one takes every place.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct PeerCounts {
    max: NonZeroU32,
    counts: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// One connection's place. Dropping it makes room.
#[derive(Debug)]
pub(crate) struct Place {
    key: IpAddr,
    counts: PeerCounts,
}

impl PeerCounts {
    pub(crate) fn new(max: NonZeroU32) -> Self {
        Self { max, counts: Arc::default() }
    }

    /// `None` when the address has all that it may have.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Place> {
        let key = network(address);
        let mut counts = self.lock();
        let count = counts.entry(key).or_insert(0);
        if *count >= self.max.get() {
            return None;
        }
        *count += 1;
        Some(Place { key, counts: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

/// One household or host has a whole /64 of IPv6 addresses.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_room_again_when_a_connection_ends() {
        let counts = PeerCounts::new(NonZeroU32::new(2).unwrap());
        let (first, _second) = (counts.enter(address("192.0.2.1")), counts.enter(address("192.0.2.1")));
        assert!(counts.enter(address("192.0.2.1")).is_none());
        assert!(counts.enter(address("192.0.2.2")).is_some());
        drop(first);
        assert!(counts.enter(address("192.0.2.1")).is_some());
    }

    #[test]
    fn a_64_of_ipv6_counts_as_one() {
        let counts = PeerCounts::new(NonZeroU32::MIN);
        let _first = counts.enter(address("2001:db8::1")).unwrap();
        assert!(counts.enter(address("2001:db8::2")).is_none());
        assert!(counts.enter(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn nothing_is_kept_of_addresses_that_left() {
        let counts = PeerCounts::new(NonZeroU32::MIN);
        drop(counts.enter(address("192.0.2.1")));
        assert!(counts.lock().is_empty());
    }
}
