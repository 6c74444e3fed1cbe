//! Connections: slow ones, too many, and the last ones before a stop.

use std::{num::NonZeroU32, time::Duration};

use postern_edge::testing::{Answer, FakeTunnel};
use postern_proto::{client_types::InstanceInfoResponse, proxy::core_response::Payload};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    answers::right,
    harness::{Reply, Setting, Site},
};

const SOON: Duration = Duration::from_secs(2);
const POLL: &[u8] = b"POST /api/v1/poll HTTP/1.1\r\nhost: edge\r\ncontent-type: application/json\r\n\
                      content-length: 13\r\n\r\n{\"token\":\"t\"}";
const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nhost: edge\r\n\r\n";

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let site = Site::start(with_header_timeout(Duration::from_millis(200))).await;
    let mut stream = site.connect().await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: ed").await.unwrap();
    assert_eq!(timeout(SOON, stream.read(&mut [0; 16])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let site = Site::start(Setting::default()).await;
    let mut stream = site.connect().await;
    for _ in 0..3 {
        stream.write_all(LIVEZ).await.unwrap();
        expect_alive(&mut stream).await;
    }
}

#[tokio::test]
async fn too_many_headers_are_refused() {
    let site = Site::start(Setting::default()).await;
    let lines: String = (0..100).map(|at| format!("x-{at}: 1\r\n")).collect();
    assert_eq!(site.exchange(&format!("GET /livez HTTP/1.1\r\nhost: edge\r\n{lines}\r\n")).await.status, 431);
}

#[tokio::test]
async fn one_address_does_not_take_all_connections() {
    let mut setting = Setting::default();
    setting.limits.connections_max_per_address = NonZeroU32::MIN;
    let site = Site::start(setting).await;
    let mut first = site.connect().await;
    first.write_all(LIVEZ).await.unwrap();
    expect_alive(&mut first).await;
    let mut second = site.connect().await;
    assert_eq!(timeout(SOON, second.read(&mut [0; 16])).await.unwrap().unwrap_or(0), 0);
    drop(first);
    eventually_served(&site).await;
}

#[tokio::test]
async fn a_crowd_beyond_the_cap_waits_and_is_served() {
    let mut setting = Setting::default();
    setting.limits.connections_max = NonZeroU32::MIN;
    let site = Site::start(setting).await;
    let first = site.connect().await;
    let mut second = std::pin::pin!(site.get("/livez"));
    assert!(timeout(Duration::from_millis(200), &mut second).await.is_err());
    drop(first);
    assert_eq!(second.await.status, 200);
}

#[tokio::test]
async fn a_trusted_proxy_may_hold_as_many_as_it_needs() {
    let mut setting = Setting::behind_proxy();
    setting.limits.connections_max_per_address = NonZeroU32::MIN;
    let site = Site::start(setting).await;
    let _first = site.connect().await;
    assert_eq!(site.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_drain_answers_what_is_in_flight_and_then_ends() {
    let (mut site, tunnel) = Site::connected(Setting::default(), |_| Answer::Nothing).await;
    let mut stream = site.connect().await;
    stream.write_all(POLL).await.unwrap();
    let id = tunnel.requests(1).await[0].id;
    site.drain.begin();
    reply(&tunnel, id).await;
    let answered = timeout(SOON, Reply::read(&mut stream)).await.unwrap();
    assert_eq!((answered.status, answered.header("connection")), (200, Some("close")));
    timeout(SOON, site.ended()).await.unwrap();
    assert!(TcpStream::connect(site.address).await.is_err());
}

#[tokio::test]
async fn a_drain_closes_idle_connections() {
    let mut site = Site::start(Setting::default()).await;
    let mut idle = site.connect().await;
    idle.write_all(LIVEZ).await.unwrap();
    expect_alive(&mut idle).await;
    site.drain.begin();
    timeout(SOON, site.ended()).await.unwrap();
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn while_a_drain_is_delayed_everything_is_served_but_ready_is_false() {
    let setting = Setting { drain_delay: Duration::from_secs(30), ..Setting::default() };
    let (site, _tunnel) = Site::connected(setting, right).await;
    site.drain.begin();
    site.get("/readyz").await.expect_error(503, "draining", "Not ready");
    assert_eq!(site.get("/livez").await.status, 200);
    let mut stream = site.connect().await;
    stream.write_all(POLL).await.unwrap();
    let answered = timeout(SOON, Reply::read(&mut stream)).await.unwrap();
    assert_eq!((answered.status, answered.header("connection")), (200, Some("close")));
}

fn with_header_timeout(header_timeout: Duration) -> Setting {
    let mut setting = Setting::default();
    setting.limits.header_timeout = header_timeout;
    setting
}

async fn expect_alive(stream: &mut TcpStream) {
    let mut text = String::new();
    while !text.ends_with(r#"{"status":"alive"}"#) {
        let mut bytes = [0; 2048];
        let length = timeout(SOON, stream.read(&mut bytes)).await.unwrap().unwrap();
        assert_ne!(length, 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
}

/// The Edge notices a closed connection in its own time.
async fn eventually_served(site: &Site) {
    let served = async {
        loop {
            let mut stream = site.connect().await;
            let asked = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n").await;
            let mut text = Vec::new();
            if asked.is_ok() && stream.read_to_end(&mut text).await.is_ok_and(|length| length > 0) {
                return;
            }
        }
    };
    timeout(SOON, served).await.unwrap();
}

async fn reply(tunnel: &FakeTunnel, id: u64) {
    tunnel.reply(id, Payload::InstanceInfo(InstanceInfoResponse::default())).await;
}
