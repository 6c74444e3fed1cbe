//! What an admin does about a person's access: disable, unlock, reset the second factor, delete.

use super::{FindPersonError, Person, find};
use crate::{
    activity::{Entry, Origin},
    mail::{self, Kind},
    mfa, password_reset,
    store::Tx,
};

/// Shuts a person out: nothing of theirs is served from the next request on, and logins end. Their devices stay known.
pub async fn disable(tx: &mut Tx, login: &str, origin: &Origin) -> Result<Person, FindPersonError> {
    let person = find(tx, login).await?;
    tx.disable_person(person.id).await?;
    tx.end_unopened_enrollment_tokens(person.id).await?;
    password_reset::end_unopened(tx, person.id).await?;
    mail::withdraw(tx, person.id, Kind::Invitation).await?;
    mail::withdraw(tx, person.id, Kind::MailCode).await?;
    tx.end_logins_of(person.id).await?;
    tx.end_authorisations_of(person.id).await?;
    tx.record(&Entry::done("person_disabled", origin, &person.login)).await?;
    Ok(Person { is_disabled: true, ..person })
}

/// Lets a person try codes again after too many failures.
pub async fn unlock(tx: &mut Tx, login: &str, origin: &Origin) -> Result<Person, FindPersonError> {
    let person = find(tx, login).await?;
    mfa::unlock(tx, person.id).await?;
    tx.record(&Entry::done("person_unlocked", origin, &person.login)).await?;
    Ok(person)
}

/// Takes a person's second factor away. A new one is set up with a new enrollment token.
pub async fn reset_mfa(tx: &mut Tx, login: &str, origin: &Origin) -> Result<Person, FindPersonError> {
    let person = find(tx, login).await?;
    mfa::reset(tx, person.id).await?;
    tx.record(&Entry::done("mfa_reset", origin, &person.login)).await?;
    Ok(person)
}

/// Forgets a person and everything that is theirs; only the activity stays. Returns how many devices went along.
pub async fn delete(tx: &mut Tx, login: &str, origin: &Origin) -> Result<u32, FindPersonError> {
    let person = find(tx, login).await?;
    let devices = tx.count_devices_of(person.id).await?;
    tx.delete_person(person.id).await?;
    tx.record(&Entry::done("person_deleted", origin, &person.login).with_detail(format!("devices: {devices}"))).await?;
    Ok(devices)
}
