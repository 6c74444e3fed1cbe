//! A device waits at one Core, and its phone approves at another.

use std::time::Duration;

use postern_core::mfa::approval;
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    mfa::support::Member,
    phones::support::{MOBILE_APPROVAL, Phone, approved, delivered},
    support::{Core, assert_refused},
};

/// Far less than a wait lasts by itself.
const PATIENCE: Duration = Duration::from_secs(20);
const ABORTED: i32 = 10;

/// Two Cores that both look at what the other did.
struct Cores {
    here: Core,
    there: Core,
    joe: Member,
    phone: Phone,
    _looking: JoinSet<()>,
}

#[tokio::test]
async fn an_approval_at_one_core_wakes_whoever_waits_at_another() {
    let Cores { here, there, joe, phone, _looking } = Cores::start().await;
    let begun = here.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let approving = async {
        here.someone_waits().await;
        there.ask(phone.approve(&begun)).await
    };
    let (waited, shown) = within(async { tokio::join!(here.await_approval(&begun.token), approving) }).await;
    assert_eq!(delivered(waited), approved(shown, &begun));
}

#[tokio::test]
async fn every_one_of_many_waits_at_both_cores_gets_its_own_result() {
    let Cores { here, there, joe, phone, _looking } = Cores::start().await;
    let mut begun = Vec::new();
    for _ in 0..16 {
        begun.push(here.begin_signed(MOBILE_APPROVAL, &joe.key).await);
    }
    let cores = [&here, &there];
    let waiting = begun.iter().enumerate().map(|(index, begun)| cores[index % 2].await_approval(&begun.token));
    let approving = async {
        let mut shown = Vec::new();
        for (index, begun) in begun.iter().enumerate() {
            shown.push(approved(cores[index / 2 % 2].ask(phone.approve(begun)).await, begun));
        }
        shown
    };
    let (waited, shown) = within(async { tokio::join!(futures::future::join_all(waiting), approving) }).await;
    assert_eq!(waited.into_iter().map(delivered).collect::<Vec<_>>(), shown);
}

#[tokio::test]
async fn the_newest_wait_wins_wherever_it_is() {
    let Cores { here, there, joe, phone, _looking } = Cores::start().await;
    let begun = here.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let newer = async {
        here.someone_waits().await;
        there.await_approval(&begun.token).await
    };
    let older = async {
        let older = here.await_approval(&begun.token).await;
        let shown = here.ask(phone.approve(&begun)).await;
        (older, shown)
    };
    let (newer, (older, shown)) = within(async { tokio::join!(newer, older) }).await;
    assert_refused(older, ABORTED, "another socket waits for this login");
    assert_eq!(delivered(newer), approved(shown, &begun));
}

#[tokio::test]
async fn a_wait_ends_when_its_login_is_ended_at_another_core() {
    let Cores { here, there, joe, phone: _, _looking } = Cores::start().await;
    let begun = here.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let resetting = async {
        here.someone_waits().await;
        there.reset_mfa("joe").await;
    };
    let (waited, ()) = within(async { tokio::join!(here.await_approval(&begun.token), resetting) }).await;
    assert_refused(waited, 3, "invalid token");
}

#[tokio::test]
async fn a_result_waits_sealed_for_whoever_asks_any_core() {
    let Cores { here, there, joe, phone, _looking } = Cores::start().await;
    let begun = here.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let shown = approved(there.ask(phone.approve(&begun)).await, &begun);
    there.store.close().await;
    assert_eq!(delivered(here.await_approval(&begun.token).await), shown);
}

impl Cores {
    async fn start() -> Self {
        let (here, joe, phone) = Core::with_phone().await;
        let there = here.beside().await;
        let mut looking = JoinSet::new();
        for core in [&here, &there] {
            let (store, approvals) = (core.store.clone(), core.dispatcher.approvals());
            looking.spawn(approval::watch(store, approvals, CancellationToken::new()));
        }
        Self { here, there, joe, phone, _looking: looking }
    }
}

impl Core {
    /// Until a wait has its number.
    async fn someone_waits(&self) {
        while self.count("SELECT COUNT(*) FROM mfa_sessions WHERE waiter > 0").await == 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}
