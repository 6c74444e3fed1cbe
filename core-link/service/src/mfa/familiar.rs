//! Networks in which a person is familiar: there they have shown a secret that a stranger with a public key has not.
//!
//! A passed login or set-up is stored; a poll with a device's token counts for ten minutes and only in memory, because
//! a poll must not write.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::Side;
use crate::{
    clock::Timestamp,
    person::PersonId,
    store::{StoreError, Tx},
};

/// Stored for each person: a season of cafés.
const KEPT_MAX: u32 = 32;
const STORED_COUNTS: Duration = Duration::from_hours(90 * 24);
/// A stored network is touched at most this often, so that a login seldom writes one row more.
const TOUCHED_EVERY: Duration = Duration::from_hours(1);
const POLL_COUNTS: Duration = Duration::from_mins(10);
/// A person polls from as many networks at once as they have devices under way.
const NETWORKS_MAX: usize = 8;
/// At most about 100 MiB. Only people with a device are in here, so it is a bound against surprises.
const PEOPLE_MAX: usize = 1 << 18;
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// An IPv4 address, or the /64 of an IPv6 address: what one household or one phone has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

/// Who polled from where in the last minutes. Each Core has its own.
///
/// A client polls every half minute, so a person who travels becomes familiar by itself, also while a stranger uses up
/// what is allowed from elsewhere. What remains: somebody behind the same address as the person can use up that
/// network's counter; a recovery code, another network or `user unlock` helps.
#[derive(Debug, Default)]
pub struct RecentPolls(Mutex<Polls>);

#[derive(Debug, Default)]
struct Polls {
    people: HashMap<i64, Vec<(Network, Timestamp)>>,
    swept_at: i64,
}

/// Where a request comes from, and what is known of that place without the store.
#[derive(Debug, Clone)]
pub struct Whereabouts {
    pub network: Option<Network>,
    pub polls: Arc<RecentPolls>,
}

impl Network {
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(IpAddr::V4(ip)),
            IpAddr::V6(ip) => match ip.segments() {
                // RFC 6052: behind a NAT64 in front of the Edges all of IPv4 is in one /64.
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                    Self(IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))))
                }
                [a, b, c, d, ..] => Self(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))),
            },
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
        }
    }
}

impl RecentPolls {
    /// A device of this person has just polled from there.
    pub fn note(&self, person: PersonId, network: Network, now: Timestamp) {
        self.polls().note(person.as_i64(), network, now);
    }

    pub fn is_familiar(&self, person: PersonId, network: Network, now: Timestamp) -> bool {
        let polls = self.polls();
        let networks = polls.people.get(&person.as_i64());
        networks.is_some_and(|known| known.iter().any(|&(seen, at)| seen == network && is_recent(at, now)))
    }

    fn polls(&self) -> std::sync::MutexGuard<'_, Polls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Polls {
    fn note(&mut self, person: i64, network: Network, now: Timestamp) {
        self.sweep(now);
        if self.people.len() >= PEOPLE_MAX && !self.people.contains_key(&person) {
            return;
        }
        let known = self.people.entry(person).or_default();
        if let Some((_, at)) = known.iter_mut().find(|(seen, _)| *seen == network) {
            *at = now;
            return;
        }
        if known.len() == NETWORKS_MAX {
            let oldest = (0..known.len()).min_by_key(|&index| known[index].1).unwrap_or_default();
            known.swap_remove(oldest);
        }
        known.push((network, now));
    }

    fn sweep(&mut self, now: Timestamp) {
        if is_within(SWEEP_EVERY, Timestamp::from_unix(self.swept_at), now) {
            return;
        }
        self.swept_at = now.as_unix();
        self.people.retain(|_, known| {
            known.retain(|&(_, at)| is_recent(at, now));
            !known.is_empty()
        });
    }
}

impl Whereabouts {
    /// Which counter this person's guesses from here belong to.
    pub(super) fn side(&self, person: PersonId, stored: Option<Timestamp>, now: Timestamp) -> Side {
        let Some(network) = self.network else { return Side::Elsewhere };
        let is_stored = stored.is_some_and(|seen_at| seen_at.after(STORED_COUNTS) > now);
        let is_familiar = is_stored || self.polls.is_familiar(person, network, now);
        if is_familiar { Side::Familiar(network) } else { Side::Elsewhere }
    }

    /// The counter for whoever has just shown a secret that makes them familiar.
    pub(super) fn proven_side(&self) -> Side {
        self.network.map_or(Side::Elsewhere, Side::Familiar)
    }
}

/// The person has just shown a secret from there.
pub(super) async fn learn(
    tx: &mut Tx,
    person: PersonId,
    network: Option<Network>,
    stored: Option<Timestamp>,
) -> Result<(), StoreError> {
    let now = tx.now();
    let is_fresh = stored.is_some_and(|seen_at| seen_at.after(TOUCHED_EVERY) > now);
    let Some(network) = network.filter(|_| !is_fresh) else { return Ok(()) };
    tx.keep_familiar_network(person, network, KEPT_MAX).await
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    is_within(POLL_COUNTS, at, now)
}

/// Also when the clock went back in between: what lies far ahead is not near.
fn is_within(span: Duration, at: Timestamp, now: Timestamp) -> bool {
    at.after(span) > now && now.after(span) > at
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: PersonId = PersonId(7);

    fn network(ip: &str) -> Network {
        Network::of(ip.parse().unwrap())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    #[test]
    fn a_network_is_an_address_or_a_64() {
        for (ip, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("64:ff9b::203.0.113.9", "203.0.113.9"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(network(ip).to_string(), expected);
        }
    }

    #[test]
    fn a_poll_counts_for_ten_minutes_and_for_its_person_only() {
        let polls = RecentPolls::default();
        polls.note(PERSON, network("203.0.113.9"), at(1000));
        let is_familiar = |person, ip, now| polls.is_familiar(person, network(ip), at(now));
        assert!(is_familiar(PERSON, "203.0.113.9", 1599));
        assert!(!is_familiar(PERSON, "203.0.113.9", 1600));
        assert!(!is_familiar(PERSON, "203.0.113.8", 1001));
        assert!(!is_familiar(PersonId(8), "203.0.113.9", 1001));
    }

    #[test]
    fn a_clock_that_was_ahead_leaves_nobody_familiar_and_nothing_unswept() {
        let polls = RecentPolls::default();
        polls.note(PERSON, network("203.0.113.9"), at(1_000_000));
        assert!(!polls.is_familiar(PERSON, network("203.0.113.9"), at(1000)));
        polls.note(PersonId(8), network("203.0.113.9"), at(1000));
        assert_eq!(polls.polls().people.len(), 1);
    }

    #[test]
    fn one_person_takes_up_little_however_many_networks_there_are() {
        let polls = RecentPolls::default();
        for number in 0..1000_u16 {
            polls.note(PERSON, network(&format!("2001:db8:0:{number:x}::1")), at(i64::from(number) / 10));
        }
        let inner = polls.polls();
        assert_eq!((inner.people.len(), inner.people[&7].len()), (1, NETWORKS_MAX));
        assert!(inner.people[&7].iter().all(|&(_, seen)| seen >= at(99)), "the newest stay");
    }

    #[test]
    fn people_who_poll_no_more_are_forgotten() {
        let polls = RecentPolls::default();
        for person in 0..10_000 {
            polls.note(PersonId(person), network("203.0.113.9"), at(0));
        }
        polls.note(PERSON, network("203.0.113.9"), at(600));
        assert_eq!(polls.polls().people.len(), 1);
    }

    #[test]
    fn with_too_many_people_the_known_ones_stay_known() {
        let mut polls = Polls::default();
        for person in 0..=PEOPLE_MAX {
            polls.note(i64::try_from(person).unwrap(), network("203.0.113.9"), at(0));
        }
        polls.note(0, network("203.0.113.8"), at(1));
        assert_eq!((polls.people.len(), polls.people[&0].len()), (PEOPLE_MAX, 2));
    }
}
