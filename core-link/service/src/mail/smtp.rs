//! Mails as SMTP carries them: the only place that speaks to a mail server.

mod connection;

use std::{error::Error, fmt, io, time::Duration};

use lettre::{
    Address, Message as Mail,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::extension::ClientId,
};
use rustls_pki_types::CertificateDer;
use tokio::time::timeout;

use self::connection::Route;
use super::{
    Content, MailSettings, Templates,
    templates::{House, Rendered, TemplateError},
};
use crate::secret::Secret;

/// For the whole conversation: a server that says nothing, or a word at a time, does not hold other mails up for long.
pub(super) const CONVERSATION_MAX: Duration = Duration::from_secs(15);
/// The mail is taken by then; whoever does not answer a goodbye must not be sent it again.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// RFC 5321, 4.2.3: about this recipient or this mail. All other refusals are about the server or its settings, and an
/// administrator may put those right.
const ABOUT_THE_MAIL: [u16; 6] = [521, 550, 551, 552, 553, 556];

/// Where mails are handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpServer {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    pub credentials: Option<Credentials>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// From the first byte.
    Tls,
    /// After a greeting in the clear, and never without.
    StartTls,
    None,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: Secret,
}

/// Whom mails come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(Mailbox);

/// Puts mails into words and hands them to the mail server.
pub struct Mailer {
    route: Route,
    sender: Mailbox,
    templates: Templates,
    house: House,
}

#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    #[error("cannot prepare TLS for the mail server")]
    Tls(#[source] lettre::transport::smtp::Error),
    #[error("an authority in outbound_ca_file is none")]
    Authority(#[source] rustls::Error),
    #[error("no certificate can name the mail server")]
    Host(#[source] rustls_pki_types::InvalidDnsNameError),
}

/// A mail was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("no mail can be addressed to this person")]
    Address(#[source] lettre::address::AddressError),
    #[error("the mail cannot be composed")]
    Compose(#[source] lettre::error::Error),
    /// The server's words are its own, and may repeat a part of the mail: they are for `mail test` only.
    #[error("the mail server refused with {code}")]
    Refused {
        code: u16,
        #[source]
        source: lettre::transport::smtp::Error,
    },
    #[error("the mail server cannot be used")]
    Server(#[source] lettre::transport::smtp::Error),
    #[error("the mail server cannot be reached")]
    Connection(#[source] io::Error),
    /// What it said instead may repeat a part of the mail.
    #[error("the mail server's answer makes no sense")]
    Garbled(#[source] lettre::transport::smtp::Error),
    #[error("the mail server took too long")]
    Slow,
}

impl Sender {
    /// `None`: no mail can come from this address.
    pub fn new(name: &str, email: &str) -> Option<Self> {
        let address: Address = email.parse().ok()?;
        Some(Self(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address)))
    }
}

impl SendError {
    /// Another attempt cannot end otherwise.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Address(_) | Self::Compose(_) => true,
            Self::Refused { code, .. } => ABOUT_THE_MAIL.contains(code),
            Self::Template(_) | Self::Server(_) | Self::Connection(_) | Self::Garbled(_) | Self::Slow => false,
        }
    }

    /// For the log: nothing that a mail server said. What went wrong on the way to it is safe.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Server(error) => chain(error),
            Self::Connection(error) => chain(error),
            Self::Template(_)
            | Self::Address(_)
            | Self::Compose(_)
            | Self::Refused { .. }
            | Self::Garbled(_)
            | Self::Slow => self.to_string(),
        }
    }
}

impl From<lettre::transport::smtp::Error> for SendError {
    fn from(source: lettre::transport::smtp::Error) -> Self {
        match source.status() {
            Some(code) => Self::Refused { code: code.into(), source },
            None if source.is_response() => Self::Garbled(source),
            None => Self::Server(source),
        }
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("sender", &self.sender).finish_non_exhaustive()
    }
}

impl Mailer {
    /// # Errors
    /// When an authority is none, or the server has a name that no certificate can have.
    pub fn new(
        settings: &MailSettings,
        authorities: &[CertificateDer<'static>],
        house: House,
    ) -> Result<Self, MailerError> {
        let MailSettings { server, sender, templates, codes: _ } = settings;
        let route = Route::new(server, authorities, ClientId::Domain(sender.0.email.domain().to_owned()))?;
        Ok(Self { route, sender: sender.0.clone(), templates: templates.clone(), house })
    }

    /// Hands a mail over. Its name makes its Message-ID, so that whoever gets it twice can tell.
    pub(super) async fn send(&self, content: &Content, name: &[u8]) -> Result<(), SendError> {
        let words = self.templates.render(&self.house, content)?;
        self.hand_over(&content.to, name, words).await
    }

    /// Whether the mail server takes a mail for this address.
    ///
    /// # Errors
    /// Why not.
    pub async fn test(&self, to: &str) -> Result<(), SendError> {
        let text = format!("This is a test of {}'s mail settings. They work.\n", self.house.name);
        let html = format!("<p>{}</p>\n", minijinja::HtmlEscape(&text));
        let subject = format!("{}: a test", self.house.name);
        self.hand_over(to, uuid::Uuid::new_v4().as_bytes(), Rendered { subject, plain: text, html }).await
    }

    async fn hand_over(&self, to: &str, name: &[u8], words: Rendered) -> Result<(), SendError> {
        let to: Address = to.parse().map_err(SendError::Address)?;
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let mail = Mail::builder()
            .from(self.sender.clone())
            .to(Mailbox::new(None, to))
            .subject(words.subject)
            .message_id(Some(format!("<{name}@{}>", self.sender.email.domain())))
            // RFC 3834: nobody's holiday answers it.
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(words.plain, words.html))
            .map_err(SendError::Compose)?;
        let conversation = async {
            let mut connection = self.route.open().await?;
            connection.send(mail.envelope(), &mail.formatted()).await?;
            Ok(connection)
        };
        let mut connection = timeout(CONVERSATION_MAX, conversation).await.unwrap_or(Err(SendError::Slow))?;
        // With or without an answer the mail is taken.
        timeout(GOODBYE_MAX, connection.abort()).await.ok();
        Ok(())
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
