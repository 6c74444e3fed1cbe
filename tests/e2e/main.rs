//! The whole system as its users meet it: real programs, a real NGINX, loopback.

mod bad_input;
mod deploy;
mod edges;
mod enrollment;
mod network;
mod nginx;
mod operations;
mod outage;
mod restart;
mod secrets;
mod tls;

use postern_tests::{Cluster, enrollment::enroll};

/// A cluster in which one person has enrolled, and the token their device polls with.
async fn cluster_with_a_device() -> (Cluster, String) {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let enrolled = enroll(&cluster.public(), &token).await.expect("the person enrolls");
    (cluster, enrolled.polling_token)
}
