//! What websockets may take: time, messages, seats, and never the room of a request.

use std::{num::NonZeroU32, time::Duration};

use postern_edge::{
    core_client::CallError,
    testing::{Answer, TestEdge, eventually},
    tunnel::in_flight::IN_FLIGHT_MAX,
};
use postern_proto::{
    client_types::InstanceInfoRequest,
    limits::REQUEST_BUDGET,
    proxy::{
        AwaitRemoteMfaFinishRequest, ClientMfaTokenValidationResponse, core_request::Payload as Asked,
        core_response::Payload,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    answers::right,
    desktop::{Desktop, REMOTE, approval, waits},
    harness::{Setting, Site},
};

#[tokio::test]
async fn after_its_time_a_socket_is_closed() {
    let mut setting = Setting::default();
    setting.websockets.lifetime = Duration::from_millis(300);
    let (site, _tunnel) = Site::connected(setting, right).await;
    let begun = Instant::now();
    let (code, reason) = Desktop::open(&site, "t").await.closed().await;
    assert_eq!((code, reason.as_str()), (1013, "The login was not approved in time"));
    assert!((0.29..5.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    eventually("no wait is left", || site.edge.registry.waits() == 0).await;
}

#[tokio::test]
async fn without_a_tunnel_it_asks_until_its_time_is_over() {
    let mut setting = Setting::default();
    setting.websockets.lifetime = Duration::from_millis(700);
    let (site, tunnel) = Site::connected(setting, right).await;
    let mut desktop = Desktop::open(&site, "t").await;
    waits(&tunnel, 1).await;
    tunnel.hang_up().await;
    assert_eq!(desktop.closed().await.0, 1013);
}

#[tokio::test]
async fn messages_are_dropped_and_bounded() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let mut desktop = Desktop::open(&site, "t").await;
    for message in [Message::text("x".repeat(4096)), Message::binary(vec![0; 4096]), Message::Ping("p".into())] {
        desktop.send(message).await;
    }
    assert_eq!(desktop.next().await, Some(Message::Pong("p".into())));
    let id = waits(&tunnel, 1).await[0];
    tunnel.reply(id, approval()).await;
    assert!(matches!(desktop.next().await, Some(Message::Text(_))), "what it sent changed nothing");

    for size in [4097, 1_000_000] {
        let mut desktop = Desktop::open(&site, "t").await;
        desktop.send(Message::binary(vec![0; size])).await;
        assert_eq!(desktop.closed().await.0, 1009, "{size} bytes");
    }
    let mut desktop = Desktop::open(&site, "t").await;
    for _ in 0..257 {
        desktop.send(Message::text("")).await;
    }
    assert_eq!(desktop.closed().await.0, 1008);
    let mut stream = upgraded(&site).await;
    // A message that begins, and goes on in empty parts.
    stream.write_all(&[0x02, 0x80, 0, 0, 0, 0]).await.unwrap();
    stream.write_all(&[0x00, 0x80, 0, 0, 0, 0].repeat(20_000)).await.unwrap();
    let mut close = [0; 4];
    timeout(Duration::from_secs(5), stream.read_exact(&mut close)).await.unwrap().unwrap();
    assert_eq!((close[0], &close[2..]), (0x88, &1008_u16.to_be_bytes()[..]));
    drop(stream);
    eventually("no wait is left", || site.edge.registry.waits() == 0).await;
}

#[tokio::test]
async fn bytes_that_are_no_frames_close_the_socket() {
    let (site, _tunnel) = Site::connected(Setting::default(), right).await;
    for bytes in [&[0x81, 0x01, b'x'][..], &[0xff; 64], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = upgraded(&site).await;
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.unwrap().unwrap();
        // A close frame with the code 1002.
        assert_eq!((rest[0], &rest[2..4]), (0x88, &1002_u16.to_be_bytes()[..]), "{bytes:?}");
    }
    eventually("no wait is left", || site.edge.registry.waits() == 0).await;
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_gone_and_one_that_does_stays() {
    let mut setting = Setting::default();
    setting.websockets.ping_interval = Duration::from_millis(50);
    let (site, tunnel) = Site::connected(setting, right).await;
    let mut silent = upgraded(&site).await;
    let mut alive = Desktop::open(&site, "alive").await;
    let id = *waits(&tunnel, 2).await.last().unwrap();
    let mut pings = Vec::new();
    let reading = async {
        silent.read_to_end(&mut pings).await.unwrap();
        // Long after the silent one is gone.
        tokio::time::sleep(Duration::from_millis(500)).await;
        tunnel.reply(id, approval()).await;
    };
    let (message, ()) = tokio::join!(alive.next(), reading);
    assert!(matches!(message, Some(Message::Text(_))));
    assert_eq!(pings, [0x89, 0, 0x89, 0], "two pings and nothing else");
}

#[tokio::test]
async fn one_address_has_its_share_of_seats_and_no_more() {
    let mut setting = Setting::behind_proxy();
    setting.websockets.websockets_max_per_address = NonZeroU32::new(2).unwrap();
    setting.websockets.websockets_max = NonZeroU32::new(3).unwrap();
    let (site, tunnel) = Site::connected(setting, right).await;
    let first = open_from(&site, "192.0.2.1").await.unwrap();
    let _second = open_from(&site, "192.0.2.1").await.unwrap();
    let before = tunnel.request_count();
    let refused = open_from(&site, "192.0.2.1").await.unwrap_err();
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("\r\nretry-after: "), "{refused}");
    assert!(refused.contains(r#""code":"too_many_websockets""#), "{refused}");
    let _third = open_from(&site, "192.0.2.2").await.unwrap();
    assert!(open_from(&site, "192.0.2.3").await.is_err(), "all seats are taken");
    assert_eq!(tunnel.request_count(), before + 2, "core is not asked about those");
    drop(first);
    eventually("a seat is free", || site.edge.registry.waits() == 2).await;
    let mut opened = open_from(&site, "192.0.2.1").await;
    while opened.is_err() {
        opened = open_from(&site, "192.0.2.1").await;
    }
}

#[tokio::test]
async fn waits_take_no_room_from_requests() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let mut waiting = JoinSet::new();
    for count in 1..=IN_FLIGHT_MAX + 500 {
        let core = site.edge.client.clone();
        waiting.spawn(async move {
            let question = AwaitRemoteMfaFinishRequest { token: String::new() };
            core.wait(question, TestEdge::context(Duration::from_secs(60))).await
        });
        if count % 100 == 0 {
            tunnel.requests(count).await;
        }
    }
    let registry = &site.edge.registry;
    assert_eq!((registry.waits(), registry.in_flight()), (IN_FLIGHT_MAX + 500, 0));
    let poll = || site.edge.client.call(InstanceInfoRequest::default(), TestEdge::context(Duration::from_secs(4)));
    assert!(poll().await.is_ok());
    tunnel.hang_up().await;
    while let Some(ended) = waiting.join_next().await {
        assert_eq!(ended.unwrap().unwrap_err(), CallError::TunnelLost);
    }
}

/// Five thousand openings without a login: each is turned away, and people get through meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_without_a_login_does_not_keep_anybody_out() {
    let mut setting = Setting::default();
    setting.limits.connections_max = NonZeroU32::new(512).unwrap();
    setting.limits.connections_max_per_address = NonZeroU32::new(512).unwrap();
    let (site, _tunnel) = Site::connected(setting, |request| match &request.payload {
        Some(Asked::ClientMfaTokenValidation(asked)) => {
            let token_valid = asked.token == "live";
            Answer::Reply(Payload::ClientMfaTokenValidation(ClientMfaTokenValidationResponse { token_valid }))
        }
        Some(Asked::AwaitRemoteMfaFinish(_)) => Answer::Reply(approval()),
        _ => right(request),
    })
    .await;
    let crowd = async {
        let attempts = (0..5_000).map(|number| {
            let site = &site;
            async move { Desktop::try_open(site, &format!("dead-{number}")).await.err() }
        });
        let mut attempts = futures::StreamExt::buffer_unordered(futures::stream::iter(attempts), 32);
        while let Some(refused) = futures::StreamExt::next(&mut attempts).await {
            assert_eq!(refused, Some(401));
        }
    };
    let people = async {
        for _ in 0..50 {
            let begun = Instant::now();
            let body = r#"{"location_id":1,"pubkey":"k=","method":0}"#;
            assert_eq!(site.post("/api/v1/client-mfa/start", body).await.status, 200);
            let mut desktop = Desktop::open(&site, "live").await;
            assert!(matches!(desktop.next().await, Some(Message::Text(_))));
            assert!(begun.elapsed() < REQUEST_BUDGET, "{:?}", begun.elapsed());
        }
    };
    tokio::join!(crowd, people);
    assert_eq!((site.edge.registry.waits(), site.edge.registry.in_flight()), (0, 0));
}

/// A raw connection after its 101: its client does nothing by itself.
async fn upgraded(site: &Site) -> tokio::net::TcpStream {
    open_from(site, "").await.unwrap()
}

/// Opens a socket as a proxy does for this client; the whole reply if it does not open.
async fn open_from(site: &Site, client: &str) -> Result<tokio::net::TcpStream, String> {
    let mut stream = site.connect().await;
    let opening = format!(
        "GET {REMOTE}?token={} HTTP/1.1\r\nhost: edge\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-forwarded-for: {client}\r\n\r\n",
        rand::random::<u64>()
    );
    stream.write_all(opening.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        reply.push(stream.read_u8().await.unwrap());
    }
    if reply.starts_with(b"HTTP/1.1 101 ") {
        return Ok(stream);
    }
    stream.read_to_end(&mut reply).await.unwrap();
    Err(String::from_utf8(reply).unwrap())
}
