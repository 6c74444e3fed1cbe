//! Pages, odd paths and certificate challenges through a real NGINX.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::Method;
use postern_tests::{Client, Cluster};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const SECRET: &str = "canary-in-a-query";

#[tokio::test]
async fn pages_pass_and_no_query_is_logged_whether_an_edge_answers_or_not() {
    let mut cluster = Cluster::start().await.expect("the cluster starts");
    let public = cluster.public().with_header("referer", &format!("http://edge/?token={SECRET}"));
    let paths = ["/", "/open-desktop", "//open-desktop", "/password-reset", "/openid/mfa", "/openid/callback"];
    let remote = "/api/v1/client-mfa/remote";
    for path in paths {
        let reply = public.get(&format!("{path}?token={SECRET}&code={SECRET}&state={SECRET}")).await.expect(path);
        assert_eq!((reply.status, reply.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
        assert_eq!((reply.header("cache-control"), reply.header("etag")), ("no-store", ""), "{path}");
        assert!(reply.header("content-security-policy").contains("script-src 'self'"), "{path}");
    }
    let style = public.get("/assets/style.css").await.expect("the style");
    let again = public.clone().with_header("if-none-match", style.header("etag"));
    assert_eq!(again.get("/assets/style.css").await.expect("the style").status, 304);
    for edge in &mut cluster.edges {
        edge.process.kill().expect("kill the Edge");
    }
    for path in paths.into_iter().chain([remote]) {
        let reply = public.get(&format!("{path}?token={SECRET}")).await.expect(path);
        assert_eq!((reply.status, reply.header("content-type")), (502, "application/json"), "{path}");
        assert!(reply.header("content-security-policy").contains("default-src 'none'"), "{path}: {reply:?}");
    }
    assert!(!cluster.logs().contains(SECRET), "{}", cluster.logs());
}

#[tokio::test]
async fn a_path_means_the_same_to_nginx_and_to_an_edge() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    for method in [Method::GET, Method::POST] {
        for path in [
            "//open-desktop",
            "//api/v1/poll",
            "/api//v1/poll",
            "/api/v1/../v1/poll",
            "/./api/v1/poll",
            "/api%2fv1/poll",
            "/%61pi/v1/poll",
            "/assets/../api/v1/poll",
            "/api/../assets/style.css",
            "/assets//style.css",
            "/x/..//_postern_error",
            "/_postern_error",
            "/%2e%2e/",
            "/../livez",
            "/livez/",
            "/%2flivez",
            "/livez%00",
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/../../livez",
            "/.well-known/acme-challenge/a%2f..%2fb",
        ] {
            let send = async |client: Client| client.send(method.clone(), path, Bytes::new()).await.expect(path);
            let direct = send(cluster.edges[0].client()).await;
            let through = send(cluster.public()).await;
            // NGINX refuses by itself what leaves the root or cannot be decoded.
            let is_nginx = through.header("x-postern-edge").is_empty();
            if is_nginx {
                assert!([400, 404].contains(&through.status) && [400, 404, 405].contains(&direct.status), "{path}");
            } else {
                assert_eq!(through.status, direct.status, "{method} {path}");
            }
            assert!(!String::from_utf8_lossy(&through.body).contains(path), "{path} is repeated");
        }
    }
    let trace = cluster.public().send(Method::TRACE, "/", Bytes::new()).await.expect("TRACE");
    assert_eq!(trace.status, 405);
}

#[tokio::test]
async fn a_challenge_finds_the_one_edge_that_can_answer_it() {
    let mut cluster = Cluster::start().await.expect("the cluster starts");
    let mut edges = JoinSet::new();
    let mut servers = String::new();
    for answer in ["404 Not Found", "404 Not Found", "200 OK"] {
        let address = upstream(&mut edges, answer).await;
        servers += &format!("server {address} max_fails=0;\n");
    }
    cluster.nginx.restart_with("servers.conf", &servers).await.expect("NGINX restarts");
    cluster.answers().await.expect("NGINX answers");
    for _ in 0..10 {
        let reply = cluster.public().get("/.well-known/acme-challenge/token").await.expect("an answer");
        assert_eq!(reply.status, 200);
    }
    // Everywhere else a 404 is an answer.
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(cluster.public().get("/nothing").await.expect("an answer").status);
    }
    assert!(statuses.contains(&404), "{statuses:?}");
}

#[tokio::test]
async fn a_load_balancer_that_names_no_host_is_answered() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    for (server, what) in [(cluster.nginx.public, "through NGINX"), (cluster.edges[0].http, "at the Edge")] {
        let mut stream = TcpStream::connect(server).await.expect(what);
        stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").await.expect(what);
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.expect(what);
        assert!(reply.contains(" 200 OK\r\n"), "{what}: {reply}");
    }
}

/// Answers everything with this status.
async fn upstream(running: &mut JoinSet<()>, status: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    running.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
            if stream.read(&mut [0; 4096]).await.is_ok() && stream.write_all(answer.as_bytes()).await.is_ok() {
                drop(stream.shutdown().await);
            }
        }
    });
    address
}
