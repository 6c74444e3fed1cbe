//! The least that is a mail server.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use postern_core::{
    config::{Config, Flags},
    mail::{House, Mailer},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

/// What it says when it has read a mail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict(&'static str);

impl Verdict {
    pub(super) const TAKEN: Self = Self("250 taken");
    pub(super) const REFUSED: Self = Self("550 no");
}

/// Ends every mail with the same verdict.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    verdict: Verdict,
    read: AtomicUsize,
    /// Closed when it may say its verdict.
    held: Semaphore,
}

impl Server {
    pub(super) async fn start(verdict: Verdict) -> Self {
        let server = Self::start_holding(verdict).await;
        server.let_go();
        server
    }

    /// Keeps its verdicts until it is let go.
    pub(super) async fn start_holding(verdict: Verdict) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { verdict, read: AtomicUsize::new(0), held: Semaphore::new(0) });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, _accepting: accepting }
    }

    pub(super) fn let_go(&self) {
        self.shared.held.close();
    }

    /// How many mails it has read.
    pub(super) fn mails(&self) -> usize {
        self.shared.read.load(Ordering::SeqCst)
    }

    /// Who hands mails to it.
    pub(super) fn mailer(&self) -> Arc<Mailer> {
        let variables = [
            ("POSTERN_CORE__SMTP_SERVER", self.address.to_string()),
            ("POSTERN_CORE__SMTP_ENCRYPTION", "none".to_owned()),
            ("POSTERN_CORE__MAIL_FROM", "VPN <vpn@example.org>".to_owned()),
        ];
        let config = Config::load(&Flags::new(), variables.map(|(name, value)| (name.into(), value.into()))).unwrap();
        let house = House {
            name: config.instance_name.clone(),
            public_url: config.public_url.clone(),
            admin: config.admin_contact.clone(),
        };
        Arc::new(Mailer::new(&config.mail.unwrap(), &[], house).unwrap())
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut conversations = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        conversations.spawn(converse(stream, Arc::clone(&shared)));
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let mut stream = BufStream::new(stream);
    let (mut reply, mut in_mail) = ("220 here", false);
    loop {
        // Whoever sends may leave at any moment.
        if !reply.is_empty() && stream.write_all(format!("{reply}\r\n").as_bytes()).await.is_err() {
            return;
        }
        if stream.flush().await.is_err() {
            return;
        }
        let mut line = String::new();
        if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
            return;
        }
        reply = match (in_mail, line.trim_end()) {
            (true, ".") => {
                in_mail = false;
                shared.read.fetch_add(1, Ordering::SeqCst);
                // It is never given a permit, only closed.
                shared.held.acquire().await.unwrap_err();
                shared.verdict.0
            }
            (true, _) => "",
            (false, "DATA") => {
                in_mail = true;
                "354 go ahead"
            }
            (false, _) => "250 fine",
        };
    }
}
