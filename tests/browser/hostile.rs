//! A page of another site, in the browser of a person who has a session here.

use postern_edge::testing::Answer;
use postern_proto::{
    client_types::InstanceInfoResponse,
    proxy::{CoreRequest, core_request::Payload, core_response},
};
use postern_tests::Client;
use serde_json::{Value, json};

use crate::{answers::right, site::Site, third_party::ThirdParty};

const ROUTES: [&str; 18] = [
    "poll",
    "enrollment/start",
    "enrollment/activate_user",
    "enrollment/create_device",
    "enrollment/network_info",
    "enrollment/register_mobile",
    "enrollment/register-mfa/code/start",
    "enrollment/register-mfa/code/finish",
    "password-reset/request",
    "password-reset/start",
    "password-reset/reset",
    "client-mfa/start",
    "client-mfa/finish",
    "client-mfa/finish-remote",
    "openid/auth_info",
    "openid/callback",
    "openid/callback/mfa",
    "posture/connect",
];

/// Every way in which a page can make a browser send something; `window.done` when all of it is over.
fn attack(edge: &str) -> String {
    let routes = serde_json::to_string(&ROUTES).expect("texts");
    format!(
        r#"<!doctype html><title>evil</title><body><script>
const body = '{{"token":"t","email":"a@b","method":0,"location_id":1,"pubkey":"k","name":"n","type":"mfa","password":"p","code":"1","x":"';
const loaded = (element, how) => new Promise((done) => {{
    element.onload = element.onerror = done;
    document.body.append(element);
    how?.();
}});
function form(url, number) {{
    const frame = document.createElement("iframe");
    frame.name = "f" + number;
    const form = document.createElement("form");
    Object.assign(form, {{ method: "post", enctype: "text/plain", action: url, target: frame.name }});
    const input = document.createElement("input");
    [input.name, input.value] = [body, '"}}'];
    form.append(input);
    document.body.append(form);
    return loaded(frame, () => form.submit());
}}
const json = {{ "content-type": "application/json" }};
const text = {{ "content-type": "text/plain" }};
const all = {routes}.flatMap((route, number) => {{
    const url = "{edge}/api/v1/" + route;
    const image = new Image();
    image.src = url + "?token=t";
    const send = (mode, headers) =>
        fetch(url, {{ method: "POST", mode, headers, credentials: "include", body: body + '"}}' }});
    navigator.sendBeacon(url, new Blob([body + '"}}'], {{ type: "text/plain" }}));
    return [form(url, number), send("no-cors", text), send("cors", json), send("cors", text), loaded(image)];
}});
all.push(new Promise((done) => {{
    const socket = new WebSocket("{socket}/api/v1/client-mfa/remote?token=t");
    socket.onopen = socket.onerror = done;
}}));
const read = fetch("{edge}/api/v1/info").then((r) => r.text()).then(() => (window.read = true), () => {{}});
const framed = document.createElement("iframe");
framed.src = "{edge}/password-reset?token=t";
all.push(read, loaded(framed));
Promise.allSettled(all).then(() => (window.done = true));
</script>"#,
        socket = edge.replacen("http", "ws", 1),
    )
}

#[tokio::test]
async fn reaches_nothing_reads_nothing_and_frames_nothing() {
    let site = Site::start(answers).await;
    site.open("/").await;
    let begun = post_from_page(&site, "password-reset/start", r#"{"token":"t"}"#).await;
    assert_eq!(begun, json!(200), "the person has a session");
    let before = site.asked().await.len();
    let evil = ThirdParty::start(&attack(&site.origin)).await;
    site.browser.open(&evil.origin).await.expect("the hostile page opens");
    site.browser.until("return window.done === true").await.expect("the attack ends");

    let asked = site.asked().await.split_off(before);
    assert!(asked.is_empty(), "{} requests reached Core: {asked:?}", asked.len());
    assert_eq!(site.browser.run("return window.read === true").await.expect("a verdict"), json!(false));
    let sent = site.calls().await;
    assert!(sent.iter().filter(|sent| sent.method == "POST").count() > ROUTES.len() * 3, "{sent:?}");
    let complaints = site.browser.complaints().await.expect("the browser's log").join("\n");
    assert!(complaints.contains("frame"), "the page was framed: {complaints}");

    // The same body from a program is taken, and so is what a page of this site sends with the session.
    let reply = Client::new(site.http).post("/api/v1/poll", &json!({ "token": "t" })).await.expect("a reply");
    assert_eq!(reply.status, 200);
    site.open("/").await;
    let ended = post_from_page(&site, "password-reset/reset", r#"{"password":"p"}"#).await;
    assert_eq!(ended, json!(200), "the session was there all the time");
}

/// The status that the page which is open gets.
async fn post_from_page(site: &Site, route: &str, body: &str) -> Value {
    let script = format!(
        "return fetch('/api/v1/{route}', {{method: 'POST', headers: {{'content-type': 'application/json'}}, \
         body: '{body}'}}).then(r => r.status)"
    );
    site.browser.run(&script).await.expect("a status")
}

/// Whatever arrives has been counted already.
fn answers(request: &CoreRequest) -> Answer {
    if matches!(request.payload, Some(Payload::PasswordResetStart(_) | Payload::PasswordReset(_))) {
        return right(request);
    }
    Answer::Reply(core_response::Payload::InstanceInfo(InstanceInfoResponse { device_config: None }))
}
