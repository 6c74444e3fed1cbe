//! Tokens are made here, for a person or for a host. Each is shown once, to whoever asked for it.

use std::time::Duration;

use crate::{
    activity::{Entry, Origin},
    clock::Timestamp,
    device::DeviceId,
    mail::{self, Kind, Message, Posted},
    person::{self, FindPersonError, Person, PersonId},
    secret::Secret,
    store::{StoreError, Tx},
    token::Token,
};

/// NIST SP 800-63B allows a mailed enrollment code for a day.
const TOKEN_LIFETIME: Duration = Duration::from_hours(24);

/// A new token, for the person's eyes only.
#[derive(Debug)]
pub struct Invitation {
    pub person: Person,
    pub token: Token,
    pub expires_at: Timestamp,
}

/// Whom a new token is for.
#[derive(Debug, Clone, Copy)]
pub enum Invitee {
    Person(PersonId),
    Host(DeviceId),
}

#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    #[error(transparent)]
    Find(#[from] FindPersonError),
    #[error("{login} is disabled")]
    Disabled { login: String },
    #[error("too many invitations were mailed within an hour, to {login} or to everybody together; try again later")]
    TooManyMails { login: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a token for a person. Older ones that were not used yet end.
pub async fn invite(tx: &mut Tx, login: &str, origin: &Origin) -> Result<Invitation, InviteError> {
    let person = person::find(tx, login).await?;
    if person.is_disabled {
        return Err(InviteError::Disabled { login: person.login });
    }
    tx.end_unopened_enrollment_tokens(person.id).await?;
    mail::withdraw(tx, person.id, Kind::Invitation).await?;
    let (token, expires_at) = new_token(tx, Invitee::Person(person.id)).await?;
    tx.record(&Entry::done("person_invited", origin, &person.login)).await?;
    Ok(Invitation { person, token, expires_at })
}

/// Makes a token for a person and mails it, so that nobody else sees it.
pub async fn invite_by_mail(tx: &mut Tx, login: &str, origin: &Origin) -> Result<Invitation, InviteError> {
    let invitation = invite(tx, login, origin).await?;
    let Invitation { person, token, expires_at } = &invitation;
    let token = Secret::new(token.expose().to_owned());
    let message = Message::Invitation { token, valid_until: *expires_at };
    match mail::post(tx, person, message, *expires_at).await? {
        Posted::Waiting => Ok(invitation),
        Posted::NotTaken => Err(InviteError::TooManyMails { login: invitation.person.login }),
    }
}

/// A token, and until when it opens a session.
pub(crate) async fn new_token(tx: &mut Tx, invitee: Invitee) -> Result<(Token, Timestamp), StoreError> {
    let token = Token::random();
    let expires_at = tx.now().after(TOKEN_LIFETIME);
    let digest = token.digest(tx.sealer());
    tx.insert_enrollment_token(invitee, &digest, expires_at).await?;
    Ok((token, expires_at))
}
