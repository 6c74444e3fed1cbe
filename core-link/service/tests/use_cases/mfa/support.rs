//! People with an app, and their logins.

use postern_core::{mfa, person::PersonId, store::StoreError};
use postern_core_link::{Handler as _, Reply};
use postern_proto::{
    client_types as client,
    proxy::{core_request, core_response},
};

use crate::{
    authenticator,
    support::{Core, PASSWORD, activate, configured, device_info, key, new_device, request},
};

/// Where people enroll, and so are familiar.
pub(crate) const HOME: &str = "203.0.113.9";
pub(crate) const AWAY: &str = "198.51.100.77";
pub(crate) const OFFICE: i64 = 1;
pub(crate) use crate::authenticator::STEP;
pub(crate) const LOGIN: i64 = 300;

/// Somebody who has enrolled, with an app and a device.
pub(crate) struct Member {
    pub(crate) seed: String,
    pub(crate) recovery_codes: Vec<String>,
    pub(crate) key: String,
    pub(crate) polling_token: String,
    pub(crate) device: i64,
}

impl Core {
    /// With joe, enrolled and ready to log in; his set-up's code is of an earlier step.
    pub(crate) async fn with_member() -> (Self, Member) {
        let core = Self::with_joe().await;
        let joe = core.enroll("joe", 1).await;
        (core, joe)
    }

    /// Takes a person from the token to the last step.
    pub(crate) async fn enroll(&self, login: &str, number: u8) -> Member {
        let token = self.session(login).await;
        let (seed, recovery_codes) = self.set_up(&token).await;
        let made = configured(self.ask(new_device(&token, "laptop", &key(number))).await);
        self.ask(activate(&token, PASSWORD)).await.unwrap();
        self.wait(STEP);
        let (polling_token, device) = (made.token.unwrap(), made.device.unwrap().id);
        Member { seed, recovery_codes, key: key(number), polling_token, device }
    }

    /// Seed and recovery codes.
    pub(crate) async fn set_up(&self, token: &str) -> (String, Vec<String>) {
        let seed = seed(self.ask(begin_setup(token)).await);
        let code = self.code(&seed);
        let codes = recovery_codes(self.ask(end_setup(token, &code)).await);
        (seed, codes)
    }

    pub(crate) fn unix(&self) -> i64 {
        self.store.now().as_unix()
    }

    /// What an app shows now.
    pub(crate) fn code(&self, seed: &str) -> String {
        authenticator::code(seed, self.unix())
    }

    /// Certainly no code of the app, now or a step ago.
    pub(crate) fn wrong_code(&self, seed: &str) -> String {
        let right = [0, STEP].map(|ago| authenticator::code(seed, self.unix() - ago));
        (0..3).map(|number| format!("{number:06}")).find(|code| !right.contains(code)).unwrap()
    }

    pub(crate) async fn ask_from(&self, ip: &str, payload: core_request::Payload) -> Reply {
        let mut request = request(payload, None);
        request.device_info = Some(device_info(ip));
        self.dispatcher.handle(request).await
    }

    /// The token of a new login.
    pub(crate) async fn begin(&self, key: &str) -> String {
        self.begin_from(HOME, key).await
    }

    pub(crate) async fn begin_from(&self, ip: &str, key: &str) -> String {
        login_token(self.ask_from(ip, begin_login(OFFICE, key)).await)
    }

    /// A whole login from there with this code.
    pub(crate) async fn show_from(&self, ip: &str, member: &Member, code: &str) -> Reply {
        let token = self.begin_from(ip, &member.key).await;
        self.ask_from(ip, end_login(&token, code)).await
    }

    pub(crate) async fn show(&self, member: &Member, code: &str) -> Reply {
        self.show_from(HOME, member, code).await
    }

    /// Guesses until the counter of that place says wait; returns how many were looked at.
    pub(crate) async fn guess_from(&self, ip: &str, member: &Member) -> u32 {
        let token = self.begin_from(ip, &member.key).await;
        let wrong = self.wrong_code(&member.seed);
        for looked_at in 0.. {
            let rejection = self.ask_from(ip, end_login(&token, &wrong)).await.unwrap_err();
            match rejection.code as i32 {
                16 => {}
                8 => return looked_at,
                other => panic!("code {other}: {}", rejection.message),
            }
        }
        unreachable!("somebody stops them")
    }

    pub(crate) async fn unlock(&self, login: &'static str) {
        self.change_mfa(login, |tx, person| Box::pin(mfa::unlock(tx, person))).await;
    }

    pub(crate) async fn reset_mfa(&self, login: &'static str) {
        self.change_mfa(login, |tx, person| Box::pin(mfa::reset(tx, person))).await;
    }

    async fn change_mfa<F>(&self, login: &'static str, change: F)
    where
        F: for<'a> FnOnce(
                &'a mut postern_core::store::Tx,
                PersonId,
            ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>
            + Clone
            + Send
            + 'static,
    {
        let changed = self.store.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let person = tx.person_by_login(login).await?.unwrap();
                change(tx, person.id).await
            })
        });
        changed.await.unwrap();
    }
}

pub(crate) fn begin_setup(token: &str) -> core_request::Payload {
    core_request::Payload::CodeMfaSetupStart(client::CodeMfaSetupStartRequest { method: 0, token: token.to_owned() })
}

pub(crate) fn end_setup(token: &str, code: &str) -> core_request::Payload {
    let (code, token) = (code.to_owned(), token.to_owned());
    core_request::Payload::CodeMfaSetupFinish(client::CodeMfaSetupFinishRequest { code, token, method: 0 })
}

pub(crate) fn begin_login(location_id: i64, pubkey: &str) -> core_request::Payload {
    begin_login_by(0, location_id, pubkey)
}

pub(crate) fn begin_login_by(method: i32, location_id: i64, pubkey: &str) -> core_request::Payload {
    let pubkey = pubkey.to_owned();
    let request = client::ClientMfaStartRequest { location_id, pubkey, method, posture_data: None };
    core_request::Payload::ClientMfaStart(request)
}

pub(crate) fn end_login(token: &str, code: &str) -> core_request::Payload {
    let (token, code) = (token.to_owned(), Some(code.to_owned()));
    core_request::Payload::ClientMfaFinish(client::ClientMfaFinishRequest { token, code, auth_pub_key: None })
}

pub(crate) fn seed(reply: Reply) -> String {
    let core_response::Payload::CodeMfaSetupStartResponse(begun) = reply.unwrap() else { panic!("no set-up") };
    begun.totp_secret.unwrap()
}

pub(crate) fn recovery_codes(reply: Reply) -> Vec<String> {
    let core_response::Payload::CodeMfaSetupFinishResponse(done) = reply.unwrap() else { panic!("no set-up") };
    done.recovery_codes
}

pub(crate) fn login_token(reply: Reply) -> String {
    let core_response::Payload::ClientMfaStart(begun) = reply.unwrap() else { panic!("no login") };
    assert_eq!(begun.challenge, None);
    begun.token
}

/// The preshared key.
pub(crate) fn passed(reply: Reply) -> String {
    let core_response::Payload::ClientMfaFinish(done) = reply.unwrap() else { panic!("no login") };
    assert_eq!(done.token, None);
    done.preshared_key
}
