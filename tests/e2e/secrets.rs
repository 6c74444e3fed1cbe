//! No secret reaches any log, whatever goes wrong on its way and however much the programs are told to say.

mod flows;

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use postern_tests::{
    Authenticator, Client, Cluster, Outside, Setup,
    enrollment::{Enrollment, PASSWORD, public_key},
    mfa::{Device, SecondFactor, begin_set_up, finish_login},
    programs::repository,
    secrets::logs as logs_in,
};
use serde_json::json;
use totp_rs::Secret;

const OPERATION: &str = "canary0operation0id";
const WEAK_PASSWORD: &str = "canary7";
const IN_A_QUERY: &str = "canary-token-in-a-query";
const IN_A_REFERRER: &str = "canary-token-in-a-referrer";

/// Everything that opens something, and what was made up to look like it.
#[derive(Default)]
struct Secrets {
    texts: Vec<String>,
    /// Six digits stand in a log by chance: these are looked for as a word of their own.
    codes: Vec<String>,
}

#[tokio::test]
async fn no_secret_reaches_a_log_of_edge_core_or_nginx() {
    let outside = Outside::start().await.expect("a mail server and a provider");
    let files = tempfile::tempdir().expect("a folder");
    let core_settings = outside.core_settings(files.path()).expect("settings");
    let setup = Setup { core_settings, ..Setup::default() };
    let mut cluster = Cluster::start_with(setup).await.expect("the cluster starts");
    cluster.commands().add_location("Partner", 79, "external").await.expect("location add");
    let mut secrets = Secrets::default();
    secrets.texts.extend([OPERATION, PASSWORD, WEAK_PASSWORD, IN_A_QUERY, IN_A_REFERRER].map(str::to_owned));
    let device = enroll_and_log_in(&cluster, &mut secrets).await;
    enroll_a_host(&cluster, &mut secrets).await;
    flows::take_all(&cluster, &outside, &mut secrets).await;
    use_everything(&cluster.public(), &secrets, &device).await;

    cluster.edges[1].process.kill().expect("kill edge-2");
    use_everything(&cluster.public(), &secrets, &device).await;
    cluster.core.kill().expect("kill core");
    use_everything(&cluster.public(), &secrets, &device).await;
    cluster.edges[0].process.kill().expect("kill edge-1");
    use_everything(&cluster.public(), &secrets, &device).await;

    secrets.bytes(&fs::read(cluster.folder().join("core/master.key")).expect("the master key"));
    for edge in ["edge-1", "edge-2"] {
        let key = fs::read_to_string(cluster.folder().join(edge).join("proxy_grpc_key.pem")).expect("an Edge's key");
        secrets.pem(&key);
    }
    let logs = logs(cluster.folder());
    assert!(logs.len() >= 5, "logs of Core, two Edges and NGINX: {:?}", logs.iter().map(|(name, _)| name));
    for (name, words) in [
        ("core.log", "postern_core::auth"),
        ("edge-1.log", "DEBUG"),
        ("edge-2.log", "DEBUG"),
        ("access.log", "/api/v1/client-mfa/finish"),
    ] {
        let log = logs.iter().find(|(path, _)| path.ends_with(name)).expect(name);
        assert!(log.1.contains(words), "{name} says too little to prove anything: {}", log.1);
    }
    for (name, text) in &logs {
        for line in text.lines() {
            let found = secrets.texts.iter().find(|secret| line.contains(&***secret));
            assert!(found.is_none(), "{name} holds {found:?}: {line}");
            let found = secrets.codes.iter().find(|code| holds_word(line, code));
            assert!(found.is_none(), "{name} holds the code {found:?}: {line}");
        }
    }
}

#[test]
fn the_shipped_error_log_is_at_crit() {
    let shipped = fs::read_to_string(repository().join("nginx/local/logs.conf")).expect("nginx/local/logs.conf");
    let error_logs: Vec<_> = shipped.lines().filter(|line| line.starts_with("error_log ")).collect();
    assert!(!error_logs.is_empty() && error_logs.iter().all(|line| line.ends_with(" crit;")), "{shipped}");
}

#[test]
fn a_code_is_a_word_of_its_own_and_no_part_of_a_time() {
    for line in ["code=123456", "\"123456\"", "123456", "x 123456, y", "(123456)"] {
        assert!(holds_word(line, "123456"), "{line}");
    }
    for line in ["12:00:01.123456Z", "a123456", "1234567", "0123456", "123456ms", ""] {
        assert!(!holds_word(line, "123456"), "{line}");
    }
}

/// A whole enrollment and two logins, with a mistake at every step where a person makes one.
async fn enroll_and_log_in(cluster: &Cluster, secrets: &mut Secrets) -> Device {
    let public = cluster.public();
    let token = cluster.invite("joe").await.expect("a person is invited");
    let enrollment = Enrollment::start(&public, &token).await.expect("start");
    let direct = cluster.edges[0].client().with_header("x-operation-id", OPERATION);
    secrets.texts.push(token);
    secrets.texts.push(enrollment.cookie.split_once('=').expect("name=value").1.to_owned());

    let factor = set_up_with_a_mistake(&enrollment).await;
    let device = Device::create(&enrollment.through(&direct), "laptop").await.expect("create_device");
    let weak = enrollment.activate_user(WEAK_PASSWORD).await.expect("activate_user with a weak password");
    assert_eq!(weak.status, 400, "{weak:?}");
    let activated = enrollment.activate_user(PASSWORD).await.expect("activate_user");
    assert_eq!(activated.status, 200, "{activated:?}");

    let (app, wrong) = (&factor.authenticator, factor.authenticator.wrong_code());
    for code in [app.code(), factor.recovery_codes[0].clone()] {
        let session = device.begin_login(&public).await.expect("client-mfa/start");
        let refused = finish_login(&public, &session, &wrong).await.expect("client-mfa/finish");
        assert_eq!(refused.status, 401, "{refused:?}");
        let passed = finish_login(&public, &session, &code).await.expect("client-mfa/finish");
        assert_eq!(passed.status, 200, "{passed:?}");
        let key = passed.json().expect("JSON")["preshared_key"].as_str().expect("a key").to_owned();
        secrets.bytes(&STANDARD.decode(&key).expect("base64"));
        secrets.texts.push(session);
        secrets.codes.extend([code, wrong.clone()]);
    }
    secrets.bytes(Secret::try_from_base32(&factor.seed).expect("base32").as_ref());
    secrets.texts.extend([factor.seed, device.polling_token.clone()]);
    secrets.texts.extend(factor.recovery_codes);
    secrets.codes.push(factor.set_up_code);
    device
}

/// A wrong code first, as happens to people.
async fn set_up_with_a_mistake(enrollment: &Enrollment) -> SecondFactor {
    let seed = begin_set_up(enrollment).await.expect("code/start");
    let wrong = Authenticator::new(&seed).expect("an authenticator app").wrong_code();
    let body = json!({ "code": wrong, "method": "Totp" });
    let refused = enrollment.post("/api/v1/enrollment/register-mfa/code/finish", &body).await.expect("code/finish");
    assert_eq!(refused.status, 400, "{refused:?}");
    SecondFactor::set_up(enrollment).await.expect("the set-up starts again and ends")
}

async fn enroll_a_host(cluster: &Cluster, secrets: &mut Secrets) {
    let key = public_key().expect("a key");
    let add = ["location", "add", "Open", "--endpoint", "vpn.example.org:51821", "--address", "10.78.0.1/24"];
    let rest = ["--public-key", &key, "--allowed-ips", "10.78.0.0/24", "--mfa", "disabled"];
    cluster.cli(&[&add[..], &rest[..]].concat()).await.expect("location add");
    let added = cluster.cli(&["device", "add", "printer", "--location", "Open"]).await.expect("device add");
    let token = added["token"].as_str().expect("a token").to_owned();
    let enrollment = Enrollment::start(&cluster.public(), &token).await.expect("start");
    let host = Device::create(&enrollment, "").await.expect("create_device");
    secrets.texts.extend([token, host.polling_token]);
}

/// Calls with secrets at every place where clients put them; their answers do not matter here.
async fn use_everything(public: &Client, secrets: &Secrets, device: &Device) {
    let referred = public.clone().with_header("referer", &format!("http://localhost/?token={IN_A_REFERRER}"));
    for token in &secrets.texts {
        for (path, body) in [
            ("/api/v1/poll", json!({ "token": token })),
            ("/api/v1/enrollment/start", json!({ "token": token })),
            ("/api/v1/client-mfa/finish", json!({ "token": token, "code": token })),
        ] {
            drop(referred.post(path, &body).await);
        }
    }
    drop(device.start_login(&referred).await);
    for (path, body) in [
        (format!("/api/v1/enrollment/start?token={IN_A_QUERY}"), json!({ "token": IN_A_QUERY, "x": [1, 2] })),
        ("/api/v1/enrollment/activate_user".to_owned(), json!({ "password": PASSWORD })),
        ("/api/v1/client-mfa/finish".to_owned(), json!({ "token": [IN_A_QUERY] })),
        ("/api/v1/client-mfa/finish-remote".to_owned(), json!({ "token": IN_A_QUERY, "code": IN_A_QUERY })),
        ("/api/v1/password-reset/start".to_owned(), json!({ "token": IN_A_QUERY })),
        ("/api/v1/password-reset/reset".to_owned(), json!({ "token": IN_A_QUERY, "password": PASSWORD })),
        ("/api/v1/openid/auth_info".to_owned(), json!({ "type": "mfa", "state": IN_A_QUERY })),
        (
            "/api/v1/openid/callback".to_owned(),
            json!({ "type": "enrollment", "code": IN_A_QUERY, "state": IN_A_QUERY }),
        ),
        ("/api/v1/openid/callback/mfa".to_owned(), json!({ "type": "mfa", "code": IN_A_QUERY, "state": IN_A_QUERY })),
    ] {
        drop(referred.post(&path, &body).await);
    }
    for path in ["/", "/open-desktop", "/password-reset", "/openid/callback", "/api/v1/client-mfa/remote", "/api/v1/x"]
    {
        drop(referred.get(&format!("{path}?token={IN_A_QUERY}&code={IN_A_QUERY}")).await);
        drop(referred.get(&format!("{path}%3Ftoken={IN_A_QUERY}")).await);
    }
}

/// Every log of the cluster, by name.
fn logs(folder: &Path) -> Vec<(String, String)> {
    let paths = logs_in(&[folder, &folder.join("nginx")]).expect("the folder is readable");
    let read = |path: PathBuf| (path.display().to_string(), fs::read_to_string(&path).expect("a log is text"));
    paths.into_iter().map(read).collect()
}

/// Whether it stands there and is no part of a longer number, name or time.
fn holds_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '.') && !after.is_some_and(char::is_alphanumeric)
    })
}

impl Secrets {
    /// The lines of a private key but for the first, which looks alike in every key of this kind.
    fn pem(&mut self, key: &str) {
        self.texts.extend(key.lines().filter(|line| !line.starts_with("-----")).skip(1).map(str::to_owned));
    }

    /// As a program may print bytes by mistake: in base64, in hexadecimal of either case, or as a list of numbers.
    fn bytes(&mut self, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{bytes:?}");
        let list = list.trim_matches(['[', ']']).to_owned();
        self.texts.extend([STANDARD.encode(bytes), hex.to_uppercase(), hex, list]);
    }
}
