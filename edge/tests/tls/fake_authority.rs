//! A certificate authority that misbehaves.

use std::{net::SocketAddr, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::certificates::WebAuthority;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Habit {
    /// The answer never ends.
    Streams,
    /// Somewhere else, please.
    Redirects(SocketAddr),
    /// The directory names other servers.
    NamesOthers(SocketAddr),
    /// Takes the request and says nothing.
    Silent,
    /// Takes the order, refuses it, and wants to be asked again at the end of time.
    Postpones,
}

/// Ends with the test.
pub(crate) struct FakeAuthority {
    address: SocketAddr,
    folder: TempDir,
    _running: JoinSet<()>,
}

impl FakeAuthority {
    pub(crate) async fn start(habit: Habit) -> Self {
        let authority = WebAuthority::new();
        let own = authority.issue_for_loopback();
        let chain = CertificateDer::pem_slice_iter(own.cert_pem.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(own.key_pem.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut running = JoinSet::new();
        running.spawn(serve(socket, acceptor, habit));
        Self { address, folder, _running: running }
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let ca = self.folder.path().join("ca.pem");
        vec![
            format!("--acme-directory=https://{}/dir", self.address),
            format!("--acme-ca-file={}", ca.display()),
            "--acme-listen=127.0.0.1:0".to_owned(),
        ]
    }
}

async fn serve(socket: TcpListener, acceptor: TlsAcceptor, habit: Habit) {
    loop {
        let (stream, _) = socket.accept().await.unwrap();
        // One after the other is enough for a client that asks one thing at a time.
        drop(answer(stream, &acceptor, habit).await);
    }
}

async fn answer(stream: TcpStream, acceptor: &TlsAcceptor, habit: Habit) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let own = format!("https://{}", stream.get_ref().0.local_addr()?);
    let target = read_request(&mut stream).await?;
    let json = |body: String| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    match habit {
        Habit::Streams => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            loop {
                stream.write_all(b"400\r\n").await?;
                stream.write_all(&[b' '; 1024]).await?;
                stream.write_all(b"\r\n").await?;
            }
        }
        Habit::Redirects(to) => {
            let reply = format!("HTTP/1.1 302 Found\r\nlocation: http://{to}/\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(reply.as_bytes()).await?;
        }
        Habit::NamesOthers(to) => {
            let names = ["newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"];
            let names = names.map(|name| format!(r#""{name}":"https://{to}/{name}""#)).join(",");
            stream.write_all(json(format!("{{{names}}}")).as_bytes()).await?;
        }
        Habit::Silent => {
            stream.read_u8().await?;
        }
        Habit::Postpones => stream.write_all(postponing(&own, &target).as_bytes()).await?,
    }
    stream.shutdown().await
}

/// The conversation of RFC 8555 up to the order.
fn postponing(own: &str, target: &str) -> String {
    let order = |status: &str| {
        format!(r#"{{"status":"{status}","authorizations":["{own}/authz"],"finalize":"{own}/finalize"}}"#)
    };
    let body = match target {
        "/dir" => format!(
            r#"{{"newNonce":"{own}/nonce","newAccount":"{own}/account","newOrder":"{own}/new","revokeCert":"{own}/revoke"}}"#
        ),
        "/account" => r#"{"status":"valid"}"#.to_owned(),
        "/authz" => {
            r#"{"identifier":{"type":"dns","value":"vpn.example.org"},"status":"valid","challenges":[]}"#.to_owned()
        }
        "/new" => order("pending"),
        "/order" => order("invalid"),
        _ => String::new(),
    };
    let lines = format!(
        "location: {own}/order\r\nreplay-nonce: bm9uY2U\r\nretry-after: {}\r\ncontent-length: {}",
        u64::MAX,
        body.len()
    );
    let status = if ["/account", "/new"].contains(&target) { "201 Created" } else { "200 OK" };
    format!("HTTP/1.1 {status}\r\n{lines}\r\n\r\n{body}")
}

/// The target of a request, which is read to its end.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    stream.read_exact(&mut vec![0; length.parse().unwrap()]).await?;
    Ok(head.split(' ').nth(1).unwrap().to_owned())
}
