//! Requests that their Edge may still call off.
//!
//! Belongs to the tunnel's reader alone. That the tunnel ends calls nothing off: what was begun leaves its outcome
//! in the replay memory.

use std::{collections::HashMap, future::pending};

use tokio::sync::oneshot;

/// Those that have ended are taken out when the map has doubled, so that nothing has to be said at the end of each.
const SWEEP_MIN: usize = 64;

#[derive(Debug)]
pub(super) struct Cancels {
    running: HashMap<u64, oneshot::Sender<()>>,
    sweep_at: usize,
}

/// To be waited for beside the request's answer; dropping it says that the request has ended.
#[derive(Debug)]
pub(super) struct CalledOff(oneshot::Receiver<()>);

impl Default for Cancels {
    fn default() -> Self {
        Self { running: HashMap::new(), sweep_at: SWEEP_MIN }
    }
}

impl Cancels {
    pub(super) fn add(&mut self, id: u64) -> CalledOff {
        if self.running.len() >= self.sweep_at {
            self.running.retain(|_, running| !running.is_closed());
            self.sweep_at = SWEEP_MIN.max(self.running.len() * 2);
        }
        let (running, called_off) = oneshot::channel();
        self.running.insert(id, running);
        CalledOff(called_off)
    }

    /// False when that request has ended, or never was.
    pub(super) fn cancel(&mut self, id: u64) -> bool {
        self.running.remove(&id).is_some_and(|running| running.send(()).is_ok())
    }
}

impl CalledOff {
    /// Without waiting. True once: it is looked at before the request begins, and after it has ended.
    pub(super) fn has_come(&mut self) -> bool {
        self.0.try_recv().is_ok()
    }

    /// Never returns when the tunnel ends before.
    pub(super) async fn wait(mut self) {
        // It may have been seen already that nobody can call it off any more.
        if self.0.is_terminated() || (&mut self.0).await.is_err() {
            pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn only_the_request_that_is_named_is_called_off() {
        let mut cancels = Cancels::default();
        let (mut first, second) = (cancels.add(1), cancels.add(2));
        assert!(cancels.cancel(2));
        assert!(!first.has_come());
        second.wait().await;
        assert!(timeout(Duration::ZERO, first.wait()).await.is_err());
        assert!(!cancels.cancel(2) && !cancels.cancel(7));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_tunnel_calls_nothing_off() {
        let mut cancels = Cancels::default();
        let (running, mut looked_at) = (cancels.add(1), cancels.add(2));
        drop(cancels);
        assert!(!looked_at.has_come());
        for running in [running, looked_at] {
            assert!(timeout(Duration::from_secs(60), running.wait()).await.is_err());
        }
    }

    #[test]
    fn what_has_ended_is_not_kept() {
        let mut cancels = Cancels::default();
        let _running: Vec<_> = (0..10).map(|id| cancels.add(id)).collect();
        for id in 10..100_000 {
            drop(cancels.add(id));
        }
        assert!(cancels.running.len() <= SWEEP_MIN, "{}", cancels.running.len());
    }
}
