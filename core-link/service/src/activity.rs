//! What happened, for people who must answer for it later: every authentication and every admin act.
//!
//! Rows are only ever added, in the transaction of the effect they tell about. No row holds a secret.

mod auth_log;
mod refusal_budget;

use std::net::IpAddr;

pub(crate) use auth_log::AuthLine;
pub use refusal_budget::RefusalBudget;

use crate::{
    clock::Timestamp,
    store::{StoreError, Tx},
};

/// Longest subject or detail. Both can hold what a stranger typed.
const TEXT_MAX: usize = 256;

/// Who caused something, and from where.
#[derive(Debug, Clone)]
pub struct Origin {
    pub actor: String,
    pub ip: Option<IpAddr>,
    pub edge_id: Option<i64>,
}

impl Origin {
    /// Somebody who may use the command line on Core's own machine.
    pub fn command_line() -> Self {
        Self { actor: "cli".to_owned(), ip: None, edge_id: None }
    }

    /// Core itself, on nobody's behalf at this moment.
    pub fn core() -> Self {
        Self { actor: "core".to_owned(), ip: None, edge_id: None }
    }

    /// Somebody behind an Edge whose name is not known yet.
    pub fn edge(edge_id: i64, ip: Option<IpAddr>) -> Self {
        Self { actor: "unknown".to_owned(), ip, edge_id: Some(edge_id) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Refused,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// What a person showed to prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factor {
    Totp,
    RecoveryCode,
    MailCode,
    OpenId,
    Biometric,
    MobileApproval,
}

impl Factor {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery_code",
            Self::MailCode => "mail_code",
            Self::OpenId => "openid",
            Self::Biometric => "biometric",
            Self::MobileApproval => "mobile_approval",
        }
    }

    /// For the detail of a row.
    pub fn in_words(self) -> String {
        self.as_str().replace('_', " ")
    }
}

/// One row, before it is written.
#[derive(Debug, Clone)]
pub struct Entry {
    /// A verb phrase in snake case, such as `device_added`.
    pub event: &'static str,
    pub origin: Origin,
    /// Whom or what it was done to.
    pub subject: String,
    pub outcome: Outcome,
    /// Of a refusal: why. It also stands in the log, so it holds no text of strangers.
    pub detail: String,
    /// Only for the log; a row says it in its detail where it matters.
    pub factor: Option<Factor>,
}

impl Entry {
    pub fn done(event: &'static str, origin: &Origin, subject: impl Into<String>) -> Self {
        Self::new(event, origin, subject.into(), Outcome::Done)
    }

    pub fn refused(event: &'static str, origin: &Origin, subject: impl Into<String>) -> Self {
        Self::new(event, origin, subject.into(), Outcome::Refused)
    }

    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: shortened(detail.into()), ..self }
    }

    #[must_use]
    pub fn with_factor(self, factor: Option<Factor>) -> Self {
        Self { factor, ..self }
    }

    fn new(event: &'static str, origin: &Origin, subject: String, outcome: Outcome) -> Self {
        let subject = shortened(subject);
        Self { event, origin: origin.clone(), subject, outcome, detail: String::new(), factor: None }
    }
}

/// One thing that somebody behind an Edge tries. Learns who it is about on the way, and ends in an [`Entry`].
#[derive(Debug, Clone)]
pub struct Attempt {
    event: &'static str,
    origin: Origin,
    subject: String,
    factor: Option<Factor>,
}

impl Attempt {
    pub fn new(event: &'static str, origin: Origin) -> Self {
        Self { event, origin, subject: String::new(), factor: None }
    }

    /// The token shown belongs to this person.
    pub fn is_by(&mut self, login: &str) {
        login.clone_into(&mut self.origin.actor);
        login.clone_into(&mut self.subject);
    }

    /// What they show, as far as it can be told.
    pub fn shows(&mut self, factor: Factor) {
        self.factor = Some(factor);
    }

    pub fn done(&self) -> Entry {
        Entry::done(self.event, &self.origin, self.subject.clone()).with_factor(self.factor)
    }

    /// Another thing that came of it.
    pub fn done_as(&self, event: &'static str) -> Entry {
        Entry::done(event, &self.origin, self.subject.clone())
    }

    pub fn refused(&self, why: &impl std::fmt::Display) -> Entry {
        let entry = Entry::refused(self.event, &self.origin, self.subject.clone());
        entry.with_detail(why.to_string()).with_factor(self.factor)
    }
}

/// One row, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: i64,
    pub at: Timestamp,
    pub event: String,
    pub actor: String,
    pub subject: String,
    pub ip: Option<String>,
    pub edge_id: Option<i64>,
    pub outcome: String,
    pub detail: String,
}

/// The newest rows, newest first.
pub async fn newest(tx: &mut Tx, limit: u32) -> Result<Vec<Row>, StoreError> {
    tx.newest_activity(limit).await
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_MAX));
    text
}
