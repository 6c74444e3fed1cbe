//! A mail server that keeps what it is given, and can be as unhelpful as a real one.
//!
//! Speaks SMTP as far as a client needs it: EHLO, AUTH, STARTTLS, one mail after the other. What it keeps is bounded.

mod conversation;
mod tls;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use tokio::{net::TcpListener, task::JoinSet};

use crate::eventually;
use conversation::Conversation;
pub use tls::Authority;

/// More than any test sends.
const KEPT_MAX: usize = 1024;

/// How the sink treats whoever connects, from the next connection on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Take,
    /// Answers RCPT with this code.
    RefuseRecipient(u16),
    /// Answers the end of DATA with this code, and repeats the mail's token in it.
    RefuseMail(u16),
    /// Says nothing, not even a greeting.
    Silent,
    /// Begins a greeting, and never ends the line.
    Endless,
    /// Takes a mail and does not answer the goodbye.
    TakeWithoutGoodbye,
    /// Closes in the middle of DATA.
    CloseMidway,
    /// Takes a mail and closes before it says so.
    TakeWithoutWord,
}

/// What a client must do first.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    pub encryption: Encryption,
    /// Name and password.
    pub login: Option<(String, String)>,
}

#[derive(Debug, Clone, Default)]
pub enum Encryption {
    #[default]
    None,
    Tls(Authority),
    StartTls(Authority),
}

/// A mail as it came, without the dots that SMTP adds.
#[derive(Debug, Clone)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
    pub was_encrypted: bool,
}

/// Runs until it is dropped.
#[derive(Debug)]
pub struct MailSink {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    demands: Demands,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    connections: usize,
    mails: Vec<Mail>,
}

impl MailSink {
    pub async fn start() -> Result<Self> {
        Self::start_with(Demands::default()).await
    }

    pub async fn start_with(demands: Demands) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Mutex::new(State { manner: Manner::Take, connections: 0, mails: Vec::new() });
        let shared = Arc::new(Shared { demands, state });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _tasks: tasks })
    }

    /// Settings that make a Core use it, without their prefix.
    pub fn settings(&self, folder: &Path) -> Result<Vec<(&'static str, String)>> {
        let (mode, authority) = match &self.shared.demands.encryption {
            Encryption::None => ("none", None),
            Encryption::Tls(authority) => ("tls", Some(authority)),
            Encryption::StartTls(authority) => ("starttls", Some(authority)),
        };
        let mut settings = vec![
            // Certificates name hosts.
            ("SMTP_SERVER", format!("localhost:{}", self.address.port())),
            ("SMTP_ENCRYPTION", mode.to_owned()),
            ("MAIL_FROM", "Acme VPN <vpn@example.org>".to_owned()),
        ];
        if let Some(authority) = authority {
            settings.push(("OUTBOUND_CA_FILE", write(folder, "mail-ca.pem", &authority.pem)?));
        }
        if let Some((user, password)) = &self.shared.demands.login {
            settings.push(("SMTP_USER", user.clone()));
            settings.push(("SMTP_PASSWORD_FILE", write(folder, "mail-password", &format!("{password}\n"))?));
        }
        Ok(settings)
    }

    pub fn behave(&self, manner: Manner) {
        self.shared.state().manner = manner;
    }

    /// Everything that was taken, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.state().mails.clone()
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// The first mail whose subject holds these words, once it is there.
    pub async fn mail(&self, subject: &str, limit: Duration) -> Result<Mail> {
        let find = || self.mails().into_iter().find(|mail| mail.subject().contains(subject));
        eventually(&format!("a mail about {subject}"), limit, || async { find().is_some() }).await?;
        Ok(find().expect("nothing is taken away"))
    }
}

impl Mail {
    pub fn subject(&self) -> String {
        self.header("Subject")
    }

    /// A header as it stands, its lines joined.
    pub fn header(&self, name: &str) -> String {
        let head = self.text.split_once("\r\n\r\n").map_or(self.text.as_str(), |(head, _)| head);
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let prefix = format!("{name}: ");
        unfolded.lines().find_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).unwrap_or_default()
    }

    /// The whole text with its lines and signs as they were before they were quoted for the way (RFC 2045).
    pub fn decoded(&self) -> String {
        self.text.replace("=\r\n", "").replace("=3D", "=")
    }

    /// What follows `name=` up to the end of the word, in the plain part.
    pub fn value(&self, name: &str) -> Option<String> {
        let text = self.decoded();
        let (_, after) = text.split_once(&format!("{name}="))?;
        Some(after.chars().take_while(char::is_ascii_alphanumeric).collect())
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, mail: Mail) {
        let mut state = self.state();
        if state.mails.len() < KEPT_MAX {
            state.mails.push(mail);
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut conversations = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let manner = {
            let mut state = shared.state();
            state.connections += 1;
            state.manner
        };
        let conversation = Conversation::new(Arc::clone(&shared), manner);
        conversations.spawn(async move {
            // A client that leaves is its own business.
            drop(conversation.run(stream).await);
        });
        while conversations.try_join_next().is_some() {}
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<String> {
    let path: PathBuf = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}
