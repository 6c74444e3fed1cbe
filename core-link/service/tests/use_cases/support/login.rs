//! A person's way through the second factor, at the first location.

use postern_core_link::Reply;

use super::Core;
use crate::mfa::support::{begin_setup, end_login, end_setup, passed, recovery_codes, seed};

impl Core {
    /// Sets up an authenticator app in an open session, with the code before the current one, so that a login needs no
    /// waiting; returns its seed.
    pub(crate) async fn set_up_factor(&self, token: &str) -> String {
        self.set_up_factor_with_codes(token).await.0
    }

    /// Seed and recovery codes.
    pub(crate) async fn set_up_factor_with_codes(&self, token: &str) -> (String, Vec<String>) {
        let seed = seed(self.ask(begin_setup(token)).await);
        let earlier = crate::authenticator::code(&seed, self.unix() - crate::authenticator::STEP);
        let codes = recovery_codes(self.ask(end_setup(token, &earlier)).await);
        (seed, codes)
    }

    /// The preshared key that a login with the current code gave.
    pub(crate) async fn pass_login(&self, seed: &str, pubkey: &str) -> String {
        passed(self.try_code(pubkey, &self.code(seed)).await)
    }

    pub(crate) async fn try_code(&self, pubkey: &str, code: &str) -> Reply {
        let token = self.begin_login(pubkey).await;
        self.ask(end_login(&token, code)).await
    }

    /// The token of a login under way.
    pub(crate) async fn begin_login(&self, pubkey: &str) -> String {
        self.begin(pubkey).await
    }
}
