//! The tunnels as a request sees them: an unchanging list, and the choice from it.

use std::sync::Arc;

use super::Tunnel;
use crate::chance::Chance;

/// A choice is made among so many; an Edge has no more connections from Cores.
const CHOICES_MAX: usize = u64::BITS as usize;

#[derive(Debug, Default)]
pub(super) struct View {
    /// Every tunnel, oldest first.
    pub(super) all: Vec<Arc<Tunnel>>,
    /// Those that take new requests: the newest of each Core, unless it drains.
    pub(super) eligible: Vec<Arc<Tunnel>>,
}

/// Who is preferred, best first. Nobody is ruled out: when no better one is left, the worst is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// In the zone of this Edge; without zones everybody is.
    Near,
    Far,
    /// Its Core has failed of late.
    Penalised,
    /// Nothing was heard for a while.
    Silent,
}

impl View {
    pub(super) fn of(all: Vec<Arc<Tunnel>>) -> Self {
        let is_newest = |at: usize| !all[at + 1..].iter().any(|later| later.source == all[at].source);
        let eligible = (0..all.len()).filter(|&at| is_newest(at) && !all[at].is_draining());
        let eligible = eligible.map(|at| Arc::clone(&all[at])).collect();
        Self { all, eligible }
    }

    /// Of two random ones among the best that fit, the one with less in flight.
    pub(super) fn pick(&self, chance: &Chance, fits: impl Fn(&Tunnel) -> bool) -> Option<&Arc<Tunnel>> {
        if let [only] = self.eligible.as_slice() {
            return Some(only).filter(|only| fits(only));
        }
        let best = self.best(fits);
        let count = best.count_ones() as usize;
        match count {
            0 => None,
            1 => Some(self.nth(best, 0)),
            _ => {
                let first = chance.below(count);
                let second = (first + 1 + chance.below(count - 1)) % count;
                let (first, second) = (self.nth(best, first), self.nth(best, second));
                Some(if second.load() < first.load() { second } else { first })
            }
        }
    }

    /// A bit for each tunnel of the best rank. Ranks change at any moment, so each is asked for once.
    fn best(&self, fits: impl Fn(&Tunnel) -> bool) -> u64 {
        let mut best = (Rank::Silent, 0);
        for (at, tunnel) in self.eligible.iter().enumerate().take(CHOICES_MAX) {
            if !fits(tunnel) {
                continue;
            }
            let rank = tunnel.rank();
            if rank < best.0 {
                best = (rank, 0);
            }
            if rank == best.0 {
                best.1 |= 1 << at;
            }
        }
        best.1
    }

    fn nth(&self, mut bits: u64, n: usize) -> &Arc<Tunnel> {
        (0..n).for_each(|_| bits &= bits - 1);
        &self.eligible[bits.trailing_zeros() as usize]
    }
}
