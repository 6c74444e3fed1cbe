//! Edges that do not answer, over a pipe and in paused time.

use tokio::{
    io::{DuplexStream, duplex},
    task::JoinSet,
    time::Instant,
};

use super::{AdoptFailure, Adoption, CALL_MAX, EdgeLog};
use crate::testing::{Manner, Shared, serve_setup};

async fn start(theirs: impl FnOnce(DuplexStream) -> JoinSet<()>) -> Result<Adoption, AdoptFailure> {
    let (ours, edge) = duplex(64 * 1024);
    let _edge = theirs(edge);
    let adoption = Adoption::open_over(ours, &"edge:1".parse().expect("an address"), &EdgeLog::default()).await?;
    adoption.csr().await.map(|requested| requested.adoption).map_err(|error| error.failure)
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_never_answers_is_given_up() {
    let begun = Instant::now();
    let failure = start(|edge| {
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _kept_open = edge;
            std::future::pending().await
        });
        tasks
    })
    .await
    .unwrap_err();
    assert!(matches!(failure, AdoptFailure::TimedOut { call: "Start", limit: CALL_MAX }), "{failure:?}");
    assert!(failure.is_uncertain());
    assert_eq!(begun.elapsed(), CALL_MAX);
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_never_makes_a_request_is_given_up() {
    let failure = start(|edge| {
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_setup(edge, Shared::new(Manner::IgnoresCalls, None).0));
        tasks
    })
    .await
    .unwrap_err();
    assert!(matches!(failure, AdoptFailure::TimedOut { call: "GetCsr", .. }), "{failure:?}");
}
