//! Every route that takes JSON, as one table, so that what holds for all of them is asked of each.

use std::sync::{Arc, Mutex};

use postern_edge::testing::{Answer, FakeTunnel};
use postern_proto::proxy::{CoreRequest, core_request};

use crate::{
    answers::right,
    harness::{Reply, Setting, Site},
};

pub(crate) struct Route {
    pub(crate) path: &'static str,
    /// Each field with a right value, and whether it must be there.
    pub(crate) fields: &'static [Field],
    /// Whose cookies it needs.
    pub(crate) session: Option<Session>,
}

type Field = (&'static str, &'static str, Need);

/// A kind of session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Session {
    Enrollment,
    PasswordReset,
    /// At an identity provider: two cookies.
    Login,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
}
use Need::{Optional, Required};

pub(crate) const ROUTES: [Route; 18] = [
    Route::open("/api/v1/poll", &[("token", r#""t""#, Required)]),
    Route::open("/api/v1/enrollment/start", &[("token", r#""t""#, Required)]),
    Route::within(
        Session::Enrollment,
        "/api/v1/enrollment/create_device",
        &[("name", r#""laptop""#, Required), ("pubkey", r#""k=""#, Required)],
    ),
    Route::within(
        Session::Enrollment,
        "/api/v1/enrollment/activate_user",
        &[("phone_number", r#""+1""#, Optional), ("password", r#""s3cret""#, Required)],
    ),
    Route::within(Session::Enrollment, "/api/v1/enrollment/network_info", &[("pubkey", r#""k=""#, Required)]),
    Route::within(
        Session::Enrollment,
        "/api/v1/enrollment/register-mfa/code/start",
        &[("method", r#""Totp""#, Required)],
    ),
    Route::within(
        Session::Enrollment,
        "/api/v1/enrollment/register-mfa/code/finish",
        &[("code", r#""123456""#, Required), ("method", r#""Totp""#, Required)],
    ),
    Route::within(
        Session::Enrollment,
        REGISTER_MOBILE,
        &[("auth_pub_key", KEY, Required), ("device_pub_key", KEY, Required)],
    ),
    Route::open("/api/v1/password-reset/request", &[("email", r#""joe@ex.org""#, Required)]),
    Route::open("/api/v1/password-reset/start", &[("token", r#""t""#, Required)]),
    Route::within(Session::PasswordReset, "/api/v1/password-reset/reset", &[("password", r#""s3cret""#, Required)]),
    Route::open(
        "/api/v1/client-mfa/start",
        &[
            ("location_id", "1", Required),
            ("pubkey", r#""k=""#, Required),
            ("method", "0", Required),
            ("posture_data", POSTURE, Optional),
        ],
    ),
    Route::open(
        "/api/v1/client-mfa/finish",
        &[("token", r#""t""#, Required), ("code", r#""123456""#, Optional), ("auth_pub_key", r#""k=""#, Optional)],
    ),
    Route::open(
        "/api/v1/client-mfa/finish-remote",
        &[("token", r#""t""#, Required), ("code", r#""123456""#, Optional), ("auth_pub_key", r#""k=""#, Optional)],
    ),
    Route::open("/api/v1/openid/auth_info", &[("type", r#""mfa""#, Required), ("state", r#""t""#, Optional)]),
    Route::within(
        Session::Login,
        "/api/v1/openid/callback",
        &[("code", r#""c""#, Required), ("state", STATE, Required), ("type", r#""enrollment""#, Required)],
    ),
    Route::within(
        Session::Login,
        "/api/v1/openid/callback/mfa",
        &[("code", r#""c""#, Required), ("state", STATE, Required), ("type", r#""mfa""#, Required)],
    ),
    Route::open(
        "/api/v1/posture/connect",
        &[("location_id", "1", Required), ("pubkey", r#""k=""#, Required), ("device_posture_data", POSTURE, Optional)],
    ),
];

/// Where a missing cookie is 400 instead of 401.
pub(crate) const REGISTER_MOBILE: &str = "/api/v1/enrollment/register_mobile";
/// 32 bytes.
const KEY: &str = r#""AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=""#;
/// What the answer to `auth_info` sealed into a cookie.
const STATE: &str = r#""csrf""#;
const POSTURE: &str =
    r#"{"defguard_client_version":"2.1.0","os_type":"linux","os_name":{"result":{"Value":"Ubuntu"}}}"#;

impl Route {
    const fn open(path: &'static str, fields: &'static [Field]) -> Self {
        Self { path, fields, session: None }
    }

    const fn within(session: Session, path: &'static str, fields: &'static [Field]) -> Self {
        Self { path, fields, session: Some(session) }
    }

    /// A right body.
    pub(crate) fn body(&self) -> String {
        self.body_with("", "")
    }

    /// A right body, with this value for one field and everything else as it should be. No field has an empty name.
    pub(crate) fn body_with(&self, name: &str, value: &str) -> String {
        let right = |&(field, right, _): &Field| format!(r#""{field}":{}"#, if field == name { value } else { right });
        format!("{{{}}}", self.fields.iter().map(right).collect::<Vec<_>>().join(","))
    }

    /// A right body without one field.
    pub(crate) fn body_without(&self, name: &str) -> String {
        let present = self.fields.iter().filter(|(field, ..)| *field != name);
        let present: Vec<_> = present.map(|(field, value, _)| format!(r#""{field}":{value}"#)).collect();
        format!("{{{}}}", present.join(","))
    }
}

/// An Edge with a Core, and an open session.
pub(crate) struct Open {
    pub(crate) site: Site,
    pub(crate) tunnel: FakeTunnel,
    /// Of the enrollment.
    pub(crate) cookie: String,
    pub(crate) reset_cookie: String,
    /// Both, as a browser sends them.
    pub(crate) login_cookies: String,
    answers: Arc<Mutex<Answers>>,
}

type Answers = Box<dyn Fn(&CoreRequest) -> Answer + Send>;

impl Open {
    pub(crate) async fn new(setting: Setting) -> Self {
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(right)));
        let current = Arc::clone(&answers);
        let (site, tunnel) = Site::connected(setting, move |request| (current.lock().unwrap())(request)).await;
        let started = site.post("/api/v1/enrollment/start", r#"{"token":"session"}"#).await;
        let reset = site.post("/api/v1/password-reset/start", r#"{"token":"reset"}"#).await;
        let login = site.post("/api/v1/openid/auth_info", r#"{"type":"mfa","state":"t"}"#).await;
        let (cookie, reset_cookie, login_cookies) = (pair(&started), pair(&reset), pairs(&login).join("; "));
        Self { site, tunnel, cookie, reset_cookie, login_cookies, answers }
    }

    /// Cookies of a session.
    pub(crate) fn cookies(&self, session: Session) -> &str {
        match session {
            Session::Enrollment => &self.cookie,
            Session::PasswordReset => &self.reset_cookie,
            Session::Login => &self.login_cookies,
        }
    }

    /// Everything that a browser with all three sessions could send.
    pub(crate) fn all_cookies(&self) -> String {
        [self.cookie.as_str(), &self.reset_cookie, &self.login_cookies].join("; ")
    }

    /// From now on Core answers like this.
    pub(crate) fn answer(&self, answers: impl Fn(&CoreRequest) -> Answer + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }

    /// Asks as a client does, with the session's cookie where the route needs one.
    pub(crate) async fn ask(&self, route: &Route, body: &str) -> Reply {
        let cookies = route.session.map(|session| self.cookies(session)).unwrap_or_default();
        self.ask_with(route, cookies, body).await
    }

    /// The same with another cookie.
    pub(crate) async fn ask_with(&self, route: &Route, cookie: &str, body: &str) -> Reply {
        with_cookie(&self.site, route.path, cookie, body).await
    }

    /// The latest request that reached Core.
    pub(crate) async fn latest(&self) -> core_request::Payload {
        self.tunnel.requests(1).await.pop().unwrap().payload.unwrap()
    }
}

pub(crate) async fn with_cookie(site: &Site, path: &str, cookie: &str, body: &str) -> Reply {
    let cookie = if cookie.is_empty() { String::new() } else { format!("cookie: {cookie}\r\n") };
    site.post_with(path, &format!("content-type: application/json\r\n{cookie}"), body).await
}

/// Name and value of the cookie that was set.
pub(crate) fn pair(reply: &Reply) -> String {
    reply.header("set-cookie").unwrap().split_once(';').unwrap().0.to_owned()
}

/// The same of several.
pub(crate) fn pairs(reply: &Reply) -> Vec<String> {
    reply.all("set-cookie").map(|cookie| cookie.split_once(';').unwrap().0.to_owned()).collect()
}

#[test]
fn the_table_has_every_route_that_takes_json() {
    let router = include_str!("../../src/http.rs");
    let mut served: Vec<_> = router
        .lines()
        .filter_map(|line| line.trim().strip_prefix(".route(\"")?.split_once("\", post("))
        .map(|(path, _)| path)
        .collect();
    let mut listed: Vec<_> = ROUTES.iter().map(|route| route.path).collect();
    served.sort_unstable();
    listed.sort_unstable();
    assert_eq!(served, listed);
}
