//! The outbox, read past Core.

use postern_core::{mail::MailUse, sealing::Place};
use postern_core_link::Reply;
use postern_proto::proxy::{
    PasswordResetInitializeRequest, PasswordResetRequest, PasswordResetStartRequest, core_request::Payload,
    core_response,
};
use serde_json::Value;

use super::Core;

/// A mail that waits.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) kind: String,
    pub(crate) to: String,
    /// What its message holds.
    pub(crate) values: Value,
}

impl Core {
    pub(crate) async fn with_mail(self, mail: MailUse) -> Self {
        self.with_settings(|instance| instance.mail = mail).await
    }

    /// What waits to be sent, oldest first.
    pub(crate) async fn mails(&self) -> Vec<Mail> {
        let waiting = "SELECT name, kind, sealed_content FROM mails WHERE outcome = 'waiting' ORDER BY id";
        let rows: Vec<(Vec<u8>, String, Vec<u8>)> = self.rows(waiting).await;
        let open = |(name, kind, sealed): (Vec<u8>, String, Vec<u8>)| {
            let place = Place { table: "mails", column: "sealed_content", row: &name };
            let content = self.store.sealer().open(place, &sealed).unwrap();
            let content: Value = serde_json::from_slice(&content).unwrap();
            let message = content["message"].as_object().unwrap().values().next().unwrap().clone();
            Mail { kind, to: content["to"].as_str().unwrap().to_owned(), values: message }
        };
        rows.into_iter().map(open).collect()
    }

    pub(crate) async fn kinds_of_mails(&self) -> Vec<String> {
        self.mails().await.into_iter().map(|mail| mail.kind).collect()
    }

    /// The newest token or code that waits to be sent in a mail of this kind.
    pub(crate) async fn mailed(&self, kind: &str, value: &str) -> String {
        let mails = self.mails().await;
        let mail = mails.iter().rev().find(|mail| mail.kind == kind).unwrap_or_else(|| panic!("no {kind}: {mails:?}"));
        mail.values[value].as_str().unwrap().to_owned()
    }

    /// The token of a reset link whose session is open.
    pub(crate) async fn reset_session(&self, email: &str) -> String {
        self.ask(ask_reset(email)).await.unwrap();
        let token = self.mailed("password_reset", "token").await;
        self.ask(start_reset(&token)).await.unwrap();
        token
    }
}

pub(crate) fn ask_reset(email: &str) -> Payload {
    Payload::PasswordResetInit(PasswordResetInitializeRequest { email: email.to_owned() })
}

pub(crate) fn start_reset(token: &str) -> Payload {
    Payload::PasswordResetStart(PasswordResetStartRequest { token: token.to_owned() })
}

pub(crate) fn reset(token: &str, password: &str) -> Payload {
    let (password, token) = (password.to_owned(), Some(token.to_owned()));
    Payload::PasswordReset(PasswordResetRequest { password, token })
}

/// When the session ends.
pub(crate) fn deadline(reply: Reply) -> i64 {
    let core_response::Payload::PasswordResetStart(started) = reply.unwrap() else { panic!("no reset was started") };
    started.deadline_timestamp
}
