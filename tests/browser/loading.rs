//! Every page loads whole, complains about nothing, and forgets what it was opened with.

use http::{Method, StatusCode};
use postern_tests::Client;
use serde_json::json;

use crate::{answers::right, site::Site, third_party::ThirdParty};

/// Each path, and a text that only its page has.
const PAGES: [(&str, &str); 18] = [
    ("/", "Set up your VPN client"),
    ("/?token=canary", "Open the desktop app"),
    ("/open-desktop?token=canary", "Open the desktop app"),
    ("//open-desktop?token=canary", "Open the desktop app"),
    ("/enrollment-start?token=canary", "Open the desktop app"),
    ("/download", "Set up your VPN client"),
    ("/client-setup", "Set up your VPN client"),
    ("/password", "Send me a link"),
    ("/password/sent", "Look into your inbox"),
    ("/password-reset", "Open the link from the mail again"),
    ("/password/finish", "Password changed"),
    ("/openid/mfa", "Start the connection again"),
    ("/openid/mfa/callback?error=access_denied&error_description=No+%3Cb%3Eway", "No <b>way"),
    ("/openid/callback?error=access_denied", "access_denied"),
    ("/openid/error", "Sign-in failed"),
    ("/link-invalid", "This link is not valid"),
    ("/session-end", "Your session has ended"),
    ("/server-warning", "Not available"),
];

#[tokio::test]
async fn each_page_loads_without_a_complaint_and_leaves_no_query_behind() {
    let site = Site::start(right).await;
    for (path, text) in PAGES {
        site.open(path).await;
        let shown = site.browser.shown("main").await.expect(path);
        assert!(shown.contains(text), "{path}: {shown}");
        let clean = path.split('?').next().expect("a path");
        assert_eq!(site.browser.location().await.expect(path), format!("{}{clean}", site.origin));
        let policy =
            site.browser.run("return document.querySelectorAll('[style],style,script:not([src])').length").await;
        assert_eq!(policy.expect(path), json!(0), "{path}");
    }
    site.no_complaints().await;
    assert_eq!(site.calls().await, []);
}

#[tokio::test]
async fn a_token_stays_in_neither_the_history_nor_a_referrer() {
    let site = Site::start(right).await;
    let elsewhere = ThirdParty::start("").await;
    site.open("/open-desktop?token=canary-token").await;
    site.browser.shown("#open").await.expect("the page");

    let link = format!(
        "const a = document.createElement('a'); a.href = '{}/landing'; document.body.append(a); a.click();",
        elsewhere.origin
    );
    site.browser.run(&link).await.expect("a link to elsewhere");
    let visit = elsewhere.visit("/landing").await;
    assert!(!visit.to_lowercase().contains("referer"), "{visit}");

    site.browser.back().await.expect("back");
    site.browser.shown("main").await.expect("the page");
    assert_eq!(site.browser.location().await.expect("an address"), format!("{}/open-desktop", site.origin));
    site.browser.reload().await.expect("reload");
    site.browser.shown("#token").await.expect("the page asks for a token again");
    let stored =
        site.browser.run("return JSON.stringify([history.state, {...localStorage}, {...sessionStorage}])").await;
    assert_eq!(stored.expect("what is stored"), json!("[null,{},{}]"));
}

#[tokio::test]
async fn an_address_that_does_not_exist_is_a_page_that_does_not_repeat_it() {
    let site = Site::start(right).await;
    site.open("/nowhere/%3Cscript%3Ealert(1)%3C/script%3E?canary").await;
    assert!(site.browser.shown("main").await.expect("a page").contains("There is nothing at this address"));
    let source = site.browser.run("return document.documentElement.outerHTML").await.expect("the page").to_string();
    assert!(!source.contains("nowhere") && !source.contains("canary") && !source.contains("alert(1)"), "{source}");

    let program = Client::new(site.http).get("/nowhere").await.expect("an answer");
    assert_eq!((program.status, program.header("content-type")), (404, "application/json"));
    let browser = Client::new(site.http).with_header("accept", "text/html,*/*;q=0.8");
    let page = browser.send(Method::GET, "/nowhere", bytes::Bytes::new()).await.expect("an answer");
    assert_eq!(
        (page.status, page.header("content-type")),
        (StatusCode::NOT_FOUND.as_u16(), "text/html; charset=utf-8")
    );
}

#[tokio::test]
async fn pages_can_be_used_on_a_narrow_screen_and_by_keyboard() {
    let site = Site::start(right).await;
    for (width, height) in [(360, 740), (1280, 800)] {
        site.browser.resize(width, height).await.expect("resize");
        for (path, _) in PAGES {
            site.open(path).await;
            let wider = site.browser.run("return document.documentElement.scrollWidth > window.innerWidth").await;
            assert_eq!(wider.expect(path), json!(false), "{path} at {width}");
        }
    }
    site.open("/").await;
    site.browser.type_into("#token", " typed-token \u{e007}").await.expect("type");
    site.browser.shown("#open").await.expect("Enter sends the form");
    let unnamed = "return [...document.querySelectorAll('input,button,output,a')].filter(e => \
                   !(e.labels?.length || e.ariaLabel || e.textContent.trim() || e.getAttribute('aria-labelledby'))).length";
    assert_eq!(site.browser.run(unnamed).await.expect("a count"), json!(0));
}
