//! The steps of enrollment: skipped, in another order, and again. Core decides, whatever a client or an Edge believes.

use postern_core_link::Reply;
use postern_proto::proxy::core_request::Payload;

use crate::{
    authenticator::{STEP, code},
    mfa::support::{begin_setup, end_setup, recovery_codes, seed},
    phones::support::{Phone, register},
    support::{
        Core, PASSWORD, SESSION, activate, assert_refused, configured, existing_device, key, new_device, refused,
        start, started,
    },
};

const NO_CODE: &str = "000000";

#[tokio::test]
async fn before_the_session_is_opened_every_step_is_refused_and_changes_nothing() {
    let core = with_joe_and_servers().await;
    for token in [core.invite("joe").await, core.token_of_host("web-1").await] {
        let before = core.everything().await;
        for step in steps(&token) {
            assert_refused(core.ask(step).await, 16, "Session expired");
        }
        assert_eq!(core.everything().await, before);
    }
}

#[tokio::test]
async fn after_its_session_every_step_is_refused_and_changes_nothing() {
    let core = with_joe_and_servers().await;
    let joe = core.session("joe").await;
    core.set_up(&joe).await;
    core.ask(new_device(&joe, "laptop", &key(1))).await.unwrap();
    core.ask(activate(&joe, PASSWORD)).await.unwrap();
    let host = core.host_session("web-1").await;
    core.ask(new_device(&host, "", &key(2))).await.unwrap();
    core.wait(SESSION);
    let before = core.everything().await;
    for token in [joe, host] {
        assert_refused(core.ask(start(&token)).await, 16, "invalid token");
        for step in steps(&token) {
            assert_refused(core.ask(step).await, 16, "Session expired");
        }
    }
    assert_eq!(core.everything().await, before);
}

#[tokio::test]
async fn steps_in_any_order_give_what_those_before_them_allow() {
    let core = Core::with_joe().await;
    for (number, order) in orders().into_iter().enumerate() {
        let person = core.newcomer(number).await;
        for (done, step) in order.iter().enumerate() {
            let reply = core.take(*step, &person).await;
            if *step == Step::Update && !order[..done].contains(&Step::Device) {
                assert_refused(reply, 5, "device not found");
            } else {
                assert!(reply.is_ok(), "{order:?} at {step:?}: {reply:?}");
            }
        }
    }
}

#[tokio::test]
async fn nobody_is_activated_before_the_steps_that_the_settings_require() {
    let core = Core::with_joe().await.with_settings(|instance| {
        instance.mfa_required = true;
        instance.vpn_setup_optional = false;
    });
    let core = core.await;
    for (number, order) in orders().into_iter().enumerate() {
        let person = core.newcomer(number).await;
        let done = &order[..order.iter().position(|step| *step == Step::Activate).unwrap()];
        for step in done {
            drop(core.take(*step, &person).await);
        }
        let before = core.everything().await;
        let reply = core.take(Step::Activate, &person).await;
        match (done.contains(&Step::Factor), done.contains(&Step::Device)) {
            (true, true) => assert!(reply.is_ok(), "{order:?}: {reply:?}"),
            (false, _) => assert_refused(reply, 3, "set up a second factor first"),
            (true, false) => assert_refused(reply, 3, "add a device first"),
        }
        let is_unchanged = core.everything().await == before;
        assert_eq!(is_unchanged, !(done.contains(&Step::Factor) && done.contains(&Step::Device)), "{order:?}");
    }
}

#[tokio::test]
async fn a_set_up_cannot_be_finished_before_it_is_begun() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let before = core.everything().await;
    assert_refused(core.ask(end_setup(&token, NO_CODE)).await, 3, "Code invalid");
    assert_eq!(core.everything().await, before);
}

#[tokio::test]
async fn a_set_up_begun_in_one_session_is_not_finished_in_another() {
    let core = Core::with_joe().await;
    let (one, other) = (core.session("joe").await, core.session("joe").await);
    let seed = seed(core.ask(begin_setup(&one)).await);
    assert_refused(core.ask(end_setup(&other, &core.code(&seed))).await, 3, "Code invalid");
    recovery_codes(core.ask(end_setup(&one, &core.code(&seed))).await);
    assert_refused(core.ask(begin_setup(&other)).await, 3, "Method already enabled");
}

#[tokio::test]
async fn each_step_again_in_its_session_strands_nobody_and_makes_nothing_twice() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let first = started(core.ask(start(&token)).await);
    core.wait(1);
    assert_eq!(started(core.ask(start(&token)).await).deadline_timestamp, first.deadline_timestamp);
    let begun = seed(core.ask(begin_setup(&token)).await);
    assert_eq!(seed(core.ask(begin_setup(&token)).await), begun);
    recovery_codes(core.ask(end_setup(&token, &core.code(&begun))).await);
    let again = core.ask(end_setup(&token, &core.code(&begun))).await;
    assert_refused(again, 3, "Mfa already enabled on the account");
    let made = configured(core.ask(new_device(&token, "laptop", &key(1))).await).device;
    assert_eq!(configured(core.ask(new_device(&token, "laptop", &key(1))).await).device, made);
    assert_eq!(configured(core.ask(existing_device(&token, &key(1))).await).device, made);
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    assert_refused(core.ask(activate(&token, "An0ther!passw-rd")).await, 3, "user already activated");
    assert_refused(core.ask(begin_setup(&token)).await, 7, "User is already enrolled");
    assert_eq!(core.devices().await.len(), 1);
}

#[tokio::test]
async fn each_step_sent_again_as_the_same_operation_gets_the_same_reply_and_no_effect() {
    let core = with_joe_and_servers().await;
    let token = core.session("joe").await;
    let seed = seed(core.ask(begin_setup(&token)).await);
    let host = core.host_session("web-1").await;
    let code = core.code(&seed);
    let steps = [
        start(&token),
        begin_setup(&token),
        end_setup(&token, &code),
        new_device(&token, "laptop", &key(1)),
        existing_device(&token, &key(1)),
        activate(&token, PASSWORD),
        new_device(&host, "", &key(2)),
        existing_device(&host, &key(2)),
    ];
    for (number, step) in steps.into_iter().enumerate() {
        let operation = format!("step-{number}");
        let reply = core.ask_as(&operation, step.clone()).await.unwrap();
        let before = core.everything().await;
        assert_eq!(core.ask_as(&operation, step).await.unwrap(), reply, "{operation}");
        assert_eq!(core.everything().await, before, "{operation}");
    }
}

#[tokio::test]
async fn the_steps_of_a_person_are_closed_to_a_host_at_any_moment() {
    let core = with_joe_and_servers().await;
    let token = core.host_session("web-1").await;
    assert_refused(core.ask(existing_device(&token, &key(1))).await, 5, "device not found");
    let of_a_person = [begin_setup(&token), end_setup(&token, NO_CODE), activate(&token, PASSWORD)];
    for is_enrolled in [false, true] {
        if is_enrolled {
            core.ask(new_device(&token, "", &key(1))).await.unwrap();
        }
        let before = core.everything().await;
        for step in &of_a_person {
            assert_refused(core.ask(step.clone()).await, 7, "invalid token");
        }
        assert_eq!(core.everything().await, before);
    }
}

#[tokio::test]
async fn no_field_of_a_step_is_taken_unchecked() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let seed = seed(core.ask(begin_setup(&token)).await);
    let before = core.everything().await;
    let long = "x".repeat(1000);
    let Payload::ActivateUser(phone) = activate(&token, PASSWORD) else { unreachable!() };
    let Payload::CodeMfaSetupStart(method) = begin_setup(&token) else { unreachable!() };
    let phone = |number: &str| {
        let phone_number = Some(number.to_owned());
        Payload::ActivateUser(postern_proto::client_types::ActivateUserRequest { phone_number, ..phone.clone() })
    };
    let method = |number| {
        let token = method.token.clone();
        Payload::CodeMfaSetupStart(postern_proto::client_types::CodeMfaSetupStartRequest { token, method: number })
    };
    let shifted = code(&seed, core.unix() + STEP);
    for wrong in [
        new_device(&token, "lap\u{7}top", &key(1)),
        new_device(&token, &long, &key(1)),
        new_device(&token, "laptop", &key(1).replace('=', "")),
        new_device(&token, "laptop", &long),
        existing_device(&token, &long),
        activate(&token, "short"),
        activate(&token, "joe@example.org"),
        activate(&token, &long),
        phone("call me"),
        phone(&long),
        method(1),
        method(99),
        method(-1),
    ] {
        let kind = wrong.kind();
        assert_eq!(refused(core.ask(wrong).await).0, 3, "{kind}");
    }
    assert_eq!(core.everything().await, before);
    for wrong in ["", "12345", "1234567", "12 456", "１２３４５６", &long, &shifted] {
        assert_eq!(refused(core.ask(end_setup(&token, wrong)).await).0, 3, "{wrong}");
        core.unlock("joe").await;
    }
    assert_eq!(core.count("SELECT COUNT(*) FROM authenticators WHERE sealed_seed IS NOT NULL").await, 0);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Factor,
    Device,
    Update,
    Activate,
}

/// Somebody in an open session.
struct Newcomer {
    token: String,
    key: String,
}

impl Core {
    async fn newcomer(&self, number: usize) -> Newcomer {
        let login = format!("person{number}");
        self.add_person(&login).await;
        Newcomer { token: self.session(&login).await, key: key(u8::try_from(number).unwrap()) }
    }

    async fn take(&self, step: Step, person: &Newcomer) -> Reply {
        match step {
            Step::Factor => {
                let seed = seed(self.ask(begin_setup(&person.token)).await);
                self.ask(end_setup(&person.token, &self.code(&seed))).await
            }
            Step::Device => self.ask(new_device(&person.token, "laptop", &person.key)).await,
            Step::Update => self.ask(existing_device(&person.token, &person.key)).await,
            Step::Activate => self.ask(activate(&person.token, PASSWORD)).await,
        }
    }

    /// Every row but those that only tell what happened.
    pub(crate) async fn everything(&self) -> Vec<String> {
        self.contents(&["activity", "operations"]).await.into_values().flatten().collect()
    }
}

async fn with_joe_and_servers() -> Core {
    let core = Core::with_joe().await;
    core.add_location_without_mfa("Servers", &["10.30.0.0/24"]).await;
    core
}

/// Everything that an open session allows.
fn steps(token: &str) -> [Payload; 6] {
    [
        begin_setup(token),
        end_setup(token, NO_CODE),
        new_device(token, "laptop", &key(1)),
        existing_device(token, &key(1)),
        register(token, &Phone::new("").public_key(), &key(1)),
        activate(token, PASSWORD),
    ]
}

/// All 24.
fn orders() -> Vec<[Step; 4]> {
    const STEPS: [Step; 4] = [Step::Factor, Step::Device, Step::Update, Step::Activate];
    let picks = (0..256).map(|number: usize| [0, 2, 4, 6].map(|shift| STEPS[(number >> shift) & 3]));
    picks.filter(|order| STEPS.iter().all(|step| order.contains(step))).collect()
}
