//! How long and how much: the full form, and the short one that runs with all other tests.

use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// Calls per second.
    pub(crate) rate: u32,
    pub(crate) members: usize,
    pub(crate) kills: usize,
    /// How long an Edge is frozen, cut off, or half open.
    pub(crate) outage: Duration,
    /// Restarts of every Edge.
    pub(crate) rounds: usize,
    pub(crate) websockets: usize,
    /// A person says yes within this.
    pub(crate) approval_max: Duration,
    /// Edges of the storm.
    pub(crate) storm_edges: usize,
    /// Of the attempts of a storm, at most one of so many falls into any 100 ms. Fewer attempts crowd by chance.
    pub(crate) storm_part: usize,
    /// People of `exactly-once`, and how long it takes until the last of them has come.
    pub(crate) enrolling: usize,
    pub(crate) enrolling_length: Duration,
    /// Calls per second that `overload` leaves to be served, and how long too many come.
    pub(crate) limit: u32,
    pub(crate) pressure: Duration,
    /// Part of the limit.
    pub(crate) goodput_min: f64,
    /// Also what is played with HAProxy, and `overload` with two Cores.
    pub(crate) plays_all: bool,
    /// Times that slow calls are held.
    pub(crate) waves: usize,
    /// Waits that differ by less tell of this machine, not of Postern.
    pub(crate) noise: Duration,
}

impl Form {
    pub(crate) fn full() -> Self {
        Self {
            rate: 500,
            members: 40,
            kills: 10,
            outage: Duration::from_secs(20),
            rounds: 3,
            websockets: 200,
            approval_max: Duration::from_secs(20),
            storm_edges: 100,
            storm_part: 4,
            enrolling: 1000,
            enrolling_length: Duration::from_secs(60),
            limit: 300,
            pressure: Duration::from_secs(60),
            goodput_min: 0.9,
            plays_all: true,
            waves: 3,
            noise: Duration::from_millis(5),
        }
    }

    /// For unoptimized programs on a busy machine.
    pub(crate) fn short() -> Self {
        Self {
            rate: 100,
            members: 8,
            kills: 2,
            outage: Duration::from_secs(8),
            rounds: 1,
            websockets: 24,
            approval_max: Duration::from_secs(5),
            storm_edges: 24,
            storm_part: 2,
            enrolling: 40,
            enrolling_length: Duration::from_secs(10),
            limit: 100,
            pressure: Duration::from_secs(20),
            goodput_min: 0.8,
            plays_all: false,
            waves: 1,
            noise: Duration::from_millis(100),
        }
    }

    /// People who come during a load of this length.
    pub(crate) fn invited(&self, length: Duration) -> usize {
        (f64::from(self.rate) * length.as_secs_f64()) as usize / crate::load::ENROLLMENT_EVERY
    }
}
