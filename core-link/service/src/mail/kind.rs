//! The kinds of mail, and what their limits count.

use crate::mfa::Side;

/// Names a template, and is what limits and metrics count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Invitation,
    PasswordReset,
    PasswordChanged,
    FactorAdded,
    MailCode,
}

/// Mails that share a limit for each person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance(&'static str);

/// How a mail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sent,
    Failed,
    Expired,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::Invitation, Self::PasswordReset, Self::PasswordChanged, Self::FactorAdded, Self::MailCode];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::PasswordReset => "password_reset",
            Self::PasswordChanged => "password_changed",
            Self::FactorAdded => "factor_added",
            Self::MailCode => "mail_code",
        }
    }

    pub(crate) fn parse(stored: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == stored)
    }
}

impl Allowance {
    pub(super) fn of(kind: Kind) -> Self {
        Self(kind.as_str())
    }

    pub(super) fn of_login(side: Side) -> Self {
        match side {
            Side::Familiar(_) => Self("mail_code familiar"),
            Side::Elsewhere => Self("mail_code elsewhere"),
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        self.0
    }
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}
