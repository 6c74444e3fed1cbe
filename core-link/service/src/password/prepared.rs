//! A password that was looked at before the transaction that takes it: hashing is too slow for one.

use super::{Password, PasswordError, PasswordHash, Passwords, Verdict};
use crate::person::Person;

/// What became of a password. Whether it still holds, the transaction looks.
#[derive(Debug, Clone)]
pub enum PreparedPassword {
    New(PasswordHash),
    TooWeak,
    /// There was this hash already, and the password fits it or not.
    Compared {
        with: PasswordHash,
        verdict: Verdict,
    },
    /// It would not be taken, so nobody looked at it: a stranger's costs nothing.
    NotNeeded,
}

impl Passwords {
    /// Hashes what this person chose. Their own words make it no stronger, nor do those of `context`.
    pub async fn prepare(
        &self,
        password: Password,
        mut context: Vec<String>,
        person: Person,
    ) -> Result<PreparedPassword, PasswordError> {
        context.extend([person.login, person.email, person.first_name, person.last_name]);
        match self.accept(password, context).await {
            Ok(hash) => Ok(PreparedPassword::New(hash)),
            Err(PasswordError::TooWeak) => Ok(PreparedPassword::TooWeak),
            Err(error) => Err(error),
        }
    }

    /// Compares what somebody chose once more with what is stored by now.
    pub async fn compare(&self, password: Password, with: PasswordHash) -> Result<PreparedPassword, PasswordError> {
        let verdict = self.verify(password, with.clone()).await?;
        Ok(PreparedPassword::Compared { with, verdict })
    }
}
