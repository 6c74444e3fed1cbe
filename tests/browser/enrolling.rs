//! From a token to the client that uses it.

use crate::{answers::right, site::Site};

#[tokio::test]
async fn the_link_of_a_mail_offers_the_app_and_every_way_by_hand() {
    let site = Site::start(right).await;
    site.open("//open-desktop?token=abc%2Bd%2F%3D%26x").await;
    site.browser.shown("#open").await.expect("the button");

    let href = site.browser.run("return document.getElementById('open').href").await.expect("a link");
    let url = format!("{}/", site.origin);
    let encoded = url.replace(':', "%3A").replace('/', "%2F");
    assert_eq!(href, format!("defguard://addinstance?token=abc%2Bd%2F%3D%26x&url={encoded}"));
    assert_eq!(site.browser.shown("#url").await.expect("the URL"), url);
    assert_eq!(site.browser.shown("#shown-token").await.expect("the token"), "abc+d/=&x");
    let command = site.browser.shown("#command").await.expect("the command");
    assert_eq!(command, format!("dg enroll -u {url} -t 'abc+d/=&x'"));
    // Starting is the client's part.
    assert_eq!(site.asked().await.len(), 0);
}

#[tokio::test]
async fn a_token_that_is_typed_in_does_the_same() {
    let site = Site::start(right).await;
    site.open("/").await;
    site.browser.type_into("#token", "  typed-token ").await.expect("type");
    site.browser.click("#token-form button").await.expect("click");
    assert_eq!(site.browser.shown("#shown-token").await.expect("the token"), "typed-token");
    assert_eq!(site.browser.location().await.expect("an address"), format!("{}/", site.origin));
    site.no_complaints().await;
}

#[tokio::test]
async fn a_token_is_text_whatever_is_in_it() {
    let site = Site::start(right).await;
    site.open("/?token=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E'%22%24(id)").await;
    let shown = site.browser.shown("#shown-token").await.expect("the token");
    assert_eq!(shown, "<img src=x onerror=alert(1)>'\"$(id)");
    assert_eq!(
        site.browser.shown("#command").await.expect("the command"),
        format!("dg enroll -u {}/ -t '<img src=x onerror=alert(1)>'\\''\"$(id)'", site.origin)
    );
    assert_eq!(site.browser.run("return document.images.length").await.expect("a count"), 0);
    site.no_complaints().await;
}
