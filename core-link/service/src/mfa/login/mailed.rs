//! Logins that are passed with a code by e-mail.
//!
//! Each login has a code of its own, so that a stranger who begins logins makes nobody's code void. What they can do is
//! make Core send mails, five within an hour; logins from where the person is familiar have another five.

use super::finish::{FinishError, LoginSession, ShownLogin};
use super::{NewLogin, StartError};
use crate::{
    mail::{self, Posted},
    mfa::{
        Side, attempts,
        mail_code::{MailCode, is_code},
    },
    store::Tx,
};

/// Mails a code for a login that was just begun.
pub(super) async fn send(tx: &mut Tx, login: &NewLogin, owner: &str) -> Result<(), StartError> {
    let person = tx.person_by_login(owner).await?.ok_or(StartError::DeviceUnknown)?;
    let code = MailCode::random();
    let message = code.message(login.expires_at);
    let posted = mail::post_login_code(tx, &person, message, (login.side, login.expires_at)).await?;
    if posted == Posted::NotTaken {
        return Err(StartError::TooManyMails);
    }
    let digest = code.digest(tx.sealer(), login.token.as_bytes());
    Ok(tx.keep_mail_code(&login.token, &digest).await?)
}

/// Counted before the code is looked at. The login ends with a right one, so it counts once.
pub(super) async fn accept(
    tx: &mut Tx,
    session: &LoginSession,
    side: Side,
    shown: &ShownLogin,
) -> Result<(), FinishError> {
    attempts::count::<FinishError>(tx, session.person, side).await?;
    let stored = tx.mail_code(session.id).await?.ok_or(FinishError::NoFactor)?;
    let scope = shown.token.digest(tx.sealer());
    if is_code(tx.sealer(), scope.as_bytes(), &shown.code, &stored) {
        Ok(tx.forgive_attempts(session.person, side).await?)
    } else {
        Err(FinishError::WrongCode)
    }
}
