//! What is taken back at one Core is gone at the other with the next request, whether or not anybody listens.

use postern_tests::enrollment::enroll;
use serde_json::json;

use super::{hearing::Hearing, poll, two_cores};

#[tokio::test]
async fn a_person_disabled_and_a_token_revoked_at_one_core_mean_nothing_to_the_other() {
    for hearing in [Hearing::Told, Hearing::Deaf] {
        let cluster = two_cores().await;
        hearing.begin(&cluster).await;
        let there = cluster.edges[1].client();
        let (joe, ann) = (cluster.invite("joe").await.expect("joe"), cluster.invite("ann").await.expect("ann"));
        let joe = enroll(&there, &joe).await.expect("joe enrolls");
        let ann_enrolled = enroll(&there, &ann).await.expect("ann enrolls");
        let eve = cluster.invite("eve").await.expect("eve");
        let before = cluster.beside[0].answered("instance_info").await.expect("a number");
        assert_eq!(poll(&there, &joe.polling_token).await, 200);

        cluster.cli(&["user", "disable", "joe"]).await.expect("user disable");
        assert_ne!(poll(&there, &joe.polling_token).await, 200, "{hearing:?}");
        let device = ann_enrolled.device["device"]["id"].to_string();
        cluster.cli(&["token", "revoke", "--device", &device]).await.expect("token revoke");
        assert_ne!(poll(&there, &ann_enrolled.polling_token).await, 200, "{hearing:?}");
        cluster.cli(&["token", "revoke", "eve"]).await.expect("token revoke");
        let started = there.post("/api/v1/enrollment/start", &json!({ "token": eve })).await.expect("an answer");
        assert_ne!(started.status, 200, "{hearing:?}: {started:?}");

        let answered = cluster.beside[0].answered("instance_info").await.expect("a number") - before;
        assert_eq!(
            (answered, cluster.core.answered("instance_info").await.expect("a number")),
            (3, 0),
            "it was the other Core"
        );
    }
}
