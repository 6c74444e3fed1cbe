//! The second factor: an authenticator app, recovery codes, and logins that open locations with MFA.
//!
//! Every guess is counted and committed before anybody looks at a secret, and every code is worth one use. Who may
//! guess how often, and why a stranger cannot shut anybody out, is told in `attempts`.

pub mod approval;
mod attempts;
mod authenticator;
mod authorisation;
mod familiar;
pub mod login;
pub mod mail_code;
pub mod phone;
mod recovery;
pub mod setup;

pub(crate) use attempts::DELAY_MAX;
pub use attempts::{NETWORK_MAX, SIDE_MAX, Side, Standing, Standings, Throttled};
pub use authenticator::{Code, SealedSeed, Seed};
pub use authorisation::PresharedKey;
pub use familiar::{Network, RecentPolls, Whereabouts};
pub use phone::{Challenge, PhoneKey};
pub use recovery::RecoveryCode;

use crate::{
    mail,
    person::PersonId,
    store::{StoreError, Tx},
};

/// Whether a person has set up a factor: an app that is confirmed, a phone with a key, or codes by
/// e-mail.
pub async fn has_factor(tx: &mut Tx, person: PersonId) -> Result<bool, StoreError> {
    Ok(tx.has_authenticator(person).await? || tx.has_phone(person).await? || tx.has_mail_factor(person).await?)
}

/// Forgets all failures, so that a person may try again at once.
pub async fn unlock(tx: &mut Tx, person: PersonId) -> Result<(), StoreError> {
    tx.forgive_all_attempts(person).await
}

/// Takes a person's factors away, with everything that rests on them: recovery codes, logins under way, what passed
/// logins opened, where the person was familiar, and the failures.
pub async fn reset(tx: &mut Tx, person: PersonId) -> Result<(), StoreError> {
    tx.end_logins_of(person).await?;
    tx.end_authorisations_of(person).await?;
    tx.delete_recovery_codes(person).await?;
    tx.forget_familiar_networks(person).await?;
    tx.delete_phone_keys(person).await?;
    tx.delete_mail_factor(person).await?;
    mail::withdraw(tx, person, mail::Kind::MailCode).await?;
    tx.delete_authenticator(person).await
}
