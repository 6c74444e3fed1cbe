//! Codes by e-mail as a second factor.

use postern_core::mail::MailUse;
use postern_proto::{
    client_types as client,
    proxy::{core_request::Payload, core_response},
};

use super::support::{AWAY, HOME, OFFICE, begin_login_by, end_login, login_token, passed, recovery_codes};
use crate::support::{Core, PASSWORD, activate, assert_refused, configured, key, new_device, refused};

const EMAIL: i32 = 1;

/// Of joe, who has codes by e-mail and nothing else.
struct Mailed {
    recovery_codes: Vec<String>,
}

impl Core {
    async fn with_codes() -> Self {
        Self::with_joe().await.with_mail(MailUse::OnWithCodes).await
    }

    async fn with_mailed() -> (Self, Mailed) {
        let core = Self::with_codes().await;
        let token = core.session("joe").await;
        let recovery_codes = core.set_up_mail(&token).await;
        configured(core.ask(new_device(&token, "laptop", &key(1))).await);
        core.ask(activate(&token, PASSWORD)).await.unwrap();
        (core, Mailed { recovery_codes })
    }

    async fn set_up_mail(&self, token: &str) -> Vec<String> {
        self.ask(begin_setup(token)).await.unwrap();
        let code = self.mailed("mail_code", "code").await;
        recovery_codes(self.ask(end_setup(token, &code)).await)
    }

    /// Token and code of a new login.
    async fn begin_mailed(&self, ip: &str) -> (String, String) {
        let token = login_token(self.ask_from(ip, begin_login_by(EMAIL, OFFICE, &key(1))).await);
        (token, self.mailed("mail_code", "code").await)
    }
}

#[tokio::test]
async fn a_mailed_code_confirms_and_logs_in() {
    let (core, _) = Core::with_mailed().await;
    let (token, code) = core.begin_mailed(HOME).await;
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    passed(core.ask(end_login(&token, &code)).await);
    assert_refused(core.ask(end_login(&token, &code)).await, 3, "login session not found");
    let last = core.activity().await.pop().unwrap();
    assert!(last.starts_with("client_mfa_finish refused"), "{last}");
    let kinds = core.kinds_of_mails().await;
    assert!(kinds.contains(&"factor_added".to_owned()), "{kinds:?}");
}

#[tokio::test]
async fn a_set_up_gives_no_secret_to_the_client() {
    let core = Core::with_codes().await;
    let token = core.session("joe").await;
    let core_response::Payload::CodeMfaSetupStartResponse(begun) = core.ask(begin_setup(&token)).await.unwrap() else {
        panic!("no set-up")
    };
    assert_eq!(begun.totp_secret, None);
}

#[tokio::test]
async fn where_codes_are_not_allowed_the_method_is_not_supported() {
    for mail in [MailUse::Off, MailUse::On] {
        let core = Core::with_joe().await.with_mail(mail).await;
        let token = core.session("joe").await;
        assert_refused(core.ask(begin_setup(&token)).await, 3, "Method not supported");
        assert_refused(core.ask(end_setup(&token, "000000")).await, 3, "Method not supported");
        assert_eq!(core.mails().await.len(), 0);
    }
    let (core, _) = Core::with_mailed().await;
    let core = core.with_mail(MailUse::On).await;
    assert_refused(core.ask(begin_login_by(EMAIL, OFFICE, &key(1))).await, 3, "selected MFA method not available");
}

#[tokio::test]
async fn without_a_set_up_no_code_is_mailed() {
    let (core, joe) = Core::with_member().await;
    let core = core.with_mail(MailUse::OnWithCodes).await;
    let start = begin_login_by(EMAIL, OFFICE, &joe.key);
    assert_refused(core.ask(start).await, 3, "selected MFA method not available");
    assert_eq!(core.mails().await.len(), 0);
}

#[tokio::test]
async fn a_code_counts_for_its_own_login_only() {
    let (core, _) = Core::with_mailed().await;
    let (first, first_code) = core.begin_mailed(HOME).await;
    let (second, second_code) = core.begin_mailed(HOME).await;
    if first_code != second_code {
        assert_refused(core.ask(end_login(&first, &second_code)).await, 16, "unauthorized");
    }
    passed(core.ask(end_login(&first, &first_code)).await);
    passed(core.ask(end_login(&second, &second_code)).await);
}

#[tokio::test]
async fn a_code_ends_with_its_login_and_its_set_up_with_the_session() {
    let (core, _) = Core::with_mailed().await;
    let (token, code) = core.begin_mailed(HOME).await;
    core.wait(300);
    assert_refused(core.ask(end_login(&token, &code)).await, 3, "invalid token");

    let core = Core::with_codes().await;
    let token = core.session("joe").await;
    core.ask(begin_setup(&token)).await.unwrap();
    let old = core.mailed("mail_code", "code").await;
    core.ask(begin_setup(&token)).await.unwrap();
    let new = core.mailed("mail_code", "code").await;
    if old != new {
        assert_refused(core.ask(end_setup(&token, &old)).await, 3, "Email code invalid");
    }
    recovery_codes(core.ask(end_setup(&token, &new)).await);
    assert_refused(core.ask(end_setup(&token, &new)).await, 3, "Mfa already enabled on the account");
}

#[tokio::test]
async fn guesses_are_counted_and_a_new_code_forgets_none() {
    let (core, _) = Core::with_mailed().await;
    let mut wrong = 0;
    while wrong < 5 {
        let (token, code) = core.begin_mailed(HOME).await;
        for _ in 0..3 {
            let guess = if code == "000000" { "000001" } else { "000000" };
            if wrong < 5 {
                assert_refused(core.ask(end_login(&token, guess)).await, 16, "unauthorized");
                wrong += 1;
            }
        }
    }
    let (token, code) = core.begin_mailed(HOME).await;
    let (number, text) = refused(core.ask(end_login(&token, &code)).await);
    assert_eq!(number, 8, "{text}");
    core.wait(30);
    passed(core.ask(end_login(&token, &code)).await);
}

#[tokio::test]
async fn a_stranger_with_the_public_key_uses_up_no_mail_of_the_owner() {
    let (core, _) = Core::with_mailed().await;
    let mut mailed = 0;
    for _ in 0..50 {
        match core.ask_from(AWAY, begin_login_by(EMAIL, OFFICE, &key(1))).await {
            Ok(_) => mailed += 1,
            Err(rejection) => assert_eq!(rejection.code as i32, 8),
        }
    }
    assert_eq!(mailed, 5);
    let (token, code) = core.begin_mailed(HOME).await;
    passed(core.ask(end_login(&token, &code)).await);
    core.wait(3600);
    core.ask_from(AWAY, begin_login_by(EMAIL, OFFICE, &key(1))).await.unwrap();
}

#[tokio::test]
async fn a_recovery_code_passes_such_a_login_too() {
    let (core, joe) = Core::with_mailed().await;
    let (token, _) = core.begin_mailed(HOME).await;
    passed(core.ask(end_login(&token, &joe.recovery_codes[0])).await);
    let last = core.activity().await.pop().unwrap();
    assert!(last.starts_with("client_mfa_finish done joe recovery code; device "), "{last}");
}

#[tokio::test]
async fn a_person_with_one_factor_sets_up_no_other_later() {
    let (core, _) = Core::with_mailed().await;
    let token = core.session("joe").await;
    assert_refused(core.ask(begin_setup(&token)).await, 7, "User is already enrolled");
    assert_refused(core.ask(super::support::begin_setup(&token)).await, 7, "User is already enrolled");
    core.reset_mfa("joe").await;
    core.set_up_mail(&token).await;

    let (core, _) = Core::with_member().await;
    let core = core.with_mail(MailUse::OnWithCodes).await;
    let token = core.session("joe").await;
    assert_refused(core.ask(begin_setup(&token)).await, 7, "User is already enrolled");
}

#[tokio::test]
async fn a_factor_that_was_taken_away_passes_no_login() {
    let (core, _) = Core::with_mailed().await;
    let (token, code) = core.begin_mailed(HOME).await;
    core.execute("DELETE FROM mail_factors").await;
    assert_refused(core.ask(end_login(&token, &code)).await, 16, "unauthorized");
}

#[tokio::test]
async fn the_database_holds_no_code() {
    let (core, _) = Core::with_mailed().await;
    let (_, code) = core.begin_mailed(HOME).await;
    for row in core.contents(&[]).await.into_values().flatten() {
        assert!(row.split(|part: char| !part.is_ascii_alphanumeric()).all(|word| word != code), "{row}");
    }
}

fn begin_setup(token: &str) -> Payload {
    Payload::CodeMfaSetupStart(client::CodeMfaSetupStartRequest { method: EMAIL, token: token.to_owned() })
}

fn end_setup(token: &str, code: &str) -> Payload {
    let (code, token) = (code.to_owned(), token.to_owned());
    Payload::CodeMfaSetupFinish(client::CodeMfaSetupFinishRequest { code, token, method: EMAIL })
}
