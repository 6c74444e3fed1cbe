//! What a stranger can find out by asking: nothing from the answer, and nothing from the work that it took.
//!
//! Each group is one question about things that exist, existed, or never did. Within it the replies are equal byte for
//! byte, and so are the reads, changes and password hashes behind them. Times are too noisy to assert; they are printed.

// Not in a group is what the wire forces apart, because clients know the texts: `token expired` and `Session expired`
// (only for whoever holds the token), `device not found` against a login that begins (whoever knows a device's public
// key learns that it exists), `user inactive` (only for whoever holds a polling token).

mod cost;
mod sampling;

use postern_core::{enrollment, mail::MailUse};
use postern_proto::proxy::{core_request::Payload, core_response};

use self::cost::{Costs, measured};
use crate::{
    mfa::support::{Member, OFFICE, begin_login, end_login},
    support::{Core, PASSWORD, SESSION, activate, cli, configured, key, mails::ask_reset, new_device, poll, start},
};

/// One question about several things, and what it costs: reads, changes, hashes.
struct Group {
    name: &'static str,
    asked: Vec<(&'static str, Payload)>,
    cost: [u64; 3],
}

#[test]
fn the_same_question_costs_and_says_the_same_whatever_exists() {
    measured(async |costs| {
        let scene = Scene::new().await;
        for Group { name, asked, cost } in scene.groups().await {
            let mut replies = Vec::new();
            for (what, payload) in asked {
                // Nobody has used up anybody's share of the log.
                scene.core.wait(1);
                replies.push((what, scene.ask(payload, &costs).await));
            }
            let (_, first) = &replies[0];
            for (what, reply) in &replies {
                assert_eq!(reply, first, "{name}: {what}");
                assert_eq!(reply.1, cost, "{name}: {what}");
            }
        }
    });
}

#[test]
fn the_owner_of_a_token_costs_a_hash_and_strangers_do_not() {
    measured(async |costs| {
        let core = Core::with_joe().await;
        let token = core.session("joe").await;
        let before = costs.so_far();
        core.ask(activate(&token, PASSWORD)).await.unwrap();
        assert_eq!(costs.since(before), [2, 1, 1]);
    });
}

#[test]
fn asking_for_a_reset_costs_and_says_the_same_whoever_it_is_about() {
    measured(async |costs| {
        let (core, _) = Core::with_member().await;
        let core = core.with_mail(MailUse::On).await;
        for login in ["ann", "bob"] {
            core.add_person(login).await;
        }
        core.enroll("ann", 50).await;
        core.disable("ann").await;
        for email in ["joe@example.org", "ann@example.org", "bob@example.org", "nobody@example.org", "nonsense"] {
            let before = costs.so_far();
            let reply = core.ask(ask_reset(email)).await.unwrap();
            assert_eq!((reply, costs.since(before)), (core_response::Payload::Empty(()), [0, 1, 0]), "{email}");
        }
    });
}

#[test]
fn under_a_flood_the_same_question_takes_the_same_time() {
    measured(async |costs| {
        let scene = Scene::new().await;
        for Group { name, asked, cost: _ } in scene.groups().await {
            let [(one, first), (other, second), ..] = &asked[..] else { panic!("{name} has nothing to compare") };
            let samples = sampling::interleaved(&scene.core, first, second).await;
            println!("{name}: {one} against {other}: {samples}");
            for (what, payload) in &asked[..2] {
                let (reply, cost) = scene.ask(payload.clone(), &costs).await;
                assert_eq!(cost, [1, 0, 0], "{name}: {what}: a flood is read and not written: {reply}");
            }
        }
    });
}

/// A Core in which everything once was: people, devices and tokens, good and gone.
struct Scene {
    core: Core,
    joe: Member,
}

impl Scene {
    async fn new() -> Self {
        let (core, joe) = Core::with_member().await;
        Self { core, joe }
    }

    async fn groups(&self) -> Vec<Group> {
        vec![
            self.enrollment().await,
            self.activation().await,
            self.polling().await,
            self.login().await,
            self.locked_out().await,
            self.finish().await,
        ]
    }

    async fn enrollment(&self) -> Group {
        let over = self.core.session("joe").await;
        self.core.wait(SESSION);
        let revoked = self.revoked_token().await;
        let asked = vec![
            ("a token that never was", start(&"x".repeat(32))),
            ("a revoked token", start(&revoked)),
            ("a token whose session is over", start(&over)),
            ("a polling token", start(&self.joe.polling_token)),
        ];
        Group { name: "enrollment_start", asked, cost: [1, 1, 0] }
    }

    async fn activation(&self) -> Group {
        let revoked = self.revoked_token().await;
        let asked = vec![
            ("a token that never was", activate(&"x".repeat(32), PASSWORD)),
            ("a revoked token", activate(&revoked, PASSWORD)),
            ("a token that never was, and a long password", activate(&"x".repeat(32), &"Str0ng!passw-rd ".repeat(16))),
        ];
        Group { name: "activate_user", asked, cost: [1, 1, 0] }
    }

    async fn polling(&self) -> Group {
        let token = self.core.session("joe").await;
        let made = configured(self.core.ask(new_device(&token, "phone", &key(40))).await);
        self.core.remove_device(made.device.unwrap().id).await;
        let asked = vec![
            ("a token that never was", poll(&"x".repeat(32))),
            ("a removed device's token", poll(&made.token.unwrap())),
            ("an enrollment token", poll(&token)),
        ];
        Group { name: "instance_info", asked, cost: [1, 1, 0] }
    }

    async fn login(&self) -> Group {
        let token = self.core.session("joe").await;
        let made = configured(self.core.ask(new_device(&token, "phone", &key(41))).await);
        self.core.remove_device(made.device.unwrap().id).await;
        let asked = vec![
            ("a key that nobody has", begin_login(OFFICE, &key(99))),
            ("a removed device's key", begin_login(OFFICE, &key(41))),
            ("no key at all", begin_login(OFFICE, "nonsense")),
        ];
        Group { name: "client_mfa_start, no such device", asked, cost: [1, 1, 0] }
    }

    async fn locked_out(&self) -> Group {
        self.core.add_person("ann").await;
        self.core.enroll("ann", 50).await;
        self.core.disable("ann").await;
        self.core.add_location_without_mfa("Servers", &["10.30.0.0/24"]).await;
        self.core.add_host("web-1", "Servers", Some(key(51))).await.unwrap();
        let asked = vec![
            ("a disabled person's device", begin_login(OFFICE, &key(50))),
            ("a host", begin_login(OFFICE, &key(51))),
        ];
        Group { name: "client_mfa_start, no access", asked, cost: [1, 1, 0] }
    }

    async fn finish(&self) -> Group {
        let finished = self.core.begin(&self.joe.key).await;
        self.core.ask(end_login(&finished, &self.core.code(&self.joe.seed))).await.unwrap();
        let asked = vec![
            ("a token that never was", end_login(&"x".repeat(32), "123456")),
            ("a finished login's token", end_login(&finished, "123456")),
            ("a polling token", end_login(&self.joe.polling_token, "123456")),
            ("a token that never was, and a recovery code", end_login(&"x".repeat(32), &self.joe.recovery_codes[0])),
            ("a token that never was, and no code", end_login(&"x".repeat(32), "")),
        ];
        Group { name: "client_mfa_finish", asked, cost: [1, 1, 0] }
    }

    async fn revoked_token(&self) -> String {
        let token = self.core.session("joe").await;
        let revoke = self.core.store.write(|tx| Box::pin(async move { enrollment::revoke(tx, "joe", &cli()).await }));
        revoke.await.unwrap();
        token
    }

    /// The reply in full, and what it cost.
    async fn ask(&self, payload: Payload, costs: &Costs) -> (String, [u64; 3]) {
        let before = costs.so_far();
        let reply = self.core.ask(payload).await;
        (format!("{:?}", reply.unwrap_err()), costs.since(before))
    }
}
