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
    pub(crate) fields: &'static [(&'static str, &'static str, Need)],
    pub(crate) in_session: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
}
use Need::{Optional, Required};

pub(crate) const ROUTES: [Route; 9] = [
    Route { path: "/api/v1/poll", fields: &[("token", r#""t""#, Required)], in_session: false },
    Route { path: "/api/v1/enrollment/start", fields: &[("token", r#""t""#, Required)], in_session: false },
    Route {
        path: "/api/v1/enrollment/create_device",
        fields: &[("name", r#""laptop""#, Required), ("pubkey", r#""k=""#, Required)],
        in_session: true,
    },
    Route {
        path: "/api/v1/enrollment/activate_user",
        fields: &[("phone_number", r#""+1""#, Optional), ("password", r#""s3cret""#, Required)],
        in_session: true,
    },
    Route { path: "/api/v1/enrollment/network_info", fields: &[("pubkey", r#""k=""#, Required)], in_session: true },
    Route {
        path: "/api/v1/enrollment/register-mfa/code/start",
        fields: &[("method", r#""Totp""#, Required)],
        in_session: true,
    },
    Route {
        path: "/api/v1/enrollment/register-mfa/code/finish",
        fields: &[("code", r#""123456""#, Required), ("method", r#""Totp""#, Required)],
        in_session: true,
    },
    Route {
        path: "/api/v1/client-mfa/start",
        fields: &[("location_id", "1", Required), ("pubkey", r#""k=""#, Required), ("method", "0", Required)],
        in_session: false,
    },
    Route {
        path: "/api/v1/client-mfa/finish",
        fields: &[
            ("token", r#""t""#, Required),
            ("code", r#""123456""#, Optional),
            ("auth_pub_key", r#""k=""#, Optional),
        ],
        in_session: false,
    },
];

impl Route {
    /// A right body.
    pub(crate) fn body(&self) -> String {
        self.body_with("", "")
    }

    /// A right body, with this value for one field and everything else as it should be. No field has an empty name.
    pub(crate) fn body_with(&self, name: &str, value: &str) -> String {
        let right = |&(field, right, _): &(&str, &'static str, Need)| {
            format!(r#""{field}":{}"#, if field == name { value } else { right })
        };
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
    pub(crate) cookie: String,
    answers: Arc<Mutex<Answers>>,
}

type Answers = Box<dyn Fn(&CoreRequest) -> Answer + Send>;

impl Open {
    pub(crate) async fn new(setting: Setting) -> Self {
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(right)));
        let current = Arc::clone(&answers);
        let (site, tunnel) = Site::connected(setting, move |request| (current.lock().unwrap())(request)).await;
        let started = site.post("/api/v1/enrollment/start", r#"{"token":"session"}"#).await;
        let cookie = pair(&started);
        Self { site, tunnel, cookie, answers }
    }

    /// From now on Core answers like this.
    pub(crate) fn answer(&self, answers: impl Fn(&CoreRequest) -> Answer + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }

    /// Asks as a client does, with the session's cookie where the route needs one.
    pub(crate) async fn ask(&self, route: &Route, body: &str) -> Reply {
        let cookie = if route.in_session { self.cookie.as_str() } else { "" };
        self.ask_with(route, cookie, body).await
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
