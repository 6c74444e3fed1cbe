//! Somebody else's web server: answers everything with one page, and notes what it was sent.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use postern_tests::eventually;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// More than a browser sends with a visit.
const HEAD_MAX: usize = 16 * 1024;
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct ThirdParty {
    /// By name, so that it is another site than the Edge, which has a number.
    pub(crate) origin: String,
    heads: Arc<Mutex<Vec<String>>>,
    _server: JoinSet<()>,
}

impl ThirdParty {
    pub(crate) async fn start(page: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let origin = format!("http://localhost:{}", listener.local_addr().expect("an address").port());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, page.to_owned(), Arc::clone(&heads)));
        Self { origin, heads, _server: server }
    }

    /// Waits for a request of this path, and gives its head.
    pub(crate) async fn visit(&self, path: &str) -> String {
        let wanted = format!("GET {path}");
        let found = || self.seen().into_iter().find(|head| head.starts_with(&wanted));
        eventually(&format!("{wanted} arrives"), LIMIT, || async { found().is_some() }).await.expect("a visit");
        found().expect("it was just there")
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(listener: TcpListener, page: String, heads: Arc<Mutex<Vec<String>>>) {
    let mut callers = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        callers.spawn(answer(stream, page.clone(), Arc::clone(&heads)));
        while callers.try_join_next().is_some() {}
    }
}

async fn answer(mut stream: TcpStream, page: String, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = vec![0; HEAD_MAX];
    // A browser opens connections that it does not use.
    let Ok(length @ 1..) = stream.read(&mut head).await else { return };
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(String::from_utf8_lossy(&head[..length]).into_owned());
    let length = page.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{page}"
    );
    if stream.write_all(answer.as_bytes()).await.is_ok() {
        drop(stream.shutdown().await);
    }
}
