//! A phone in software, and people who have one.

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use postern_core_link::{Handler as _, Reply};
use postern_proto::{
    client_types as client,
    proxy::{AwaitRemoteMfaFinishRequest, ClientMfaTokenValidationRequest, core_request, core_response},
};

use crate::{
    mfa::support::{Member, OFFICE, begin_login_by},
    support::{Core, key, new_device, request},
};

pub(crate) const BIOMETRIC: i32 = 3;
pub(crate) const MOBILE_APPROVAL: i32 = 4;

/// The key that an app keeps, and the device that it belongs to.
pub(crate) struct Phone {
    pair: Ed25519KeyPair,
    pub(crate) device_key: String,
}

/// What a start gives a client whose phone has to sign.
pub(crate) struct Begun {
    pub(crate) token: String,
    pub(crate) challenge: String,
}

impl Phone {
    pub(crate) fn new(device_key: &str) -> Self {
        Self { pair: Ed25519KeyPair::generate().unwrap(), device_key: device_key.to_owned() }
    }

    pub(crate) fn public_key(&self) -> String {
        STANDARD.encode(self.pair.public_key().as_ref())
    }

    pub(crate) fn sign(&self, challenge: &str) -> String {
        STANDARD.encode(self.pair.sign(challenge.as_bytes()).as_ref())
    }

    pub(crate) fn approve(&self, begun: &Begun) -> core_request::Payload {
        approval(&begun.token, &self.sign(&begun.challenge), &self.public_key())
    }
}

impl Core {
    /// With joe, enrolled, who has an app, a laptop, and a phone.
    pub(crate) async fn with_phone() -> (Self, Member, Phone) {
        let (core, joe) = Self::with_member().await;
        let phone = core.add_phone("joe", 20).await;
        (core, joe, phone)
    }

    /// Enrolls a phone in a session of its own.
    pub(crate) async fn add_phone(&self, login: &str, number: u8) -> Phone {
        let token = self.session(login).await;
        self.ask(new_device(&token, "phone", &key(number))).await.unwrap();
        let phone = Phone::new(&key(number));
        self.ask(register(&token, &phone.public_key(), &phone.device_key)).await.unwrap();
        phone
    }

    /// A login that waits for a signature.
    pub(crate) async fn begin_signed(&self, method: i32, device_key: &str) -> Begun {
        begun(self.ask(begin_login_by(method, OFFICE, device_key)).await)
    }

    /// Waits as an Edge does, for a minute.
    pub(crate) async fn await_approval(&self, token: &str) -> Reply {
        self.await_approval_for(Duration::from_mins(1), token).await
    }

    pub(crate) async fn await_approval_for(&self, patience: Duration, token: &str) -> Reply {
        let mut request = request(await_approval(token), None);
        request.deadline = tokio::time::Instant::now() + patience;
        self.dispatcher.handle(request).await
    }

    pub(crate) async fn is_token_valid(&self, token: &str) -> bool {
        let token = token.to_owned();
        let asked = core_request::Payload::ClientMfaTokenValidation(ClientMfaTokenValidationRequest { token });
        let core_response::Payload::ClientMfaTokenValidation(validated) = self.ask(asked).await.unwrap() else {
            panic!("not an answer about a token")
        };
        validated.token_valid
    }
}

pub(crate) fn register(token: &str, auth_pub_key: &str, device_pub_key: &str) -> core_request::Payload {
    let (token, auth_pub_key, device_pub_key) = (token.to_owned(), auth_pub_key.to_owned(), device_pub_key.to_owned());
    core_request::Payload::RegisterMobileAuth(client::RegisterMobileAuthRequest { token, auth_pub_key, device_pub_key })
}

pub(crate) fn approval(token: &str, signature: &str, phone_key: &str) -> core_request::Payload {
    let (token, code, auth_pub_key) = (token.to_owned(), Some(signature.to_owned()), Some(phone_key.to_owned()));
    core_request::Payload::ClientMfaFinish(client::ClientMfaFinishRequest { token, code, auth_pub_key })
}

pub(crate) fn await_approval(token: &str) -> core_request::Payload {
    core_request::Payload::AwaitRemoteMfaFinish(AwaitRemoteMfaFinishRequest { token: token.to_owned() })
}

pub(crate) fn begun(reply: Reply) -> Begun {
    let core_response::Payload::ClientMfaStart(begun) = reply.unwrap() else { panic!("no login") };
    Begun { token: begun.token, challenge: begun.challenge.unwrap() }
}

/// The preshared key that the phone sees, after its token has come back.
pub(crate) fn approved(reply: Reply, begun: &Begun) -> String {
    let core_response::Payload::ClientMfaFinish(done) = reply.unwrap() else { panic!("no login") };
    assert_eq!(done.token.as_ref(), Some(&begun.token));
    done.preshared_key
}

/// The preshared key that the device gets that waited.
pub(crate) fn delivered(reply: Reply) -> String {
    let core_response::Payload::AwaitRemoteMfaFinish(done) = reply.unwrap() else { panic!("no result") };
    done.preshared_key
}
