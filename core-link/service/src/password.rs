//! Passwords: whether one is good enough, and what is stored of it.
//!
//! Argon2id costs 19 MiB and tens of milliseconds, so it runs off the async threads, only as many at once as were
//! asked for; beyond a short queue the next caller is refused at once. Never called inside a transaction.

mod context;
mod prepared;

use std::{fmt, sync::Arc};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::{Error as HashError, phc},
};
use context::Context;
pub use prepared::PreparedPassword;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

/// NIST SP 800-63B for a password that is used with a second factor.
const LENGTH_MIN: usize = 8;
/// The estimate of strength takes longer than linear time.
const LENGTH_MAX: usize = 256;
/// OWASP's choice for Argon2id with one lane: KiB of memory, and passes over it.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// A full queue is worked off in about a second.
const WAITING_PER_PERMIT: usize = 24;

/// A password in the clear, just typed by somebody.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// What is stored: a PHC string with its parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// How a password compares with what was stored.
#[derive(Debug, Clone)]
pub enum Verdict {
    Fits,
    /// It fits, and was stored in a weaker way than today's; this is to be stored instead.
    FitsRenewed(PasswordHash),
    Differs,
}

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
            let context = Context::of(&context);
            let is_weak = context.characters_beyond(&password.0) < LENGTH_MIN
                || zxcvbn(&password.0, &context.words()).score() < Score::Three;
            if is_weak { Err(PasswordError::TooWeak) } else { hash(&password) }
        })
        .await
    }

    /// Whether this is the password that was hashed.
    pub async fn verify(&self, password: Password, stored: PasswordHash) -> Result<Verdict, PasswordError> {
        if password.0.chars().count() > LENGTH_MAX {
            return Ok(Verdict::Differs);
        }
        self.run(move || {
            let stored = phc::PasswordHash::new(&stored.0).map_err(|error| PasswordError::Hash(error.into()))?;
            count_hash();
            match argon2().verify_password(password.0.as_bytes(), &stored) {
                Ok(()) if is_outdated(&stored) => Ok(Verdict::FitsRenewed(hash(&password)?)),
                Ok(()) => Ok(Verdict::Fits),
                Err(HashError::PasswordInvalid) => Ok(Verdict::Differs),
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

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY, PASSES, LANES, None).expect("these parameters are within Argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &Password) -> Result<PasswordHash, PasswordError> {
    count_hash();
    let hash = argon2().hash_password(password.0.as_bytes()).map_err(PasswordError::Hash)?;
    Ok(PasswordHash(hash.to_string()))
}

/// By far the dearest work in here, so whoever plans a machine, or looks for a way to tire it, counts this.
fn count_hash() {
    metrics::counter!("postern_core_password_hashes_total").increment(1);
}

/// Made with less work for a guesser than a new one.
fn is_outdated(stored: &phc::PasswordHash) -> bool {
    let is_current_kind = stored.algorithm == Algorithm::Argon2id.ident()
        && stored.version.is_some_and(|version| version >= u32::from(Version::V0x13));
    let Ok(params) = Params::try_from(stored) else { return true };
    !is_current_kind || params.m_cost() < MEMORY || params.t_cost() < PASSES
}

#[cfg(test)]
mod tests;
