//! What systemd is told: that this Edge is ready, that it stops, and while it runs that it lives.
//!
//! Without systemd all this does nothing; with it, a failure to tell it is worth no more than a line.

use std::{future::pending, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

pub(crate) fn ready() {
    notify(NotifyState::Ready);
}

pub(crate) fn stopping() {
    notify(NotifyState::Stopping);
}

/// Tells that this Edge lives, three times as often as systemd asks for. To be run as a task like all others, so that it
/// is silent when tasks get no turn any more.
pub(crate) async fn keep_alive() {
    let Some(patience) = sd_notify::watchdog_enabled() else { return pending().await };
    let mut ticks = interval((patience / 3).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        notify(NotifyState::Watchdog);
    }
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot tell systemd");
    }
}
