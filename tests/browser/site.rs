//! One Edge on loopback, the Core behind it, and a browser in front.

use std::{fs, net::SocketAddr};

use postern_edge::testing::{Answer, FakeCore, FakeTunnel};
use postern_proto::proxy::{CoreRequest, core_request::Payload};
use postern_tests::{
    Browser, Client, Process, browser::Sent, cluster::START_LIMIT, eventually, ports::Ports, process::Launch,
    programs::program,
};
use tempfile::TempDir;

pub(crate) struct Site {
    pub(crate) browser: Browser,
    /// Where the browser calls.
    pub(crate) origin: String,
    pub(crate) http: SocketAddr,
    tunnel_address: SocketAddr,
    core: FakeCore,
    tunnel: Option<FakeTunnel>,
    _edge: Process,
    _folder: TempDir,
    _ports: Ports,
}

impl Site {
    /// Ready, with a Core that answers like this.
    pub(crate) async fn start(answers: impl Fn(&CoreRequest) -> Answer + Send + Sync + 'static) -> Self {
        let mut site = Self::without_core().await;
        site.connect(answers).await;
        site
    }

    /// Adopted, and alone.
    pub(crate) async fn without_core() -> Self {
        let folder = tempfile::Builder::new().prefix("postern-test-").tempdir().expect("a folder");
        let mut ports = Ports::take().expect("free ports");
        let [http, tunnel_address, metrics] = std::array::from_fn(|_| address(&mut ports));
        let edge = start_edge(&folder, http, tunnel_address, metrics);
        let client = Client::new(http);
        let alive = || async { client.get("/livez").await.is_ok_and(|reply| reply.status == 200) };
        eventually("the Edge lives", START_LIMIT, alive)
            .await
            .unwrap_or_else(|error| panic!("{error}: {}", edge.log()));
        let core = FakeCore::new();
        core.adopt(tunnel_address).await.expect("a new Edge can be adopted");
        let browser = Browser::start(&mut ports).await.expect("the browser starts");
        let origin = format!("http://{http}");
        Self { browser, origin, http, tunnel_address, core, tunnel: None, _edge: edge, _folder: folder, _ports: ports }
    }

    pub(crate) async fn connect(&mut self, answers: impl Fn(&CoreRequest) -> Answer + Send + Sync + 'static) {
        self.tunnel = Some(self.core.connect(self.tunnel_address, answers).await);
        let client = Client::new(self.http);
        let ready = || async { client.get("/readyz").await.is_ok_and(|reply| reply.status == 200) };
        eventually("the Edge is ready", START_LIMIT, ready).await.expect("the Edge is ready");
    }

    pub(crate) async fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.origin)).await.expect("the page opens");
    }

    /// What Core was asked, in order.
    pub(crate) async fn asked(&self) -> Vec<Payload> {
        let tunnel = self.tunnel.as_ref().expect("a Core is connected");
        let requests = tunnel.requests(tunnel.request_count()).await;
        requests.into_iter().filter_map(|request| request.payload).collect()
    }

    /// The calls of the API that the pages have made since the last look.
    pub(crate) async fn calls(&self) -> Vec<Sent> {
        let sent = self.browser.sent().await.expect("the browser's log");
        sent.into_iter().filter(|sent| sent.url.contains("/api/")).collect()
    }

    /// Nothing has gone wrong on any page since the last look.
    pub(crate) async fn no_complaints(&self) {
        let complaints = self.browser.complaints().await.expect("the browser's log");
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

fn address(ports: &mut Ports) -> SocketAddr {
    ([127, 0, 0, 1], ports.port().expect("a port")).into()
}

fn start_edge(folder: &TempDir, http: SocketAddr, tunnel: SocketAddr, metrics: SocketAddr) -> Process {
    let identity = folder.path().join("identity");
    fs::create_dir(&identity).expect("a folder");
    let settings = [
        ("HTTP_LISTEN", http.to_string()),
        ("TUNNEL_LISTEN", tunnel.to_string()),
        ("METRICS_LISTEN", metrics.to_string()),
        ("PUBLIC_URL", format!("http://{http}/")),
        ("IDENTITY_DIR", identity.display().to_string()),
    ];
    let launch = Launch {
        name: "edge".to_owned(),
        program: program("postern-edge").expect("a built program"),
        arguments: vec!["serve".to_owned()],
        environment: settings.map(|(key, value)| (format!("POSTERN_EDGE__{key}"), value)).to_vec(),
        log: folder.path().join("edge.log"),
    };
    Process::start(launch).expect("the Edge starts")
}
