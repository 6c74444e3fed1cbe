//! Passwords: whether one is good enough, and what is stored of it.
//!
//! Argon2id costs 19 MiB and tens of milliseconds, so it runs off the async threads, only as many at once as were
//! asked for; beyond a short queue the next caller is refused at once. Never called inside a transaction.

use std::{fmt, sync::Arc};

use argon2::{
    Argon2, PasswordHasher as _, PasswordVerifier as _,
    password_hash::{Error as HashError, phc},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

/// NIST SP 800-63B for a password that is used with a second factor.
const LENGTH_MIN: usize = 8;
/// The estimate of strength takes longer than linear time.
const LENGTH_MAX: usize = 256;
/// A full queue is worked off in about a second.
const WAITING_PER_PERMIT: usize = 24;

/// A password in the clear, just typed by somebody.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// What is stored: a PHC string with its parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("password not strong enough")]
    TooWeak,
    #[error("too many passwords are being checked")]
    Overloaded,
    #[error("cannot hash a password")]
    Hash(#[source] HashError),
    #[error("hashing a password panicked")]
    Panicked,
}

/// Checks and hashes passwords, a few at a time.
#[derive(Debug, Clone)]
pub struct Passwords {
    running: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Password {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

impl PasswordHash {
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

impl Passwords {
    pub fn new(parallel: std::num::NonZeroUsize) -> Self {
        let parallel = parallel.get();
        Self {
            running: Arc::new(Semaphore::new(parallel)),
            queue: Arc::new(Semaphore::new(parallel.saturating_mul(1 + WAITING_PER_PERMIT))),
        }
    }

    /// Hashes a password that is strong enough. Words that belong to the person, such as the login, count as weak.
    pub async fn accept(&self, password: Password, context: Vec<String>) -> Result<PasswordHash, PasswordError> {
        if !(LENGTH_MIN..=LENGTH_MAX).contains(&password.0.chars().count()) {
            return Err(PasswordError::TooWeak);
        }
        self.run(move || {
            let words: Vec<&str> = context.iter().map(String::as_str).collect();
            if zxcvbn(&password.0, &words).score() < Score::Three {
                return Err(PasswordError::TooWeak);
            }
            let hash = Argon2::default().hash_password(password.0.as_bytes()).map_err(PasswordError::Hash)?;
            Ok(PasswordHash(hash.to_string()))
        })
        .await
    }

    /// Whether this is the password that was hashed.
    pub async fn verify(&self, password: Password, hash: PasswordHash) -> Result<bool, PasswordError> {
        if password.0.chars().count() > LENGTH_MAX {
            return Ok(false);
        }
        self.run(move || {
            let hash = phc::PasswordHash::new(&hash.0).map_err(|error| PasswordError::Hash(error.into()))?;
            match Argon2::default().verify_password(password.0.as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(HashError::PasswordInvalid) => Ok(false),
                Err(error) => Err(PasswordError::Hash(error)),
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| PasswordError::Overloaded)?;
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(|_| PasswordError::Overloaded)?;
        // The permits go along: a caller that leaves does not stop the work, so it must not free its place either.
        let held: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (place, permit);
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(held);
            done
        });
        done.await.map_err(|_| PasswordError::Panicked)?
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    fn passwords() -> Passwords {
        Passwords::new(NonZeroUsize::MIN)
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[tokio::test]
    async fn an_accepted_password_verifies_and_another_does_not() {
        let hash = passwords().accept(password("Str0ng!passw-rd"), vec![]).await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert!(passwords().verify(password("Str0ng!passw-rd"), hash.clone()).await.unwrap());
        assert!(!passwords().verify(password("Str0ng!passw-re"), hash.clone()).await.unwrap());
        assert!(!passwords().verify(password(&"x".repeat(257)), hash).await.unwrap());
    }

    #[tokio::test]
    async fn weak_short_and_endless_passwords_are_refused() {
        for text in ["weak", "aB3$xY7", "password1234", "aaaaaaaaaaaaaaaa", &"aB3$xY7!".repeat(33)] {
            let refused = passwords().accept(password(text), vec![]).await;
            assert!(matches!(refused, Err(PasswordError::TooWeak)), "{text}");
        }
    }

    #[tokio::test]
    async fn words_that_belong_to_the_person_do_not_make_a_password_strong() {
        let text = "wolfeschlegelsteinhausen";
        assert!(passwords().accept(password(text), vec![]).await.is_ok());
        let refused = passwords().accept(password(text), vec![text.to_owned()]).await;
        assert!(matches!(refused, Err(PasswordError::TooWeak)));
    }

    #[tokio::test]
    async fn bytes_beyond_the_72nd_and_after_a_zero_count() {
        let long = format!("{}{}", "Str0ng!passw-rd ".repeat(6), "end");
        let hash = passwords().accept(password(&long), vec![]).await.unwrap();
        assert!(!passwords().verify(password(&long[..long.len() - 1]), hash).await.unwrap());
        let hash = passwords().accept(password("Str0ng!passw-rd\0tail"), vec![]).await.unwrap();
        assert!(!passwords().verify(password("Str0ng!passw-rd"), hash).await.unwrap());
    }

    #[tokio::test]
    async fn beyond_the_queue_a_caller_is_refused_at_once() {
        let passwords = passwords();
        let held = Arc::clone(&passwords.queue).try_acquire_many_owned(1 + u32::try_from(WAITING_PER_PERMIT).unwrap());
        let refused = passwords.accept(password("Str0ng!passw-rd"), vec![]).await;
        assert!(matches!(refused, Err(PasswordError::Overloaded)));
        drop(held);
        assert!(passwords.accept(password("Str0ng!passw-rd"), vec![]).await.is_ok());
    }

    #[test]
    fn debug_shows_neither_password_nor_hash() {
        let shown = format!("{:?} {:?}", password("secret"), PasswordHash("secret".to_owned()));
        assert_eq!(shown, "Password(***) PasswordHash(***)");
    }
}
