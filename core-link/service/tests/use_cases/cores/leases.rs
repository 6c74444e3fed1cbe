//! A job that one Core at a time does.

use std::time::Duration;

use postern_core::{
    lease::{self, Job, Lease, LeaseLost},
    store::StoreError,
};
use tokio::time::timeout;

use crate::support::{Core, key, new_device};

const LEASE: i64 = lease::LEASE_TIME.as_secs().cast_signed();
const JOB: Job = Job::CertificateOrder;
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn one_of_two_cores_has_a_lease_and_the_other_only_after_it_ran_out() {
    let (here, there) = cores().await;
    let first = here.take_lease().await.unwrap();
    assert_eq!(there.take_lease().await, None);
    here.wait(LEASE - 1);
    assert_eq!(there.take_lease().await, None);
    here.wait(1);
    assert!(there.take_lease().await.unwrap().fencing() > first.fencing());
    assert_eq!(here.take_lease().await, None);
}

#[tokio::test]
async fn a_lease_that_is_renewed_does_not_run_out() {
    let (here, there) = cores().await;
    let lease = here.take_lease().await.unwrap();
    for _ in 0..5 {
        here.wait(LEASE - 1);
        assert!(here.renew(lease).await);
        assert_eq!(there.take_lease().await, None);
    }
}

#[tokio::test]
async fn a_lease_that_is_given_back_is_free_at_once() {
    let (here, there) = cores().await;
    let lease = here.take_lease().await.unwrap();
    assert_eq!(lease::keep(&here.store, lease, async { 7 }).await, Ok(7));
    assert!(there.take_lease().await.unwrap().fencing() > lease.fencing());
}

#[tokio::test]
async fn a_core_that_was_frozen_can_do_nothing_with_its_old_lease() {
    let (here, there) = cores().await;
    let old = here.take_lease().await.unwrap();
    here.wait(LEASE);
    let new = there.take_lease().await.unwrap();

    assert!(!here.holds(old).await);
    assert!(!here.renew(old).await);
    assert_eq!(lease::keep(&here.store, old, async {}).await, Ok(()), "it gives back what it no longer has");

    assert!(there.holds(new).await);
    assert_eq!(here.take_lease().await, None);
}

#[tokio::test]
async fn a_job_is_given_up_when_another_core_has_taken_it_over() {
    let (here, there) = cores().await;
    let lease = here.take_lease().await.unwrap();
    here.wait(LEASE);
    there.take_lease().await.unwrap();
    let endless = lease::keep(&here.store, lease, std::future::pending::<()>());
    assert_eq!(timeout(PATIENCE, endless).await.expect("in time"), Err(LeaseLost));
}

#[tokio::test]
async fn a_job_is_given_up_when_its_lease_cannot_be_renewed() {
    let (here, _there) = cores().await;
    let lease = here.take_lease().await.unwrap();
    here.store.close().await;
    tokio::time::pause();
    let endless = lease::keep(&here.store, lease, std::future::pending::<()>());
    assert_eq!(timeout(lease::LEASE_TIME, endless).await.expect("before another Core may take it"), Err(LeaseLost));
}

#[tokio::test]
async fn a_core_that_takes_its_own_lease_anew_after_its_end_gets_another_number() {
    let (here, _there) = cores().await;
    let first = here.take_lease().await.unwrap();
    assert_eq!(here.take_lease().await, Some(first), "before its end it is the same");
    here.wait(LEASE);
    assert!(here.take_lease().await.unwrap().fencing() > first.fencing());
    assert!(!here.holds(first).await);
}

#[tokio::test]
async fn a_clock_that_was_ahead_leaves_no_lease_for_ever() {
    let (here, there) = cores().await;
    here.wait(1_000_000);
    here.take_lease().await.unwrap();
    here.wait(-1_000_000);
    assert!(there.take_lease().await.is_some());
}

#[tokio::test]
async fn one_core_deletes_what_has_expired_and_another_when_that_one_is_gone() {
    let (here, there) = cores().await;
    let token = here.session("joe").await;
    let (gone, left) = if here.may_sweep().await { (here, there) } else { (there, here) };
    assert!(gone.may_sweep().await && !left.may_sweep().await);
    left.ask_as("one", new_device(&token, "laptop", &key(1))).await.unwrap();

    gone.store.close().await;
    left.wait(700);

    let swept = async {
        while left.count("SELECT COUNT(*) FROM operations").await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, swept).await.expect("a sweeper runs every two seconds");
    assert!(left.may_sweep().await);
}

async fn cores() -> (Core, Core) {
    let here = Core::with_joe().await;
    let there = here.beside().await;
    (here, there)
}

impl Core {
    async fn take_lease(&self) -> Option<Lease> {
        lease::take(&self.store, JOB).await.unwrap()
    }

    /// It does already, or nobody did.
    async fn may_sweep(&self) -> bool {
        lease::take(&self.store, Job::Cleanup).await.unwrap().is_some()
    }

    async fn renew(&self, lease: Lease) -> bool {
        self.store.write::<_, StoreError, _>(move |tx| Box::pin(tx.renew_lease(lease))).await.unwrap()
    }

    async fn holds(&self, lease: Lease) -> bool {
        self.store.read::<_, StoreError, _>(move |tx| Box::pin(tx.holds_lease(lease))).await.unwrap()
    }
}
