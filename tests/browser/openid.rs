//! To the identity provider and back.

use postern_proto::proxy::core_request::Payload;
use serde_json::Value;

use crate::{
    answers::{CODE, STATE, right, with_provider},
    site::Site,
    third_party::ThirdParty,
};

/// A query as a provider that follows the standard writes it.
const ENCODED: &str = "state=Pz8%2FPj4%2B.%2Ba%2Fb%2Bc%3D%3D&code=4%2F0AX4%2Bcode&iss=x";
/// The same from one that leaves what base64 is made of as it is.
const BARE: &str = "code=4/0AX4+code&state=Pz8/Pj4+.+a/b+c==";

#[tokio::test]
async fn a_login_goes_to_the_provider_and_comes_back_whole() {
    for query in [ENCODED, BARE] {
        let provider = ThirdParty::start("").await;
        let site = Site::start(with_provider(format!("{}/authorize?x=1", provider.origin))).await;
        site.open("/openid/mfa?token=mfa-token").await;
        let visit = provider.visit("/authorize?x=1").await;
        assert!(!visit.to_lowercase().contains("referer") && !visit.contains("mfa-token"), "{visit}");

        come_back(&site, &format!("/openid/mfa/callback?{query}")).await;
        let said = site.browser.shown("#done").await.expect("a word");
        assert!(said.contains("return to your app"), "{said}");
        assert_eq!(site.browser.location().await.expect("an address"), format!("{}/openid/mfa/callback", site.origin));
        let asked = site.asked().await;
        let [Payload::AuthInfo(info), Payload::ClientMfaOidcAuthenticate(finish)] = &asked[..] else {
            panic!("{asked:?}")
        };
        assert_eq!(info.state.as_deref(), Some("mfa-token"));
        assert_eq!((finish.code.as_str(), finish.state.as_str(), finish.nonce.as_str()), (CODE, STATE, "nonce"));
        site.no_complaints().await;
    }
}

#[tokio::test]
async fn an_enrollment_ends_with_a_token_for_the_client() {
    let provider = ThirdParty::start("").await;
    let site = Site::start(with_provider(format!("{}/authorize", provider.origin))).await;
    site.open("/").await;
    site.browser.click("#sign-in").await.expect("click");
    provider.visit("/authorize").await;

    come_back(&site, &format!("/openid/callback?{ENCODED}")).await;
    assert_eq!(site.browser.shown("#shown-token").await.expect("a token"), "enrollment-token");
    assert_eq!(site.browser.shown("#url").await.expect("an address"), "https://vpn.example.org/");
    let asked = site.asked().await;
    let [Payload::AuthInfo(_), Payload::AuthCallback(callback)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(callback.code, CODE);
    site.no_complaints().await;
}

#[tokio::test]
async fn success_is_shown_on_success_only() {
    let site = Site::start(right).await;
    for (path, said) in [
        // Another browser's cookies, or none.
        (format!("/openid/mfa/callback?{ENCODED}"), "Reference for support"),
        (format!("/openid/callback?{ENCODED}"), "Reference for support"),
        ("/openid/mfa/callback".to_owned(), "opened by your identity provider only"),
        ("/openid/mfa/callback?code=a".to_owned(), "opened by your identity provider only"),
        ("/openid/mfa/callback?code=a&state=%zz".to_owned(), "opened by your identity provider only"),
        (
            format!("/openid/callback?error=server_error&error_description=%3Cscript%3E+{}&{ENCODED}", "x".repeat(900)),
            "The identity provider says: <script> xxx",
        ),
    ] {
        site.open(&path).await;
        let shown = site.browser.shown("#problem").await.expect(&path);
        assert!(shown.contains(said) && shown.len() < 400, "{path}: {shown}");
        assert!(site.browser.is_shown("#failed").await.expect(&path));
        let success =
            site.browser.run("return [...document.querySelectorAll('#done, #ready')].every(e => e.hidden)").await;
        assert_eq!(success.expect(&path), true);
    }
    assert!(site.asked().await.is_empty());
}

#[tokio::test]
async fn an_address_that_is_none_of_the_web_is_never_followed() {
    for url in
        ["javascript:document.title='owned'", "data:text/html,<title>owned</title>", "//evil.example.org/", "\\\\evil"]
    {
        let site = Site::start(with_provider(url.to_owned())).await;
        site.open("/openid/mfa?token=mfa-token").await;
        let said = site.browser.shown("#problem").await.expect(url);
        assert!(said.contains("The address of the identity provider is not valid"), "{url}: {said}");
        assert_eq!(site.browser.location().await.expect(url), format!("{}/openid/mfa", site.origin));
        assert_eq!(site.browser.run("return document.title").await.expect(url), "Sign in");
    }
}

/// What must never become an address to go to.
const BAD: [&str; 32] = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    "javascript://vpn.example.org/%0aalert(1)",
    "javascript%3Aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD4=",
    "vbscript:msgbox(1)",
    "blob:https://vpn.example.org/1",
    "filesystem:https://vpn.example.org/1",
    "file:///etc/passwd",
    "ftp://evil.example.org/",
    "ws://evil.example.org/",
    "about:blank",
    "view-source:https://evil.example.org/",
    "defguard://addinstance?token=a",
    "intent://evil#Intent;end",
    "//evil.example.org/",
    "///evil.example.org/",
    "/\\evil.example.org/",
    "\\\\evil.example.org/",
    "/%2f/evil.example.org",
    "evil.example.org",
    "https:evil.example.org",
    "https:/evil.example.org",
    "https:///evil.example.org",
    "https:\\\\evil.example.org",
    "https://vpn.example.org@evil.example.org/",
    "https://vpn.example.org:x@evil.example.org/",
    "https://vpn.example.org\\@evil.example.org/",
    "https\u{ff1a}//evil.example.org/",
];
/// What hides one from a check that is not the browser's own.
const HIDING: [(&str, &str); 16] = [
    ("", ""),
    (" ", ""),
    ("\t", ""),
    ("\n", ""),
    ("\r\n", ""),
    ("\u{0}", ""),
    ("\u{1}", ""),
    ("\u{1f}", ""),
    ("\u{a0}", ""),
    ("\u{feff}", ""),
    ("\u{200b}", ""),
    ("", " "),
    ("", "\n"),
    ("", "#https://vpn.example.org/"),
    ("", "?https://vpn.example.org/"),
    ("%09", ""),
];

#[tokio::test]
async fn the_corpus_of_addresses_is_refused_and_right_ones_pass() {
    let site = Site::start(right).await;
    site.open("/").await;
    let corpus: Vec<_> =
        BAD.iter().flat_map(|bad| HIDING.iter().map(move |(before, after)| format!("{before}{bad}{after}"))).collect();
    assert!(corpus.len() >= 500, "{}", corpus.len());
    let judged = judge(&site, &corpus).await;
    for (given, judged) in corpus.iter().zip(&judged) {
        assert_eq!(judged, &Value::Null, "{given:?}");
    }
    let good = ["https://idp.example.org/authorize?a=b&c=%2B", "http://127.0.0.1:8080/x", "HTTPS://idp.example.org/"];
    let expected = [good[0], good[1], "https://idp.example.org/"];
    assert_eq!(judge(&site, &good.map(str::to_owned)).await, expected);
    for odd in ["null", "undefined", "5", "{}", "['https://idp.example.org/']"] {
        let script = format!("return import('/assets/web-address.js').then(m => m.webAddress({odd}))");
        assert_eq!(site.browser.run(&script).await.expect(odd), Value::Null);
    }
}

async fn judge(site: &Site, given: &[String]) -> Vec<Value> {
    let list = serde_json::to_string(given).expect("texts");
    let script = format!("return import('/assets/web-address.js').then(m => {list}.map(g => m.webAddress(g)))");
    site.browser.run(&script).await.expect("a verdict").as_array().expect("a list").clone()
}

/// A provider sends the browser back: a navigation from another site.
async fn come_back(site: &Site, path: &str) {
    let script = format!("location.href = '{}{path}'", site.origin);
    site.browser.run(&script).await.expect("the way back");
}
