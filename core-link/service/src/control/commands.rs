//! Does what an administrator asked for. The same code runs in a running Core and in a command without one.

mod certificates;
mod devices;
mod edges;
mod mail;
mod network;
mod people;
mod tokens;

use std::sync::Arc;

use postern_core_link::{AdoptError, OrderError};
use tokio::sync::mpsc;

use super::{Answer, Command};
use crate::{
    activity::{self, Origin},
    certificate::{CertificateError, Certificates},
    config::Config,
    device::{AddHostError, FindDeviceError, InvalidDevice},
    edges::{EdgeError, Edges, Reach},
    enrollment::InviteError,
    location::{AddLocationError, ChangeLocationError, FindLocationError, InvalidLocation},
    mail::{Mailer, SendError},
    openid::{Issuer, LinkError},
    person::{AddPersonError, FindPersonError, InvalidPerson},
    serve::{Installation, InstallationError},
    store::{Store, StoreError},
};

/// The commands, and what they work on.
#[derive(Debug)]
pub struct Commands {
    store: Store,
    edges: Arc<Edges>,
    certificates: Arc<Certificates>,
    public_url: String,
    mailer: Option<Arc<Mailer>>,
    openid_issuer: Option<Issuer>,
}

/// Why a command was refused, or failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    InvalidPerson(#[from] InvalidPerson),
    #[error(transparent)]
    AddPerson(#[from] AddPersonError),
    #[error(transparent)]
    FindPerson(#[from] FindPersonError),
    #[error(transparent)]
    Invite(#[from] InviteError),
    #[error(transparent)]
    InvalidLocation(#[from] InvalidLocation),
    #[error(transparent)]
    AddLocation(#[from] AddLocationError),
    #[error(transparent)]
    ChangeLocation(#[from] ChangeLocationError),
    #[error(transparent)]
    FindLocation(#[from] FindLocationError),
    #[error(transparent)]
    InvalidDevice(#[from] InvalidDevice),
    #[error(transparent)]
    AddHost(#[from] AddHostError),
    #[error(transparent)]
    FindDevice(#[from] FindDeviceError),
    #[error("name a person or a device, and not both")]
    NeitherOrBoth,
    #[error(transparent)]
    Edge(#[from] EdgeError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    LinkOpenId(#[from] LinkError),
    #[error("no mail server is set; set smtp_server and mail_from, and start Core again")]
    NoMail,
    #[error(transparent)]
    Mail(#[from] SendError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Commands {
    pub fn new(installation: &Installation, reach: Reach) -> Self {
        let store = installation.store.clone();
        let openid_issuer = installation.openid.as_ref().map(|openid| openid.settings().issuer.clone());
        let certificates = Arc::new(Certificates::new(store.clone(), reach.clone()));
        let edges = Arc::new(Edges::new(store.clone(), installation.authority.clone(), reach));
        let (public_url, mailer) = (installation.instance.public_url.clone(), installation.mailer.clone());
        Self { store, edges, certificates, public_url, mailer, openid_issuer }
    }

    /// For a command while no Core runs.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub async fn open_offline(config: &Config) -> Result<Self, InstallationError> {
        Ok(Self::new(&Installation::open(config).await?, Reach::Offline))
    }

    pub async fn close(&self) {
        self.store.close().await;
    }

    pub const fn edges(&self) -> &Arc<Edges> {
        &self.edges
    }

    pub const fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// Orders another certificate where one was ordered and ends soon.
    ///
    /// # Errors
    /// Why there is none; it is noted in the store as well.
    pub async fn renew_certificate(&self) -> Result<(), CertificateError> {
        self.certificates.renew_if_due(&self.edges).await
    }

    /// Does one thing. What takes long tells in `progress` how far it is, as far as there is room.
    ///
    /// # Errors
    /// [`CommandError`] says what to do about it.
    pub async fn run(
        &self,
        origin: &Origin,
        command: Command,
        progress: &mpsc::Sender<String>,
    ) -> Result<Answer, CommandError> {
        match command {
            Command::User(command) => self.user(origin, command).await,
            Command::Location(command) => self.location(origin, command).await,
            Command::Edge(command) => self.edge(origin, command).await,
            Command::Certificate(command) => self.certificate(origin, command, progress).await,
            Command::Device(command) => self.device(origin, command).await,
            Command::Token(command) => self.token(origin, command).await,
            Command::Mail(command) => self.mail(command).await,
            Command::Activity { limit } => self.activity(limit).await,
            // That it was taken is the answer: neither Postgres nor an Edge can make Core look dead.
            Command::Health => Ok(Answer::Healthy {}),
        }
    }

    async fn activity(&self, limit: u32) -> Result<Answer, CommandError> {
        let rows = self.store.read(move |tx| Box::pin(activity::newest(tx, limit))).await?;
        let rows = rows.into_iter().map(|row| super::ActivityRow {
            at: row.at.to_rfc3339(),
            event: row.event,
            actor: row.actor,
            subject: row.subject,
            ip: row.ip,
            outcome: row.outcome,
            detail: row.detail,
        });
        Ok(Answer::Activity(rows.collect()))
    }
}

impl CommandError {
    /// What the Edge logged meanwhile.
    fn edge_log(&self) -> &[String] {
        if let Self::Edge(EdgeError::Adopt(AdoptError { log, .. })) = self {
            return log;
        }
        if let Self::Certificate(CertificateError::Order { source, .. }) = self
            && let OrderError::Refused { log, .. } = source.as_ref()
        {
            return log;
        }
        &[]
    }

    /// On one line with all causes; what the Edge logged meanwhile below.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text.extend(self.edge_log().iter().map(|line| format!("\n  its log: {line}")));
        text
    }
}
