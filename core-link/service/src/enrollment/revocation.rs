//! Tokens end before their time, because they went astray.

use crate::{
    activity::{Entry, Origin},
    mail::{self, Kind},
    person::{self, FindPersonError},
    store::Tx,
};

/// Ends a person's enrollment tokens, and so every open session, from the next request on. Says how many they were.
pub async fn revoke(tx: &mut Tx, login: &str, origin: &Origin) -> Result<u64, FindPersonError> {
    let person = person::find(tx, login).await?;
    mail::withdraw(tx, person.id, Kind::Invitation).await?;
    let revoked = tx.end_enrollment_tokens(person.id).await?;
    let entry = Entry::done("enrollment_tokens_revoked", origin, &person.login);
    tx.record(&entry.with_detail(revoked.to_string())).await?;
    Ok(revoked)
}
