//! The log of authentications, as an operator and fail2ban read it.

use std::{
    fs, io,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use postern_core::{
    activity::{Entry, Factor, Origin},
    store::StoreError,
    telemetry::{self, LogFormat, LogLevel},
};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Core, PASSWORD, activate, configured, key, new_device, poll, start};

const HOSTILE: [&str; 5] = [
    "joe\" ip=1.2.3.4",
    "joe\" outcome=refused ip=1.2.3.4 user=\"",
    "joe\nauth v=1 ip=1.2.3.4 event=enrollment_start outcome=refused factor=- reason=\"\" edge=1 user=\"\"",
    "x\\\" postern_core::auth: auth v=1 ip=1.2.3.4 event=enrollment_start outcome=refused factor=-",
    "1.2.3.4\u{2028}\r\u{1b}[2K",
];

#[tokio::test]
async fn each_outcome_that_is_recorded_is_one_line() {
    let log = Log::default();
    let _guard = log.capture(LogFormat::Text);
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(new_device(&token, "my laptop", &key(1))).await.unwrap();
    core.ask(new_device(&token, "my phone", &key(1))).await.unwrap_err();
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    core.ask(start(&"x".repeat(32))).await.unwrap_err();
    assert_eq!(
        log.auth_lines(),
        [
            line("enrollment_start", "done", "", "joe"),
            line("new_device", "done", "", "joe"),
            line("new_device", "refused", "invalid key", "joe"),
            line("activate_user", "done", "", "joe"),
            line("enrollment_start", "refused", "invalid token", ""),
        ]
    );
    let text = log.text();
    for typed in ["laptop", "phone", PASSWORD, &token] {
        assert!(!text.contains(typed), "{typed}");
    }
}

#[tokio::test]
async fn logins_are_told_with_their_factor_once_they_end() {
    let log = Log::default();
    let _guard = log.capture(LogFormat::Text);
    let (core, joe) = Core::with_member().await;
    let before = log.auth_lines().len();
    core.begin(&joe.key).await;
    assert_eq!(log.auth_lines().len(), before, "a login that was begun");
    let code = core.code(&joe.seed);
    core.show(&joe, &code).await.unwrap();
    core.show(&joe, &joe.recovery_codes[0]).await.unwrap();
    core.show(&joe, &code).await.unwrap_err();
    core.show(&joe, &joe.recovery_codes[0]).await.unwrap_err();
    for _ in 0..3 {
        core.show(&joe, "not a code").await.unwrap_err();
    }
    core.show(&joe, &core.wrong_code(&joe.seed)).await.unwrap_err();
    let told = |factor, outcome, reason| {
        line("client_mfa_finish", outcome, reason, "joe").replace("factor=-", &format!("factor={factor}"))
    };
    let mut expected = vec![
        told("totp", "done", ""),
        told("recovery_code", "done", ""),
        told("totp", "refused", "the code, or a newer one, was used before"),
        told("recovery_code", "refused", "wrong code"),
    ];
    expected.extend(vec![told("-", "refused", "wrong code"); 3]);
    expected.push(told("totp", "refused", "too many failed attempts; try again in 30 s"));
    assert_eq!(log.auth_lines()[before..], expected);
    let text = log.text();
    let secrets = [&joe.seed, &joe.polling_token, &joe.recovery_codes[0], &joe.recovery_codes[1], &joe.key];
    assert!(secrets.iter().all(|secret| !text.contains(secret.as_str())), "{text}");
}

#[tokio::test]
async fn a_factor_that_is_set_up_is_told() {
    let log = Log::default();
    let _guard = log.capture(LogFormat::Text);
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.set_up_factor(&token).await;
    let finish = line("code_mfa_setup_finish", "done", "", "joe").replace("factor=-", "factor=totp");
    assert_eq!(log.auth_lines()[1..], [line("code_mfa_setup_start", "done", "", "joe"), finish]);
}

#[tokio::test]
async fn a_poll_that_succeeds_is_not_told() {
    let log = Log::default();
    let _guard = log.capture(LogFormat::Text);
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let polling = configured(core.ask(new_device(&token, "laptop", &key(1))).await).token.unwrap();
    let before = log.auth_lines().len();
    core.ask(poll(&polling)).await.unwrap();
    assert_eq!(log.auth_lines().len(), before);
    core.ask(poll(&"x".repeat(32))).await.unwrap_err();
    assert_eq!(log.auth_lines().len(), before + 1);
}

#[tokio::test]
async fn a_repeated_operation_is_told_once() {
    let log = Log::default();
    let _guard = log.capture(LogFormat::Text);
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    for _ in 0..3 {
        core.ask_as("one", new_device(&token, "laptop", &key(1))).await.unwrap();
        core.ask_as("two", new_device(&token, "phone", &key(1))).await.unwrap_err();
    }
    let expected = [line("new_device", "done", "", "joe"), line("new_device", "refused", "invalid key", "joe")];
    assert_eq!(log.auth_lines()[1..], expected);
}

#[tokio::test]
async fn what_is_undone_is_not_told() {
    let log = Log::default();
    let _guard = log.capture(LogFormat::Text);
    let core = Core::with_joe().await;
    let failed: Result<(), StoreError> = core
        .store
        .write(|tx| {
            Box::pin(async move {
                tx.record(&entry("joe")).await?;
                Err(StoreError::TimedOut)
            })
        })
        .await;
    failed.unwrap_err();
    record(&core, vec![entry("ann")]).await;
    assert_eq!(log.auth_lines(), [line_of(&entry("ann"), "ann")]);
}

#[tokio::test]
async fn strangers_cause_as_few_lines_as_rows() {
    let log = Log::default();
    let _guard = log.capture(LogFormat::Text);
    let core = Core::with_joe().await;
    for _ in 0..100 {
        core.ask(start(&"x".repeat(32))).await.unwrap_err();
    }
    assert_eq!(log.auth_lines().len(), 5);
    core.wait(1);
    core.ask(start(&"x".repeat(32))).await.unwrap_err();
    let last = log.auth_lines().pop().unwrap();
    assert!(last.contains(r#"reason="invalid token; 95 more like this were not written""#), "{last}");
}

#[tokio::test]
async fn fail2ban_finds_the_address_and_nothing_that_somebody_typed() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let log = Log::default();
        let guard = log.capture(format);
        let core = Core::start().await;
        let mut entries: Vec<Entry> = HOSTILE.iter().map(|hostile| entry(hostile)).collect();
        entries.extend(HOSTILE.iter().map(|hostile| entry("joe").with_detail(*hostile)));
        let refused = entries.len();
        entries.push(done("joe"));
        entries.push(Entry::refused("instance_info", &origin(), ""));
        entries.extend(HOSTILE.iter().map(|hostile| done(hostile).with_detail(*hostile)));
        // The text of an Edge or of a library, in another line of the log.
        record(&core, entries).await;
        tracing::warn!(target: "postern_core_link::link", reason = %HOSTILE[2], "no tunnel to this Edge");
        drop(guard);
        let file = core.folder().join("core.log");
        fs::write(&file, log.text()).unwrap();
        let found = fail2ban_regex(&file);
        assert_eq!(found, vec!["203.0.113.9"; refused], "{format:?}\n{}", log.text());
    }
}

#[tokio::test]
async fn fail2ban_reads_what_systemd_writes_and_both_kinds_of_address() {
    let from = |ip: &str| Entry::refused("client_mfa_finish", &Origin::edge(1, Some(ip.parse().unwrap())), "joe");
    for format in [LogFormat::Text, LogFormat::Json] {
        let log = Log::default();
        let guard = log.capture(format);
        let core = Core::start().await;
        record(&core, vec![from("2001:db8::9"), from("::ffff:198.51.100.4")]).await;
        drop(guard);
        let file = core.folder().join("journal.log");
        // What fail2ban makes of an entry of the journal: the time apart, then the host and the program.
        let journal: String = log.text().lines().map(|line| format!("vpn1 postern-core[812]: {line}\n")).collect();
        fs::write(&file, journal).unwrap();
        assert_eq!(fail2ban_regex(&file), ["2001:db8::9", "198.51.100.4"], "{format:?}");
    }
}

fn origin() -> Origin {
    Origin::edge(1, Some("203.0.113.9".parse().unwrap()))
}

fn entry(subject: &str) -> Entry {
    Entry::refused("client_mfa_finish", &origin(), subject).with_detail("wrong code").with_factor(Some(Factor::Totp))
}

fn done(subject: &str) -> Entry {
    Entry::done("client_mfa_finish", &origin(), subject).with_factor(Some(Factor::RecoveryCode))
}

async fn record(core: &Core, entries: Vec<Entry>) {
    let write = core.store.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move {
            for entry in &entries {
                tx.record(entry).await?;
            }
            Ok(())
        })
    });
    write.await.unwrap();
}

fn line(event: &str, outcome: &str, reason: &str, user: &str) -> String {
    format!(
        "auth v=1 ip=203.0.113.9 event={event} outcome={outcome} factor=- reason=\"{reason}\" edge=1 user=\"{user}\""
    )
}

fn line_of(entry: &Entry, user: &str) -> String {
    line(entry.event, "refused", "wrong code", user).replace("factor=-", "factor=totp")
}

/// The addresses that the shipped filter finds, one for each line that counts.
fn fail2ban_regex(log: &Path) -> Vec<String> {
    let filter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/fail2ban/filter.d/postern-core.conf");
    let run = Command::new("fail2ban-regex").args(["--out", "ip"]).arg(log).arg(filter).output();
    let run = run.expect("fail2ban is installed: its package has the same name");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// What Core would have written to its standard error.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture(&self, format: LogFormat) -> tracing::dispatcher::DefaultGuard {
        tracing::dispatcher::set_default(&telemetry::log(LogLevel::Info, format, self.clone()))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn auth_lines(&self) -> Vec<String> {
        let text = self.text();
        let lines = text.lines().filter_map(|line| line.split_once("INFO postern_core::auth: "));
        lines.map(|(_, line)| line.to_owned()).collect()
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
