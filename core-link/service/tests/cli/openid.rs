//! Commands about who people are at the OpenID provider.

use serde_json::json;

use crate::core::{Folder, code, error_of};

const PROVIDER: &str =
    "--openid-issuer https://id.example.com --openid-client-id postern --openid-client-secret-file secret";

#[test]
fn a_person_is_linked_and_unlinked_by_hand() {
    let folder = Folder::new();
    // From here on each command opens the store itself, under settings of its own.
    drop(folder.serve());
    std::fs::write(folder.path("secret"), "canary\n").unwrap();
    for login in ["joe", "ada"] {
        folder.json(&format!("user add {login} --email {login}@example.com"));
    }

    let refused = folder.run("user link joe 248289761001 --json");
    assert_eq!(error_of(&refused), "there is no OpenID provider; see the setting openid_issuer");
    let linked = folder.json(&format!("user link joe 248289761001 {PROVIDER}"));
    assert_eq!(linked, json!({ "login": "joe", "openid": true }));
    assert_eq!(folder.json("user list")[1]["openid"], true);

    for (login, subject) in [("joe", "another"), ("ada", "248289761001")] {
        let refused = folder.run(&format!("user link {login} {subject} {PROVIDER} --json"));
        assert_eq!(code(&refused), 1);
        let text = format!("{login} is linked already, or somebody else is to this identity");
        assert_eq!(error_of(&refused), text);
    }

    assert_eq!(folder.json("user unlink joe"), json!({ "login": "joe", "openid": false }));
    assert_eq!(folder.json("user list")[1]["openid"], false);
}

#[test]
fn half_of_a_provider_is_a_mistake_of_the_configuration() {
    let folder = Folder::new();
    let refused = folder.run("user list --openid-issuer https://id.example.com");
    assert_eq!(code(&refused), 78);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("openid_issuer: needs openid_client_id as well (flag --openid-issuer)"), "{told}");
    assert!(told.contains("openid_issuer: needs openid_client_secret_file as well"), "{told}");
}
