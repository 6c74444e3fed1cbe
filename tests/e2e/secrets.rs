//! No secret reaches any log, whatever goes wrong on its way.

use std::{fs, path::Path};

use postern_tests::{
    Client, Cluster,
    enrollment::{Enrollment, PASSWORD, public_key},
    programs::repository,
};
use serde_json::json;

const OPERATION: &str = "canary0operation0id";
const IN_A_QUERY: &str = "canary-token-in-a-query";
const IN_A_REFERRER: &str = "canary-token-in-a-referrer";

#[tokio::test]
async fn no_secret_reaches_a_log_of_edge_core_or_nginx() {
    let mut cluster = Cluster::start().await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let public = cluster.public();
    let enrollment = Enrollment::start(&public, &token).await.expect("start");
    let direct = enrollment.through(&cluster.edges[0].client().with_header("x-operation-id", OPERATION));
    let created = direct.create_device("laptop", &public_key().expect("a key")).await.expect("create_device");
    let polling = created.json().expect("JSON")["token"].as_str().expect("a polling token").to_owned();
    let weak = enrollment.activate_user("canary7").await.expect("activate_user with a weak password");
    assert_eq!(weak.status, 400, "{weak:?}");
    enrollment.activate_user(PASSWORD).await.expect("activate_user");
    use_everything(&public, &token, &polling).await;

    cluster.edges[1].process.kill().expect("kill edge-2");
    use_everything(&public, &token, &polling).await;
    cluster.core.kill().expect("kill core");
    use_everything(&public, &token, &polling).await;
    cluster.edges[0].process.kill().expect("kill edge-1");
    use_everything(&public, &token, &polling).await;

    let cookie = enrollment.cookie.split_once('=').expect("name=value").1;
    let secrets = [&*token, &*polling, cookie, PASSWORD, "canary7", OPERATION, IN_A_QUERY, IN_A_REFERRER];
    let logs = logs(cluster.folder());
    assert!(logs.len() >= 5, "logs of Core, two Edges and NGINX: {:?}", logs.iter().map(|(name, _)| name));
    for (name, text) in logs {
        for secret in secrets {
            assert!(!text.contains(secret), "{name} holds {secret}:\n{text}");
        }
    }
}

#[test]
fn the_shipped_error_log_is_at_crit() {
    let shipped = fs::read_to_string(repository().join("nginx/local/logs.conf")).expect("nginx/local/logs.conf");
    let error_logs: Vec<_> = shipped.lines().filter(|line| line.starts_with("error_log ")).collect();
    assert!(!error_logs.is_empty() && error_logs.iter().all(|line| line.ends_with(" crit;")), "{shipped}");
}

/// Calls with secrets at every place where clients put them; their answers do not matter here.
async fn use_everything(public: &Client, token: &str, polling: &str) {
    let referred = public.clone().with_header("referer", &format!("http://localhost/?token={IN_A_REFERRER}"));
    for (path, body) in [
        ("/api/v1/poll".to_owned(), json!({ "token": polling })),
        ("/api/v1/enrollment/start".to_owned(), json!({ "token": token })),
        (format!("/api/v1/enrollment/start?token={IN_A_QUERY}"), json!({ "token": token, "x": [1, 2] })),
        ("/api/v1/enrollment/activate_user".to_owned(), json!({ "password": PASSWORD })),
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
    let mut logs = Vec::new();
    for folder in [folder.to_path_buf(), folder.join("nginx")] {
        for entry in fs::read_dir(folder).expect("the folder is readable") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "log") {
                logs.push((path.display().to_string(), fs::read_to_string(&path).expect("a log is text")));
            }
        }
    }
    logs
}
