//! An authenticator app: what it shows for a seed, now and a little earlier.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use totp_rs::{Builder, Secret, Totp};

use crate::eventually;

/// How long a code is shown.
pub const STEP: Duration = Duration::from_secs(30);
/// The time a code needs from the app to Core, on a busy machine.
const TIME_TO_TYPE: Duration = Duration::from_secs(4);

/// Holds the seed of one person.
#[derive(Debug, Clone)]
pub struct Authenticator {
    totp: Totp,
}

impl Authenticator {
    /// Takes what `register-mfa/code/start` gave, as a person types it in.
    pub fn new(seed: &str) -> Result<Self> {
        let seed = Secret::try_from_base32(seed).context("the seed is not base32")?;
        let totp = Builder::new().with_secret(seed).build().context("no authenticator app takes this seed")?;
        Ok(Self { totp })
    }

    /// What the app shows now.
    pub fn code(&self) -> String {
        self.code_of(step_now())
    }

    /// What the app showed until a moment ago: Core still takes it, and then the code of now is as good as new.
    ///
    /// Waits for the next step when this one is about to end, for then it would come too late.
    pub async fn code_before(&self) -> Result<String> {
        eventually("enough is left of these 30 seconds", STEP, || async { left_of_step() > TIME_TO_TYPE }).await?;
        Ok(self.code_of(step_now() - 1))
    }

    /// The code of any 30 seconds, counted from 1970.
    pub fn code_of(&self, step: u64) -> String {
        self.totp.generate(step * STEP.as_secs()).to_string()
    }

    /// A code that no step near now has.
    pub fn wrong_code(&self) -> String {
        let near: Vec<_> = (step_now() - 3..step_now() + 4).map(|step| self.code_of(step)).collect();
        let mut guesses = (0..).map(|guess| format!("{guess:06}"));
        guesses.find(|guess| !near.contains(guess)).unwrap_or_default()
    }
}

/// Number of the current 30 seconds.
pub fn step_now() -> u64 {
    since_1970().as_secs() / STEP.as_secs()
}

fn left_of_step() -> Duration {
    Duration::from_secs((step_now() + 1) * STEP.as_secs()).saturating_sub(since_1970())
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
