//! What cannot be served is refused, named once in the log, and leaves the old certificate where it is; what nobody knows
//! here is counted.

use postern_edge::testing::eventually;
use postern_proto::proxy::{HttpsCerts, core_response::Payload};

use crate::{
    certificates::{WebAuthority, leaf},
    client,
    program::Program,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_is_refused_and_the_old_one_stays() {
    let authority = WebAuthority::new();
    let good = authority.issue();
    let (edge, tunnel, _core) = Program::serving(&good, &[]).await;
    let wrong = wrong(&authority, &good);
    for (certificate, reason) in &wrong {
        tunnel.push(Payload::HttpsCerts(certificate.clone())).await;
        // As a stock Core does with each new tunnel.
        tunnel.push(Payload::HttpsCerts(certificate.clone())).await;
        eventually(reason, || edge.log_lines(reason) == 1).await;
    }
    let stream = client::connect(edge.https, authority.roots()).await.unwrap();
    assert_eq!(client::shown(&stream), leaf(&good));
    let counted = format!("postern_edge_pushes_refused_total {}", 2 * wrong.len());
    assert!(edge.metrics().await.contains(&counted), "{}", edge.metrics().await);
    let log = edge.log();
    assert_eq!(edge.log_lines("refused the web certificate"), wrong.len(), "{log}");
    for secret in good.key_pem.lines().chain(wrong.iter().flat_map(|(certificate, _)| certificate.key_pem.lines())) {
        assert!(secret.len() < 20 || secret.starts_with("-----") || !log.contains(secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_edge_does_not_know_is_counted_and_harms_nobody() {
    let (edge, tunnel, _core) = Program::connected(&[]).await;
    // A push of field 1999, which some later Core may send; and a message that is no push at all.
    for message in [&[0xfa, 0x7c, 0x01, 0x00][..], &[]] {
        tunnel.send(message.to_vec().into()).await;
    }
    // Refused after the others, so they have been read.
    tunnel.push(Payload::HttpsCerts(HttpsCerts::default())).await;
    edge.wait_for_log("refused the web certificate").await;
    let metrics = edge.metrics().await;
    assert!(metrics.contains("postern_edge_pushes_ignored_total 2"), "{metrics}");
    assert_eq!(client::get(edge.http, "/readyz").await.status, 200);
}

/// Each with what the log says of it.
fn wrong(authority: &WebAuthority, good: &HttpsCerts) -> Vec<(HttpsCerts, &'static str)> {
    let with_certificate = |cert_pem: String| HttpsCerts { cert_pem, ..good.clone() };
    let with_key = |key_pem: String| HttpsCerts { key_pem, ..good.clone() };
    let garbage = "-----BEGIN CERTIFICATE-----\nAAECAwQ=\n-----END CERTIFICATE-----\n";
    vec![
        (HttpsCerts::default(), "there is no certificate in it"),
        (with_key(String::new()), "there is no private key in it"),
        (with_key(authority.issue().key_pem), "the key cannot be used with the certificate"),
        (with_certificate(garbage.to_owned()), "certificate 1 of the chain cannot be read"),
        (with_certificate(good.cert_pem.clone() + garbage), "certificate 3 of the chain cannot be read"),
        (with_certificate(good.cert_pem.repeat(6)), "the chain has more than 10 certificates"),
        (with_certificate(good.cert_pem.clone() + &"\n".repeat(70_000)), "more than 65536"),
        (authority.issue_expired(), "the certificate expired on"),
        (authority.issue_for_clients(), "the certificate is not one for servers"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_breaks_or_carriage_returns_in_a_pem_do_not_matter() {
    let authority = WebAuthority::new();
    let good = authority.issue();
    let text = |text: &str| format!("uploaded by hand\r\n{}\r\n", text.replace('\n', "\r\n"));
    let certificate = HttpsCerts { cert_pem: text(&good.cert_pem), key_pem: text(&good.key_pem) };
    let (edge, _tunnel, _core) = Program::serving(&certificate, &[]).await;
    let stream = client::connect(edge.https, authority.roots()).await.unwrap();
    assert_eq!(client::shown(&stream), leaf(&good));
}
