//! Mails: written into an outbox by use cases, and delivered by a task of their own, never inside a request.
//!
//! A row is written in the transaction of what it tells about, sealed, and wiped when it is delivered or given up. Mail
//! goes out at least once: when Core ends between a delivery and its note, the same mail, with the same Message-ID, goes
//! out again. What a mail links to comes from the settings, and nothing in it from a request's header.

mod content;
mod delivery;
mod kind;
mod message;
mod smtp;
mod templates;

use std::time::Duration;

pub(crate) use content::Content;
pub use delivery::Outbox;
pub(crate) use delivery::RETRY_MAX;
pub use kind::Kind;
pub(crate) use kind::{Allowance, Outcome};
pub use message::Message;
pub use smtp::{Credentials, Encryption, Mailer, MailerError, SendError, Sender, SmtpServer};
pub use templates::{House, TemplateError, Templates};

use crate::{
    clock::Timestamp,
    mfa::Side,
    person::{Person, PersonId},
    store::{StoreError, Tx},
};

/// Of one kind, for one person, within [`LIMIT_WINDOW`].
pub const PERSON_MAX: u32 = 5;
/// Of one kind, for everybody: what a stranger can make Core send in all.
pub const KIND_MAX: u32 = 5_000;
pub(crate) const LIMIT_WINDOW: Duration = Duration::from_hours(1);
/// News that are older are none.
const NOTICE_LIFETIME: Duration = Duration::from_hours(72);

/// What Core was told about mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    pub server: SmtpServer,
    pub sender: Sender,
    pub templates: Templates,
    /// A code by e-mail is accepted as a second factor.
    pub codes: bool,
}

/// What mail is good for in this installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailUse {
    /// No mail server is set.
    Off,
    /// Invitations, password resets and news.
    On,
    /// Codes for a second factor as well.
    OnWithCodes,
}

/// What became of a mail that was to be sent.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    Waiting,
    /// The person, or everybody together, had as many as are allowed, or there is nobody with this id.
    NotTaken,
}

/// A mail on its way into the outbox.
#[derive(Debug)]
pub(crate) struct NewMail<'a> {
    pub(crate) to: &'a Person,
    pub(crate) message: Message,
    pub(crate) allowance: Allowance,
    pub(crate) expires_at: Timestamp,
}

/// A mail that is due, taken out for one attempt.
#[derive(Debug)]
pub(crate) struct DueMail {
    pub(crate) claim: Claim,
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) login: String,
    pub(crate) expires_at: Timestamp,
    pub(crate) content: Content,
}

/// The right to one attempt, as long as nobody has begun the next: the number of attempts is the fencing number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) mail: i64,
    pub(crate) attempts: u32,
}

impl MailUse {
    pub fn of(settings: Option<&MailSettings>) -> Self {
        match settings {
            None => Self::Off,
            Some(settings) if settings.codes => Self::OnWithCodes,
            Some(_) => Self::On,
        }
    }

    pub fn is_on(self) -> bool {
        self != Self::Off
    }

    pub fn takes_codes(self) -> bool {
        self == Self::OnWithCodes
    }
}

/// Writes a mail with a token or a code into the outbox.
pub async fn post(tx: &mut Tx, to: &Person, message: Message, expires_at: Timestamp) -> Result<Posted, StoreError> {
    let allowance = Allowance::of(message.kind());
    write(tx, NewMail { to, message, allowance, expires_at }).await
}

/// Writes a code for a login into the outbox. Whoever knows a device's public key can ask for one, so what is begun in
/// the person's networks has an allowance of its own, which no stranger elsewhere can use up.
pub(crate) async fn post_login_code(
    tx: &mut Tx,
    to: &Person,
    message: Message,
    (side, expires_at): (Side, Timestamp),
) -> Result<Posted, StoreError> {
    write(tx, NewMail { to, message, allowance: Allowance::of_login(side), expires_at }).await
}

/// Tells a person what happened to their account, as far as mail is on and they were not told too often already.
pub async fn notify(tx: &mut Tx, mail: MailUse, to: &Person, message: Message) -> Result<(), StoreError> {
    if mail.is_on() {
        let (allowance, expires_at) = (Allowance::of(message.kind()), tx.now().after(NOTICE_LIFETIME));
        let _told_often: Posted = write(tx, NewMail { to, message, allowance, expires_at }).await?;
    }
    Ok(())
}

/// Takes back what was not sent yet, because its token or code is worth nothing any more.
pub async fn withdraw(tx: &mut Tx, person: PersonId, kind: Kind) -> Result<(), StoreError> {
    tx.withdraw_mails(person, kind).await
}

async fn write(tx: &mut Tx, mail: NewMail<'_>) -> Result<Posted, StoreError> {
    let kind = mail.message.kind();
    let posted = if tx.insert_mail(&mail).await? { Posted::Waiting } else { Posted::NotTaken };
    if posted == Posted::Waiting {
        tx.after_commit(move || {
            metrics::counter!("postern_core_mails_total", "kind" => kind.as_str(), "outcome" => "queued").increment(1);
        });
    }
    Ok(posted)
}
