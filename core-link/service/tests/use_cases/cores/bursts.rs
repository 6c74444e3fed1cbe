//! Many at once, at two Cores, for the same rows: nobody is sent away, and so nobody waits for longer than a change may
//! take.

use std::{collections::BTreeSet, time::Instant};

use futures::future::join_all;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use postern_core_link::Reply;
use postern_proto::proxy::core_request::Payload;

use crate::{
    mfa::support::{Member, OFFICE, begin_login, end_login, login_token, passed},
    support::{Core, configured, key, new_device, start},
};

/// What a store says that is not available, or has too much to do.
const PUT_OFF: [&str; 2] = ["try again", "too many requests; try again"];

#[tokio::test]
async fn fifty_devices_at_once_in_one_location_get_fifty_addresses() {
    let cores = Cores::with_joe().await;
    let mut tokens = Vec::new();
    for number in 0..50 {
        let login = format!("person{number}");
        cores.here.add_person(&login).await;
        tokens.push(cores.here.session(&login).await);
    }
    let asked = tokens.iter().zip(1_u8..).map(|(token, number)| new_device(token, "laptop", &key(number)));
    let replies = cores.ask_at_once("50 devices", asked).await;
    let addresses = replies.into_iter().map(|reply| configured(reply).configs[0].assigned_ip.clone());
    assert_eq!(addresses.collect::<BTreeSet<_>>().len(), 50);
}

#[tokio::test]
async fn a_hundred_logins_of_ten_people_at_once_begin_and_ten_end() {
    let cores = Cores::with_joe().await;
    let mut members: Vec<Member> = Vec::new();
    for number in 1..=10 {
        let login = format!("person{number}");
        cores.here.add_person(&login).await;
        members.push(cores.here.member(&login, number).await);
    }
    let begun = members.iter().cycle().take(100).map(|member| begin_login(OFFICE, &member.key));
    let tokens: Vec<String> = cores.ask_at_once("100 begun", begun).await.into_iter().map(login_token).collect();
    let ended = members.iter().zip(&tokens).map(|(member, token)| end_login(token, &cores.here.code(&member.seed)));
    let keys = cores.ask_at_once("10 ended", ended).await.into_iter().map(passed);
    assert_eq!(keys.collect::<BTreeSet<_>>().len(), 10);
}

#[tokio::test]
async fn fifty_redemptions_of_one_token_open_one_session() {
    let cores = Cores::with_joe().await;
    let token = cores.here.invite("joe").await;
    let replies = cores.ask_at_once("50 redemptions", (0..50).map(|_| start(&token))).await;
    let ends = replies.into_iter().map(|reply| crate::support::started(reply).deadline_timestamp);
    assert_eq!(ends.collect::<BTreeSet<_>>().len(), 1);
}

#[tokio::test]
async fn fifty_wrong_codes_at_once_are_counted_one_by_one() {
    let cores = Cores::with_joe().await;
    let joe = cores.here.member("joe", 1).await;
    let token = cores.here.begin(&joe.key).await;
    let wrong = cores.here.wrong_code(&joe.seed);
    let replies = cores.ask_at_once("50 wrong codes", (0..50).map(|_| end_login(&token, &wrong))).await;
    let looked_at = replies.iter().filter(|reply| reply.as_ref().unwrap_err().code as i32 == 16).count();
    assert_eq!(looked_at, 5, "the others are told to wait");
}

struct Cores {
    here: Core,
    there: Core,
    counted: PrometheusHandle,
    _counting: metrics::LocalRecorderGuard<'static>,
}

impl Cores {
    async fn with_joe() -> Self {
        let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        let counting = metrics::set_default_local_recorder(recorder);
        let here = Core::with_joe().await;
        let there = here.beside().await;
        Self { here, there, counted: recorder.handle(), _counting: counting }
    }

    /// By turns at either Core. None of them is put off.
    #[allow(clippy::print_stdout, reason = "a figure for whoever reads it")]
    async fn ask_at_once(&self, what: &str, asked: impl Iterator<Item = Payload>) -> Vec<Reply> {
        let (began, before) = (Instant::now(), self.counted());
        let asked = asked.enumerate().map(async |(number, payload)| {
            let core = if number % 2 == 0 { &self.here } else { &self.there };
            core.ask(payload).await
        });
        let replies = join_all(asked).await;
        let took = began.elapsed();
        let [commits, repeats] = [0, 1].map(|count| self.counted()[count] - before[count]);
        eprintln!("{what}: {commits} commits, {repeats} repeats, {} ms", took.as_millis());
        for reply in &replies {
            let put_off = reply.as_ref().err().filter(|rejection| PUT_OFF.contains(&rejection.message.as_str()));
            assert!(put_off.is_none(), "{put_off:?}");
        }
        replies
    }

    fn counted(&self) -> [u64; 2] {
        let text = self.counted.render();
        ["commits", "repeats"].map(|name| {
            let name = format!("postern_core_store_{name}_total ");
            text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.trim().parse().unwrap())
        })
    }
}

impl Core {
    /// With an app and a device, and no password, which takes long to hash.
    async fn member(&self, login: &str, number: u8) -> Member {
        let token = self.session(login).await;
        let (seed, recovery_codes) = self.set_up_factor_with_codes(&token).await;
        let made = configured(self.ask(new_device(&token, "laptop", &key(number))).await);
        self.execute("UPDATE people SET enrolled_at = created_at").await;
        let (polling_token, device) = (made.token.unwrap(), made.device.unwrap().id);
        Member { seed, recovery_codes, key: key(number), polling_token, device }
    }
}
