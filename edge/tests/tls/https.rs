//! HTTPS comes with Core's certificate, changes with it, and goes with it; plain HTTP is always there.

use postern_edge::testing::{Answer, FakeCore, eventually, free_address};
use postern_proto::proxy::{InitialInfo, core_response::Payload};
use rustls::version::{TLS12, TLS13};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::{
    certificates::{WebAuthority, leaf},
    client,
    program::{Program, names},
};

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nhost: vpn.example.org\r\n\r\n";
const LAST_LIVEZ: &str = "GET /livez HTTP/1.1\r\nhost: vpn.example.org\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_core_is_served_and_plain_http_goes_on() {
    let authority = WebAuthority::new();
    let certificate = authority.issue();
    let (edge, tunnel, _core) = Program::connected(&[]).await;
    assert!(TcpStream::connect(edge.https).await.is_err(), "without a certificate nothing listens");
    tunnel.push(Payload::HttpsCerts(certificate.clone())).await;
    edge.wait_for_https().await;
    let stream = client::connect(edge.https, authority.roots()).await.unwrap();
    assert_eq!(client::shown(&stream), leaf(&certificate));
    let reply = client::read_all(stream, LAST_LIVEZ).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("strict-transport-security"), Some("max-age=31536000"));
    assert_eq!(client::get(edge.http, "/livez").await.status, 200);
    assert_eq!(names(&edge.identity()).len(), 4, "nothing of it is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_by_the_next_handshake_and_closes_nothing() {
    let authority = WebAuthority::new();
    let (old, new) = (authority.issue(), authority.issue_with_rsa());
    let (edge, tunnel, _core) = Program::serving(&old, &[]).await;
    let mut before = client::connect(edge.https, authority.roots()).await.unwrap();
    assert_eq!(client::read_one(&mut before, LIVEZ).await.status, 200);
    tunnel.push(Payload::HttpsCerts(new.clone())).await;
    eventually("both are announced", || edge.log_lines("serving a web certificate") == 2).await;
    let after = client::connect(edge.https, authority.roots()).await.unwrap();
    assert_eq!(client::shown(&after), leaf(&new));
    assert_eq!(client::read_one(&mut before, LIVEZ).await.status, 200, "the old connection lives");
    assert_eq!(edge.log_lines("listening https="), 1, "the listener was not closed: {}", edge.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_of_keys_are_served_over_both_versions_of_tls() {
    let authority = WebAuthority::new();
    let (edge, tunnel, _core) = Program::connected(&[]).await;
    for (number, certificate) in [authority.issue(), authority.issue_with_rsa()].iter().enumerate() {
        tunnel.push(Payload::HttpsCerts(certificate.clone())).await;
        eventually("it is served", || edge.log_lines("serving a web certificate") == number + 1).await;
        edge.wait_for_https().await;
        for version in [&TLS12, &TLS13] {
            let stream = client::connect_with(edge.https, authority.roots(), &[version], &[b"http/1.1"]).await.unwrap();
            assert_eq!(client::shown(&stream), leaf(certificate));
            assert_eq!(client::read_all(stream, LAST_LIVEZ).await.status, 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_certificate_again_is_no_event_from_whichever_tunnel() {
    let authority = WebAuthority::new();
    let certificate = authority.issue();
    let (edge, tunnel, core) = Program::serving(&certificate, &[]).await;
    tunnel.push(Payload::HttpsCerts(certificate.clone())).await;
    let second = core.connect(edge.tunnel, |_| Answer::Nothing).await;
    second.push(Payload::HttpsCerts(certificate.clone())).await;
    // Refused after the others, so they have been read.
    second.push(Payload::HttpsCerts(Default::default())).await;
    edge.wait_for_log("refused the web certificate").await;
    assert_eq!(edge.log_lines("serving a web certificate"), 1, "{}", edge.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_push_wins_whichever_core_it_comes_from() {
    let authority = WebAuthority::new();
    let (first, second) = (authority.issue(), authority.issue());
    let (edge, _tunnel, core) = Program::serving(&first, &[]).await;
    let other = core.sibling().connect(edge.tunnel, |_| Answer::Nothing).await;
    other.push(Payload::HttpsCerts(second.clone())).await;
    eventually("the second is served", || edge.log_lines("serving a web certificate") == 2).await;
    let stream = client::connect(edge.https, authority.roots()).await.unwrap();
    assert_eq!(client::shown(&stream), leaf(&second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_may_come_before_initial_info() {
    let authority = WebAuthority::new();
    let (edge, core) = (Program::start(&[]), FakeCore::stock());
    core.adopt(edge.tunnel).await.unwrap();
    let tunnel = core.try_connect(edge.tunnel, std::sync::Arc::new(|_| Answer::Nothing)).await.unwrap();
    tunnel.push(Payload::HttpsCerts(authority.issue())).await;
    edge.wait_for_https().await;
    let stream = client::connect(edge.https, authority.roots()).await.unwrap();
    assert_eq!(client::read_all(stream, &LAST_LIVEZ.replace("livez", "readyz")).await.status, 503);
    tunnel.push(Payload::InitialInfo(InitialInfo { private_cookies_key: vec![1; 64] })).await;
    edge.wait_for_log("tunnel up").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_https_ends_and_http_serves_as_before() {
    let authority = WebAuthority::new();
    let certificate = authority.issue();
    let (edge, tunnel, _core) = Program::serving(&certificate, &[]).await;
    let mut idle = client::connect(edge.https, authority.roots()).await.unwrap();
    assert_eq!(client::read_one(&mut idle, LIVEZ).await.status, 200);
    assert_eq!(client::get(edge.http, "/").await.status, 308);
    tunnel.push(Payload::ClearHttpsCerts(())).await;
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0, "an idle connection ends");
    let https = edge.https;
    eventually("nothing listens", || std::net::TcpStream::connect(https).is_err()).await;
    assert_ne!(client::get(edge.http, "/").await.status, 308);
    tunnel.push(Payload::HttpsCerts(certificate)).await;
    edge.wait_for_https().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_takes_the_certificate_along() {
    let authority = WebAuthority::new();
    let (edge, tunnel, core) = Program::serving(&authority.issue(), &[]).await;
    tunnel.purge().await.unwrap();
    let https = edge.https;
    eventually("nothing listens", || std::net::TcpStream::connect(https).is_err()).await;
    assert!(client::get(edge.http, "/api/v1/info").await.text.contains(r#""server_state":"setup""#));
    let other = FakeCore::stock().adopt(edge.tunnel).await.unwrap_err();
    assert_eq!(other.code(), tonic::Code::PermissionDenied);
    eventually("the attempt of the other is over", || edge.log_lines("refused adoption by another ca") == 1).await;
    while core.adopt(edge.tunnel).await.is_err() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_told_once_and_had_when_it_is_free() {
    let authority = WebAuthority::new();
    let address = free_address();
    let taken = std::net::TcpListener::bind(address).unwrap();
    let (edge, tunnel, _core) = Program::connected(&["--https-listen", &address.to_string()]).await;
    tunnel.push(Payload::HttpsCerts(authority.issue())).await;
    edge.wait_for_log("cannot listen for HTTPS").await;
    assert_ne!(client::get(edge.http, "/").await.status, 308, "nobody is sent to where nobody listens");
    drop(taken);
    eventually("it listens", || edge.log_lines("listening https=") == 1).await;
    client::connect(address, authority.roots()).await.unwrap();
    assert_eq!(edge.log_lines("cannot listen for HTTPS"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_may_speak_http_2() {
    let authority = WebAuthority::new();
    let (edge, tunnel, _core) = Program::serving(&authority.issue(), &[]).await;
    let protocols: &[&[u8]] = &[b"h2", b"http/1.1"];
    let stream = client::connect_with(edge.https, authority.roots(), &[&TLS13], protocols).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let mut running = tokio::task::JoinSet::new();
    running.spawn(async move { drop(connection.await) });
    let request = |path: &str| {
        let uri = format!("https://vpn.example.org{path}");
        http::Request::get(uri).body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap()
    };
    let answers = (0..20).map(|number| {
        let mut sender = sender.clone();
        let path = if number % 2 == 0 { "/livez" } else { "/nothing" };
        let request = request(path);
        async move { sender.send_request(request).await.unwrap().status().as_u16() }
    });
    let statuses = futures::future::join_all(answers).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 404).count(), 10, "{statuses:?}");
    // The one answer that is not ours: the library refuses such a head by itself, and says nothing else.
    let mut too_large = request("/livez");
    too_large.headers_mut().insert("x-large", "x".repeat(17 * 1024).parse().unwrap());
    let refused = sender.clone().send_request(too_large).await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers().len()), (431, 0), "{refused:?}");
    tunnel.push(Payload::ClearHttpsCerts(())).await;
    assert!(running.join_next().await.unwrap().is_ok(), "the connection ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_as_many_connections_over_both_ports_as_over_one() {
    let authority = WebAuthority::new();
    let (edge, _tunnel, _core) = Program::serving(&authority.issue(), &["--connections-max-per-address", "2"]).await;
    edge.wait_until_nobody_is_connected().await;
    let plain = TcpStream::connect(edge.http).await.unwrap();
    let mut secured = client::connect(edge.https, authority.roots()).await.unwrap();
    assert_eq!(client::read_one(&mut secured, LIVEZ).await.status, 200);
    let mut third = TcpStream::connect(edge.http).await.unwrap();
    assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(client::connect(edge.https, authority.roots()).await.is_err());
    drop(plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_end_the_handshake_is_cut_off() {
    let authority = WebAuthority::new();
    let (edge, _tunnel, _core) = Program::serving(&authority.issue(), &[]).await;
    let mut silent = TcpStream::connect(edge.https).await.unwrap();
    let mut byte = [0; 1];
    let cut = tokio::time::timeout(std::time::Duration::from_secs(8), silent.read(&mut byte));
    assert_eq!(cut.await.expect("within eight seconds").unwrap_or(0), 0);
    assert!(edge.metrics().await.contains("postern_edge_https_handshakes_failed_total"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_no_answer_over_http_2_does_not_stay_for_ever() {
    let authority = WebAuthority::new();
    let (edge, tunnel, _core) = Program::serving(&authority.issue(), &[]).await;
    let stream = client::connect_with(edge.https, authority.roots(), &[&TLS13], &[b"h2"]).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let mut builder = hyper::client::conn::http2::Builder::new(executor);
    // Room for no byte of a body; pings are answered as ever.
    builder.initial_stream_window_size(0);
    let (mut sender, connection) = builder.handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    let mut running = tokio::task::JoinSet::new();
    running.spawn(async move { drop(connection.await) });
    let page = http::Request::get("https://vpn.example.org/").body(http_body_util::Empty::<bytes::Bytes>::new());
    let answer = sender.send_request(page.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    tunnel.push(Payload::ClearHttpsCerts(())).await;
    let ended = tokio::time::timeout(std::time::Duration::from_secs(25), running.join_next()).await;
    assert!(ended.is_ok(), "it is still there");
}
