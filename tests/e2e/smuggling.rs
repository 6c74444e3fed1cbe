//! No request hides in another: what lies in a body is never answered, by an Edge or through a proxy in front of it.

mod corpus;
mod haproxy;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use postern_tests::{Client, Cluster, Setup, eventually, in_turns};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use self::{
    corpus::{Case, corpus},
    haproxy::HaProxy,
};

/// Comes in the open behind each case, and ends the connection.
const HONEST: &str = "GET /api/v1/health HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";
/// Only the hidden request is answered with this.
const MARK: &str = r#"{"status":"alive"}"#;
/// A server that waits for more of a body says nothing; this much of it is enough.
const SILENCE: Duration = Duration::from_millis(1_500);

/// HAProxy 2.6 takes 2^64 for 0, and so two requests for what the client calls one. The Edge refuses the first and closes,
/// so nobody else's answer is moved.
const TOO_LONG: &str = "18446744073709551616\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_edge_answers_no_request_that_hides_in_another() {
    let cluster = small_cluster().await;
    play(cluster.edges[0].http, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_it_behind_nginx() {
    let cluster = small_cluster().await;
    let asked = || cluster.nginx.logs().matches("\"GET /livez\"").count();
    // The cluster itself asked when it started, and NGINX writes its line after the answer.
    eventually("the first line is written", SILENCE * 4, || async { asked() > 0 }).await.expect("the first line");
    let before = asked();
    play(cluster.nginx.public, &[]).await;
    assert_eq!(asked() - before, 1, "NGINX has seen a hidden request, beside the one in the open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_it_behind_haproxy() {
    let mut cluster = small_cluster().await;
    let public = cluster.address().expect("a port");
    let _proxy = HaProxy::start(cluster.folder(), public, cluster.edges[0].http).await.expect("HAProxy starts");
    play(public, &[TOO_LONG]).await;
}

async fn small_cluster() -> Cluster {
    Cluster::start_with(Setup { edges: 1, ..Setup::default() }).await.expect("the cluster starts")
}

async fn play(server: SocketAddr, except: &[&str]) {
    // In the open, the same request is answered: the mark is one.
    let open = exchange(server, b"GET /livez HTTP/1.1\r\nHost: edge\r\n\r\n").await;
    assert!(open.contains(MARK), "{open}");

    let mut cases = corpus();
    cases.retain(|case| !except.iter().any(|text| case.name.contains(text)));
    assert!(cases.len() >= 200, "{}", cases.len());
    let count = cases.len();
    let cases: Arc<[Case]> = cases.into();
    let played = in_turns(count, 8, |number| one(server, Arc::clone(&cases), number)).await.expect("no case panics");
    let answered: Vec<_> = played.into_iter().flatten().collect();
    assert!(answered.is_empty(), "{answered:#?}");
    eprintln!("{count} requests to {server}");
}

/// Sends one case, and gives its name if the hidden request is answered, to it or to the next person: a proxy uses its
/// connections to the Edge again.
async fn one(server: SocketAddr, cases: Arc<[Case]>, number: usize) -> Option<String> {
    let case = &cases[number];
    let answer = exchange(server, &case.bytes).await;
    let next = Client::new(server).get("/api/v1/info").await;
    let is_own = next.as_ref().is_ok_and(|next| next.json().is_ok_and(|json| json["version"].is_string()));
    (answer.contains(MARK) || !is_own).then(|| format!("{}: {answer} {next:?}", case.name))
}

/// Everything that comes back for these bytes and the honest request behind them.
async fn exchange(server: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server).await.expect("the server listens");
    let mut answer = Vec::new();
    // A server that has refused the first half closes on the second.
    if stream.write_all(&[bytes, HONEST.as_bytes()].concat()).await.is_ok() {
        drop(timeout(SILENCE, stream.read_to_end(&mut answer)).await);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
