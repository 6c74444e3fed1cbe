//! An Edge on free ports, and a client that shows exactly what it sends.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use postern_edge::{
    acme::Challenges,
    config::{self, PublicOrigin, PublicUrl},
    drain::Drain,
    http::{
        Front, Parts, TrustedProxies,
        listener::{ConnectionLimits, HEADER_TIMEOUT, HttpListener},
        remote_mfa::{PING_INTERVAL, WebsocketLimits, Websockets},
    },
    testing::{Answer, FakeCore, FakeTunnel, TestEdge, adopted_edge, eventually},
};
use postern_proto::{limits::APPROVAL_BUDGET, proxy::CoreRequest};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// How the Edge under test is set.
pub(crate) struct Setting {
    pub(crate) public_url: PublicUrl,
    pub(crate) trusted_proxies: &'static str,
    pub(crate) limits: ConnectionLimits,
    pub(crate) websockets: WebsocketLimits,
    pub(crate) drain_delay: Duration,
}

impl Default for Setting {
    fn default() -> Self {
        let limits = ConnectionLimits {
            connections_max: NonZeroU32::new(64).unwrap(),
            connections_max_per_address: NonZeroU32::new(64).unwrap(),
            header_timeout: HEADER_TIMEOUT,
        };
        let websockets = WebsocketLimits {
            websockets_max: NonZeroU32::new(64).unwrap(),
            websockets_max_per_address: NonZeroU32::new(64).unwrap(),
            lifetime: APPROVAL_BUDGET,
            ping_interval: PING_INTERVAL,
            grace: Duration::from_secs(65),
        };
        Self { public_url: PublicUrl::Https, trusted_proxies: "", limits, websockets, drain_delay: Duration::ZERO }
    }
}

impl Setting {
    /// This machine is a proxy that is believed.
    pub(crate) fn behind_proxy() -> Self {
        Self { trusted_proxies: "127.0.0.0/8", ..Self::default() }
    }
}

/// A whole Edge. Dropping it ends it.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) drain: Drain,
    pub(crate) edge: TestEdge,
    pub(crate) core: FakeCore,
    running: JoinSet<()>,
    _folder: TempDir,
}

impl Site {
    /// Adopted, with no tunnel yet.
    pub(crate) async fn start(setting: Setting) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let core = FakeCore::new();
        let edge = adopted_edge(folder.path(), &core).await;
        let drain = Drain::default();
        let front = Front::new(Parts {
            core: edge.client.clone(),
            registry: edge.registry.clone(),
            session_keys: edge.keys.clone(),
            trusted_proxies: TrustedProxies::new(setting.trusted_proxies.parse().into_iter().collect()),
            public_url: setting.public_url,
            public_origin: public_origin(setting.public_url),
            exposed_name: None,
            websockets: Websockets::new(setting.websockets),
            certificates: edge.certificates.clone(),
            challenges: Challenges::default(),
            drain: drain.clone(),
        });
        let listener = HttpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut running = JoinSet::new();
        running.spawn(listener.run(front, setting.limits, setting.drain_delay));
        Self { address, drain, edge, core, running, _folder: folder }
    }

    /// The same with a tunnel, ready.
    pub(crate) async fn connected(
        setting: Setting,
        answers: impl Fn(&CoreRequest) -> Answer + Send + Sync + 'static,
    ) -> (Self, FakeTunnel) {
        let site = Self::start(setting).await;
        let tunnel = site.core.connect(site.edge.address, answers).await;
        eventually("the edge is ready", || site.edge.registry.is_ready()).await;
        (site, tunnel)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n")).await
    }

    /// A POST of JSON, as clients do it.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        self.post_with(path, "content-type: application/json\r\n", body).await
    }

    /// The same with more header lines.
    pub(crate) async fn post_with(&self, path: &str, lines: &str, body: &str) -> Reply {
        let length = body.len();
        self.exchange(&format!(
            "POST {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\ncontent-length: {length}\r\n{lines}\r\n{body}"
        ))
        .await
    }

    /// Sends this and reads until the Edge closes.
    pub(crate) async fn exchange(&self, request: &str) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        Reply::read(&mut stream).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The listener has returned.
    pub(crate) async fn ended(&mut self) {
        self.running.join_next().await.unwrap().unwrap();
    }
}

/// The Edge's address, as `host: edge` has it.
fn public_origin(public_url: PublicUrl) -> PublicOrigin {
    let url = match public_url {
        PublicUrl::Https => "https://edge/",
        PublicUrl::Http => "http://edge/",
    };
    config::parse(["postern-edge", "--public-url", url].map(Into::into), []).unwrap().settings.public_origin
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Self::parse(std::str::from_utf8(&bytes).unwrap())
    }

    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("a whole reply, not {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// It is this error, and the body names the request as the header does.
    #[track_caller]
    pub(crate) fn expect_error(&self, status: u16, code: &str, text: &str) {
        let request_id = self.header("x-request-id").unwrap();
        let expected = serde_json::json!({"error": text, "code": code, "request_id": request_id});
        assert_eq!((self.status, self.json()), (status, expected));
    }
}
