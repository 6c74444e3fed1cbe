//! How often anybody may ask for a reset: each asking writes, whoever it is about.
//!
//! Kept in memory; what a person can be mailed is counted in the store. No crowd behind one address meets the bound
//! for everybody, but a stranger with many addresses can use it up: then nobody resets a password by mail for a while,
//! and `user enroll` is no way around it. That is the price: no flood fills the database or a mailbox.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{clock::Timestamp, mfa::Network};

const WINDOW_SECONDS: i64 = 60;
/// An office that was told to change all passwords.
const NETWORK_MAX: u32 = 60;
const EVERYBODY_MAX: u32 = 300;
const LOG_EVERY_SECONDS: i64 = 3600;

#[derive(Debug, Default)]
pub struct ResetBudget(Mutex<Spent>);

#[derive(Debug, Default)]
struct Spent {
    /// Number of the running window.
    window: i64,
    everybody: u32,
    /// At most as many as may ask in a window.
    networks: HashMap<Network, u32>,
    told_at: Option<i64>,
}

/// Too many asked within a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; try again in {seconds} s")]
pub struct TooMany {
    pub seconds: u32,
}

impl ResetBudget {
    /// Takes one asking from there.
    pub fn take(&self, network: Option<Network>, now: Timestamp) -> Result<(), TooMany> {
        let mut spent = self.spent();
        let now = now.as_unix();
        let window = now.div_euclid(WINDOW_SECONDS);
        if spent.window != window {
            spent.window = window;
            spent.everybody = 0;
            spent.networks.clear();
        }
        let here = network.map_or(0, |network| spent.networks.get(&network).copied().unwrap_or(0));
        if spent.everybody >= EVERYBODY_MAX || here >= NETWORK_MAX {
            let seconds = u32::try_from(WINDOW_SECONDS - now.rem_euclid(WINDOW_SECONDS)).unwrap_or(1);
            return Err(TooMany { seconds });
        }
        spent.everybody += 1;
        if let Some(network) = network {
            spent.networks.insert(network, here + 1);
        }
        Ok(())
    }

    /// Whether it is time to tell the administrator that resets are asked for and no mail server is set.
    pub fn may_tell(&self, now: Timestamp) -> bool {
        let mut spent = self.spent();
        let now = now.as_unix();
        let is_time = spent.told_at.is_none_or(|told_at| (now - told_at).abs() >= LOG_EVERY_SECONDS);
        if is_time {
            spent.told_at = Some(now);
        }
        is_time
    }

    fn spent(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u32) -> Option<Network> {
        Some(Network::of(std::net::Ipv4Addr::from(0xcb00_7100 + number).into()))
    }

    fn taken(budget: &ResetBudget, at: i64, networks: impl Iterator<Item = u32>) -> usize {
        networks.filter(|&number| budget.take(network(number), Timestamp::from_unix(at)).is_ok()).count()
    }

    #[test]
    fn one_network_uses_up_its_own_share_and_no_other() {
        let budget = ResetBudget::default();
        assert_eq!(taken(&budget, 0, std::iter::repeat_n(1, 1000)), NETWORK_MAX as usize);
        assert_eq!(taken(&budget, 0, std::iter::once(2)), 1);
        assert_eq!(budget.take(network(1), Timestamp::from_unix(45)), Err(TooMany { seconds: 15 }));
        assert_eq!(taken(&budget, 60, std::iter::once(1)), 1);
    }

    #[test]
    fn everybody_together_has_a_bound() {
        let budget = ResetBudget::default();
        assert_eq!(taken(&budget, 0, 0..10_000), EVERYBODY_MAX as usize);
        assert!(budget.spent().networks.len() <= EVERYBODY_MAX as usize);
    }

    #[test]
    fn an_administrator_is_told_once_an_hour() {
        let budget = ResetBudget::default();
        let told = (0..7200).filter(|&at| budget.may_tell(Timestamp::from_unix(at))).count();
        assert_eq!(told, 2);
    }
}
