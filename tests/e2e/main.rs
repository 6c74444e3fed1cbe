//! The whole system as its users meet it: real programs, a real NGINX, loopback.

mod bad_input;
mod certificate_push;
mod clients;
mod commands;
mod deploy;
mod edges;
mod enrollment;
mod guessing;
mod hosts;
mod journey;
mod logins;
mod network;
mod network_info;
mod nginx;
mod nginx_pages;
mod operations;
mod outage;
mod play;
mod races;
mod restart;
mod secrets;
mod several_cores;
mod smuggling;
mod tls;
mod whole_way;

use postern_tests::{Cluster, Member, enrollment::enroll};

/// A cluster in which one person has enrolled, and the token their device polls with.
async fn cluster_with_a_device() -> (Cluster, String) {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let enrolled = enroll(&cluster.public(), &token).await.expect("the person enrolls");
    (cluster, enrolled.polling_token)
}

/// A cluster in which one person has enrolled with an authenticator app.
async fn cluster_with_a_member() -> (Cluster, Member) {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let joe = Member::enroll(&cluster.public(), &token).await.expect("the person enrolls");
    (cluster, joe)
}
