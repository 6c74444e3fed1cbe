//! Sessions in sealed cookies: any Edge that holds the key opens what any other sealed.
//!
//! A cookie is a pure function of token, deadline and key, so a replayed reply sets the same session.
//! Without a key there is no jar, and the request is answered with 503.

mod cookies;
mod seal;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderValue, request::Parts},
};
use time::OffsetDateTime;

use self::seal::Sealed;
use super::{App, error::ApiError};
use crate::{config::PublicUrl, tunnel::push::KeyRing};

/// One kind of session. The names are part of the API: desktop clients look for them.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) cookie: &'static str,
    pub(super) path: &'static str,
}

pub(super) const ENROLLMENT: Flow = Flow { cookie: "defguard_proxy", path: "/api/v1/enrollment" };
pub(super) const PASSWORD_RESET: Flow =
    Flow { cookie: "defguard_proxy_password_reset", path: "/api/v1/password-reset" };
/// The two halves of one login at a provider.
pub(super) const OPENID_NONCE: Flow = Flow { cookie: "nonce_proxy", path: "/api/v1/openid/callback" };
pub(super) const OPENID_CSRF: Flow = Flow { cookie: "csrf_proxy", path: "/api/v1/openid/callback" };

/// A login at a provider is over after a day in any case; Core forgets it far sooner.
const LOGIN_SECONDS: i64 = 86_400;

/// Core's token for a session. Never printed.
pub(super) struct Token(String);

impl Token {
    pub(super) fn into_inner(self) -> String {
        self.0
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// Absent, tampered with, sealed with a key nobody holds, or of another flow: there is no telling.
    #[error("no cookie that opens")]
    Missing,
    #[error("the session is over")]
    Expired,
    #[error("the login was begun in another browser, or is not its newest")]
    OtherBrowser,
}

/// Opens the request's cookies, and seals new ones.
pub(super) struct SessionJar {
    ring: Arc<KeyRing>,
    public_url: PublicUrl,
    received: Vec<HeaderValue>,
}

impl<S> FromRequestParts<S> for SessionJar
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let app = App::from_ref(state);
        let ring = app.session_keys().current().ok_or(ApiError::NoSessionKey)?;
        Ok(Self { ring, public_url: app.public_url(), received: cookies::lines(&parts.headers) })
    }
}

impl SessionJar {
    /// The session's token. Cookies that open two sessions open none: one of them was put there by somebody else.
    pub(super) fn open(&self, flow: &Flow) -> Result<Token, SessionError> {
        let (now, mut expired) = (unix_now(), false);
        let values = cookies::named(&self.received, flow.cookie);
        let opened = values.filter_map(|value| seal::open(&self.ring, flow.cookie, value));
        let mut live = opened.filter(|Sealed { deadline, .. }| {
            expired |= *deadline <= now;
            *deadline > now
        });
        let first = live.next();
        let is_ambiguous = first.as_ref().is_some_and(|first| live.any(|other| other.token != first.token));
        match first {
            Some(Sealed { token, .. }) if !is_ambiguous => Ok(Token(token)),
            None if expired => Err(SessionError::Expired),
            Some(_) | None => Err(SessionError::Missing),
        }
    }

    /// A `Set-Cookie` value that holds the token until the deadline. `None` when the deadline is no date.
    pub(super) fn seal(&self, flow: &Flow, token: &str, deadline: i64) -> Option<HeaderValue> {
        let expires = http_date(deadline)?;
        let value = seal::seal(&self.ring, flow.cookie, token, deadline);
        Some(self.set_cookie(flow, &value, &format!("Expires={expires}")))
    }

    /// The same for a login at a provider, which has no deadline of Core's.
    pub(super) fn seal_for_login(&self, flow: &Flow, token: &str) -> HeaderValue {
        let value = seal::seal(&self.ring, flow.cookie, token, unix_now() + LOGIN_SECONDS);
        self.set_cookie(flow, &value, &format!("Max-Age={LOGIN_SECONDS}"))
    }

    /// A `Set-Cookie` value that ends the session in the client.
    pub(super) fn removal(&self, flow: &Flow) -> HeaderValue {
        self.set_cookie(flow, "", "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0")
    }

    fn set_cookie(&self, flow: &Flow, value: &str, end: &str) -> HeaderValue {
        let secure = match self.public_url {
            PublicUrl::Https => "; Secure",
            PublicUrl::Http => "",
        };
        let Flow { cookie, path } = flow;
        let text = format!("{cookie}={value}; Path={path}; HttpOnly; SameSite=Strict{secure}; {end}");
        HeaderValue::try_from(text).expect("names, base64 and dates are fine in a header")
    }
}

fn unix_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// `Fri, 20 Nov 2026 09:00:00 GMT`, for years that have four digits.
fn http_date(unix_seconds: i64) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp(unix_seconds).ok().filter(|at| (1..=9999).contains(&at.year()))?;
    let weekday = &at.weekday().to_string()[..3];
    let month = &at.month().to_string()[..3];
    let (day, year, hour, minute, second) = (at.day(), at.year(), at.hour(), at.minute(), at.second());
    Some(format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tunnel::{CoreSource, push::SessionKeys};

    const IN_2100: i64 = 4_102_444_800;

    fn jar(public_url: PublicUrl, cookies: &[&str]) -> SessionJar {
        let keys = SessionKeys::default();
        keys.add_key(&CoreSource::Stock, &[7; 64]).unwrap();
        let received = cookies.iter().map(|line| HeaderValue::from_str(line).unwrap()).collect();
        SessionJar { ring: keys.current().unwrap(), public_url, received }
    }

    fn sealed(flow: &Flow, deadline: i64) -> String {
        jar(PublicUrl::Https, &[]).seal(flow, "token", deadline).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_session_cookie_has_the_attributes_that_clients_know() {
        let cookie = sealed(&ENROLLMENT, 1_763_629_200);
        assert!(cookie.starts_with("defguard_proxy="));
        let attributes = cookie.split_once(';').unwrap().1;
        let expected =
            " Path=/api/v1/enrollment; HttpOnly; SameSite=Strict; Secure; Expires=Thu, 20 Nov 2025 09:00:00 GMT";
        assert_eq!(attributes, expected);
        let plain = jar(PublicUrl::Http, &[]).removal(&ENROLLMENT);
        assert!(
            plain
                .to_str()
                .unwrap()
                .starts_with("defguard_proxy=; Path=/api/v1/enrollment; HttpOnly; SameSite=Strict; Exp")
        );
    }

    #[test]
    fn a_cookie_opens_also_as_a_whole_set_cookie_line_and_among_others() {
        let line = sealed(&ENROLLMENT, IN_2100);
        let noise = format!("x=y; defguard_proxy=bad; {line}");
        for cookie in [&line, &noise] {
            let token = jar(PublicUrl::Https, &[cookie]).open(&ENROLLMENT).ok().unwrap();
            assert_eq!(token.into_inner(), "token");
        }
    }

    #[test]
    fn missing_removed_foreign_and_expired_cookies_open_no_session() {
        let (expired, foreign) = (sealed(&ENROLLMENT, 1), sealed(&PASSWORD_RESET, IN_2100));
        let renamed = foreign.replace("defguard_proxy_password_reset=", "defguard_proxy=");
        let removed = jar(PublicUrl::Https, &[]).removal(&ENROLLMENT).to_str().unwrap().to_owned();
        for cookie in ["", "a=b", &foreign, &renamed, &removed] {
            let opened = jar(PublicUrl::Https, &[cookie]).open(&ENROLLMENT);
            assert!(matches!(opened, Err(SessionError::Missing)), "{cookie}");
        }
        assert!(matches!(jar(PublicUrl::Https, &[&expired]).open(&ENROLLMENT), Err(SessionError::Expired)));
    }

    #[test]
    fn cookies_of_two_sessions_open_neither() {
        let (mine, again) = (sealed(&ENROLLMENT, IN_2100), sealed(&ENROLLMENT, IN_2100 + 1));
        let planted = jar(PublicUrl::Https, &[]).seal(&ENROLLMENT, "planted", IN_2100).unwrap();
        let planted = planted.to_str().unwrap();
        for cookies in [[planted, &mine], [&mine, planted]] {
            let joined = cookies.join("; ");
            for jar in [jar(PublicUrl::Https, &cookies), jar(PublicUrl::Https, &[&joined])] {
                assert!(matches!(jar.open(&ENROLLMENT), Err(SessionError::Missing)));
            }
        }
        let expired = jar(PublicUrl::Https, &[]).seal(&ENROLLMENT, "other", 1).unwrap();
        for cookies in [[&*mine, &*again], [&*mine, expired.to_str().unwrap()], [expired.to_str().unwrap(), &mine]] {
            assert_eq!(jar(PublicUrl::Https, &cookies).open(&ENROLLMENT).ok().unwrap().into_inner(), "token");
        }
    }

    #[test]
    fn a_deadline_that_is_no_date_seals_nothing() {
        for deadline in [i64::MIN, i64::MAX, 253_402_300_800] {
            assert!(jar(PublicUrl::Https, &[]).seal(&ENROLLMENT, "token", deadline).is_none());
        }
        assert_eq!(http_date(0).unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
