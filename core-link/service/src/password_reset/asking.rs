//! Somebody asks for a mail to choose a new password.

use super::{TOKEN_LIFETIME, TOKENS_MAX};
use crate::{
    activity::Attempt,
    mail::{self, MailUse, Message, Posted},
    person::{Person, PersonId},
    secret::Secret,
    store::{StoreError, Tx},
    token::Token,
};

/// Why nobody gets a mail. Only the activity tells; whoever asked is answered as if one were on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Unmailed {
    #[error("no mail server is set")]
    MailOff,
    #[error("nobody has this address")]
    Nobody,
    #[error("user is disabled")]
    Disabled,
    #[error("user is not enrolled")]
    NotEnrolled,
    #[error("too many mails within an hour")]
    TooMany,
}

/// Mails a link to whoever has this address, if they may have one. One and the same course for every address: what
/// is written for nobody is written by the same statements, which then find no person to write it for.
pub async fn ask(tx: &mut Tx, email: &str, mail: MailUse, attempt: &mut Attempt) -> Result<(), StoreError> {
    let found = tx.person_by_email(&wanted(email)).await?;
    let (person, reason) = eligible(found, email, mail, attempt);
    let token = Token::random();
    let digest = token.digest(tx.sealer());
    let valid_until = tx.now().after(TOKEN_LIFETIME);
    let message = Message::PasswordReset { token: Secret::new(token.expose().to_owned()), valid_until };
    let posted = mail::post(tx, &person, message, valid_until).await?;
    let owner = match posted {
        Posted::Waiting => person.id,
        Posted::NotTaken => NOBODY,
    };
    tx.insert_reset_token(owner, &digest, (valid_until, TOKENS_MAX)).await?;
    let entry = match (reason, posted) {
        (Some(reason), _) => attempt.refused(&reason),
        (None, Posted::NotTaken) => attempt.refused(&Unmailed::TooMany),
        (None, Posted::Waiting) => attempt.done(),
    };
    tx.record(&entry).await
}

/// As addresses rest in the store. Postgres takes no text with a zero in it, and nobody's address has one.
fn wanted(email: &str) -> String {
    email.trim().to_lowercase().replace('\0', "\u{fffd}")
}

/// Ids begin at 1.
const NOBODY: PersonId = PersonId(0);

fn eligible(found: Option<Person>, email: &str, mail: MailUse, attempt: &mut Attempt) -> (Person, Option<Unmailed>) {
    let Some(person) = found else { return (nobody(email), Some(Unmailed::Nobody)) };
    attempt.is_by(&person.login);
    let reason = match &person {
        _ if !mail.is_on() => Unmailed::MailOff,
        Person { is_disabled: true, .. } => Unmailed::Disabled,
        Person { is_enrolled: false, .. } => Unmailed::NotEnrolled,
        Person { .. } => return (person, None),
    };
    (Person { id: NOBODY, ..person }, Some(reason))
}

fn nobody(email: &str) -> Person {
    Person {
        id: NOBODY,
        login: String::new(),
        email: email.to_owned(),
        first_name: String::new(),
        last_name: String::new(),
        phone: None,
        is_admin: false,
        is_disabled: false,
        is_enrolled: false,
    }
}
