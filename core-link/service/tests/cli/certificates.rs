//! Commands about the certificate that Edges show to browsers.

use std::fs;

use postern_core_link::testing::{AcmeScript, StockEdge};
use postern_proto::rejection::Code;
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use crate::core::{Folder, code, error_of, until};

/// Chain and key of a certificate for one domain.
fn issue(domain: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![domain.to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn write(folder: &Folder, domain: &str) {
    let (chain, key) = issue(domain);
    fs::write(folder.path("chain.pem"), chain).unwrap();
    fs::write(folder.path("key.pem"), key).unwrap();
}

const SET: &str = "certificate set --cert chain.pem --key key.pem";

#[test]
fn a_certificate_is_set_shown_and_cleared_with_and_without_a_running_core() {
    let folder = Folder::new();
    folder.serve().terminate();
    write(&folder, "vpn.example.com");
    for running in [true, false] {
        let core = running.then(|| folder.serve());
        assert_eq!(folder.json("certificate show"), json!(null));

        let set = folder.json(SET);
        assert_eq!((&set["names"], &set["note"]), (&json!(["vpn.example.com"]), &json!(null)));
        let shown = folder.json("certificate show");
        assert_eq!((&shown["names"], &shown["ordered_for"]), (&json!(["vpn.example.com"]), &json!(null)));
        assert_eq!(shown["sha256"].as_str().unwrap().len(), 64);

        assert_eq!(folder.json("certificate clear"), json!({ "cleared": true }));
        assert_eq!(error_of(&folder.run("certificate clear --json")), "there is no certificate");
        drop(core);
    }
}

#[test]
fn what_cannot_be_used_is_named_and_changes_nothing() {
    let folder = Folder::new();
    let core = folder.serve();
    write(&folder, "other.example.com");
    let note = core.json(SET)["note"].as_str().unwrap().to_owned();
    assert!(note.contains("vpn.example.com, the host of public_url"), "{note}");

    fs::write(folder.path("key.pem"), issue("vpn.example.com").1).unwrap();
    let refused = core.run(&format!("{SET} --json"));
    assert_eq!(code(&refused), 1);
    assert!(error_of(&refused).contains("the key does not belong to the certificate"), "{}", error_of(&refused));

    for (content, reason) in [("no PEM", "no text in PEM"), (&"-".repeat(30_000), "more than 24576 bytes")] {
        fs::write(folder.path("key.pem"), content).unwrap();
        let wrong = core.run(SET);
        let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert_eq!(code(&wrong), 2, "{said}");
        assert!(said.contains(reason), "{said}");
    }
    assert_eq!(core.json("certificate show")["names"], json!(["other.example.com"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_says_how_far_it_is_and_a_failed_one_why() {
    let (folder, edge) = (Folder::new(), StockEdge::start().await);
    let core = folder.serve();
    let none = core.run("certificate order --domain vpn.example.com --json");
    assert!(error_of(&none).contains("no Edge is connected"), "{}", error_of(&none));
    core.json(&format!("edge add {} --name north", edge.address()));
    until("the Edge is connected", || core.json("edge list")[0]["state"] == "connected");

    let lines = vec!["the domain leads to 192.0.2.9".to_owned()];
    edge.script_acme(AcmeScript::Fails(lines, Code::FailedPrecondition, "domain check failed"));
    let failed = error_of(&core.run("certificate order --domain vpn.example.com --edge north --json"));
    assert!(failed.contains("domain check failed"), "{failed}");
    assert!(failed.contains("its log: the domain leads to 192.0.2.9"), "{failed}");

    let (chain, key) = issue("vpn.example.com");
    edge.script_acme(AcmeScript::Issues(chain, key, "account".to_owned()));
    let ordered = core.run("certificate order --domain vpn.example.com --json");
    assert_eq!(code(&ordered), 0, "{}", String::from_utf8_lossy(&ordered.stderr));
    assert_eq!(String::from_utf8_lossy(&ordered.stderr).lines().count(), 4, "one line for each step");
    let stored: serde_json::Value = serde_json::from_slice(&ordered.stdout).unwrap();
    assert_eq!(stored["names"], json!(["vpn.example.com"]));
    assert_eq!(core.json("certificate show")["ordered_for"], "vpn.example.com");
}
