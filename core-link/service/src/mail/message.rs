//! What a mail says, before it is put into words.

use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::{clock::Timestamp, secret::Secret};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Somebody may enroll with this token.
    Invitation {
        #[serde(with = "exposed")]
        token: Secret,
        #[serde(with = "unix")]
        valid_until: Timestamp,
    },
    /// Somebody asked to choose a new password.
    PasswordReset {
        #[serde(with = "exposed")]
        token: Secret,
        #[serde(with = "unix")]
        valid_until: Timestamp,
    },
    PasswordChanged {
        #[serde(with = "unix")]
        at: Timestamp,
    },
    /// A second factor was set up.
    FactorAdded {
        /// As people call it.
        factor: String,
        #[serde(with = "unix")]
        at: Timestamp,
    },
    /// A second factor by itself.
    MailCode {
        #[serde(with = "exposed")]
        code: Secret,
        #[serde(with = "unix")]
        valid_until: Timestamp,
    },
}

impl Message {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Invitation { .. } => Kind::Invitation,
            Self::PasswordReset { .. } => Kind::PasswordReset,
            Self::PasswordChanged { .. } => Kind::PasswordChanged,
            Self::FactorAdded { .. } => Kind::FactorAdded,
            Self::MailCode { .. } => Kind::MailCode,
        }
    }

    /// What a template can show, besides the person and the installation.
    pub(super) fn values(&self, public_url: &str) -> Value {
        let link = |path: &str, token: &Secret| format!("{public_url}{path}?token={}", token.expose());
        match self {
            Self::Invitation { token, valid_until } => context! {
                link => link("open-desktop", token), token => token.expose(), valid_until => shown(*valid_until),
            },
            Self::PasswordReset { token, valid_until } => context! {
                link => link("password-reset", token), valid_until => shown(*valid_until),
            },
            Self::PasswordChanged { at } => context! { at => shown(*at) },
            Self::FactorAdded { factor, at } => context! { factor => factor, at => shown(*at) },
            Self::MailCode { code, valid_until } => context! {
                code => code.expose(), valid_until => shown(*valid_until),
            },
        }
    }

    /// One of each kind, to try templates with.
    pub(super) fn samples() -> [Self; 5] {
        let (at, valid_until) = (Timestamp::from_unix(0), Timestamp::from_unix(0));
        let secret = |text: &str| Secret::new(text.to_owned());
        let token = secret("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        [
            Self::Invitation { token: token.clone(), valid_until },
            Self::PasswordReset { token, valid_until },
            Self::PasswordChanged { at },
            Self::FactorAdded { factor: "authenticator app".to_owned(), at },
            Self::MailCode { code: secret("000000"), valid_until },
        ]
    }
}

/// To the minute; a mail takes longer than a second.
fn shown(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    match text.get(..16) {
        Some(minute) if text.ends_with('Z') => format!("{} UTC", minute.replace('T', " ")),
        Some(_) | None => text,
    }
}

/// Secrets are written out only here, into what is sealed next.
mod exposed {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::secret::Secret;

    pub(super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        Ok(Secret::new(String::deserialize(deserializer)?))
    }
}

mod unix {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::clock::Timestamp;

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.as_unix())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Ok(Timestamp::from_unix(i64::deserialize(deserializer)?))
    }
}
