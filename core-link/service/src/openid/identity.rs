//! Whom the provider's word is about. Issuer and subject name a person for ever; an address names one only once, for
//! the first sign-in, and a user name never.

use crate::{
    activity::{Attempt, Entry, Origin},
    person::{self, FindPersonError, Person},
    store::{StoreError, Tx},
};

/// Somebody, by the word of the provider.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub issuer: String,
    pub subject: String,
    /// In small letters. `None`: the provider does not vouch for any.
    pub verified_email: Option<String>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Whether an identity that is new here may find its person by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linking {
    /// By a verified e-mail address.
    ByEmail,
    /// Only an administrator links.
    ByAdministrator,
}

/// Whom an identity belongs to, or could.
#[derive(Debug, Clone)]
pub(crate) enum Owner {
    Linked(Person),
    /// Not linked yet, and free to be.
    Linkable(Person),
}

#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    #[error("this identity belongs to nobody here")]
    Nobody,
    #[error("the person with this e-mail address has another identity already")]
    HasOther,
    #[error("user is disabled")]
    Disabled,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error(transparent)]
    Find(#[from] FindPersonError),
    #[error("there is no OpenID provider; see the setting openid_issuer")]
    NoProvider,
    #[error("a subject has 1 to 255 printable characters without spaces")]
    InvalidSubject,
    #[error("{login} is linked already, or somebody else is to this identity")]
    Taken { login: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Owner {
    pub(crate) fn person(&self) -> &Person {
        match self {
            Self::Linked(person) | Self::Linkable(person) => person,
        }
    }
}

/// OpenID Connect Core 1.0, section 2: at most 255 characters of ASCII.
pub(super) fn is_subject(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(crate) async fn owner(tx: &mut Tx, identity: &Identity, linking: Linking) -> Result<Owner, OwnerError> {
    let owner = match tx.person_by_openid(&identity.issuer, &identity.subject).await? {
        Some(person) => Owner::Linked(person),
        None => Owner::Linkable(candidate(tx, identity, linking).await?),
    };
    if owner.person().is_disabled { Err(OwnerError::Disabled) } else { Ok(owner) }
}

async fn candidate(tx: &mut Tx, identity: &Identity, linking: Linking) -> Result<Person, OwnerError> {
    let email = match linking {
        Linking::ByEmail => identity.verified_email.as_deref().ok_or(OwnerError::Nobody)?,
        Linking::ByAdministrator => return Err(OwnerError::Nobody),
    };
    let person = tx.person_by_email(email).await?.ok_or(OwnerError::Nobody)?;
    // Not whether there is any: a reader may meet the one that the same sign-in, sent twice, has just stored.
    let has_other = tx.has_other_openid_identity(person.id, &identity.issuer, &identity.subject).await?;
    if has_other { Err(OwnerError::HasOther) } else { Ok(person) }
}

/// Makes sure that the identity is linked to its owner.
pub(crate) async fn settle(
    tx: &mut Tx,
    identity: &Identity,
    owner: Owner,
    attempt: &Attempt,
) -> Result<Person, OwnerError> {
    let person = match owner {
        Owner::Linked(person) => return Ok(person),
        Owner::Linkable(person) => person,
    };
    if !tx.insert_openid_identity(person.id, &identity.issuer, &identity.subject).await? {
        return Err(OwnerError::HasOther);
    }
    tx.record(&attempt.done_as("openid_linked").with_detail("by e-mail address")).await?;
    Ok(person)
}

/// Links a person to a subject of the provider, by the word of an administrator.
pub async fn link(
    tx: &mut Tx,
    login: &str,
    (issuer, subject): (&str, &str),
    origin: &Origin,
) -> Result<Person, LinkError> {
    let person = person::find(tx, login).await?;
    if !is_subject(subject) {
        return Err(LinkError::InvalidSubject);
    }
    if !tx.insert_openid_identity(person.id, issuer, subject).await? {
        return Err(LinkError::Taken { login: person.login });
    }
    tx.record(&Entry::done("openid_linked", origin, &person.login)).await?;
    Ok(person)
}

/// Forgets who a person is at any provider, and ends what a sign-in may have given: logins, what they opened, and
/// enrollment tokens with their open sessions.
pub async fn unlink(tx: &mut Tx, login: &str, origin: &Origin) -> Result<Person, FindPersonError> {
    let person = person::find(tx, login).await?;
    tx.delete_openid_identities(person.id).await?;
    tx.end_enrollment_tokens(person.id).await?;
    tx.end_logins_of(person.id).await?;
    tx.end_authorisations_of(person.id).await?;
    tx.record(&Entry::done("openid_unlinked", origin, &person.login)).await?;
    Ok(person)
}
