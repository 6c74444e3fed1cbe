//! Three ways to keep a cookie: a browser's store, `dg`'s store, and the mobile app's jar by host.

use std::collections::BTreeMap;

use http::{Uri, header::SET_COOKIE};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use crate::Reply;

/// RFC 6265 as far as one host needs it: path, `Secure`, `Max-Age`, `Expires`.
#[derive(Debug, Clone, Default)]
pub struct Store(Vec<Cookie>);

#[derive(Debug, Clone)]
struct Cookie {
    host: String,
    name: String,
    value: String,
    path: String,
    is_secure: bool,
    is_http_only: bool,
    expires: Option<OffsetDateTime>,
}

/// Keeps names and values for each host, and looks at no attribute.
#[derive(Debug, Clone, Default)]
pub struct JarByHost(BTreeMap<String, BTreeMap<String, String>>);

impl Store {
    pub fn keep(&mut self, url: &str, reply: &Reply) {
        for line in lines(reply) {
            let Some(cookie) = Cookie::read(&host(url), &line) else { continue };
            self.0.retain(|known| !known.is_same(&cookie));
            if !cookie.has_expired() {
                self.0.push(cookie);
            }
        }
    }

    /// The `Cookie` header for this URL.
    pub fn header(&self, url: &str) -> Option<String> {
        let uri: Uri = url.parse().ok()?;
        let fits = |cookie: &&Cookie| {
            cookie.host == host(url)
                && cookie.covers(uri.path())
                && !cookie.has_expired()
                && (!cookie.is_secure || uri.scheme_str() == Some("https"))
        };
        let pairs: Vec<_> =
            self.0.iter().filter(fits).map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Values of all cookies that are held, whichever path they belong to.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|cookie| cookie.value.as_str())
    }

    pub fn holds(&self, name: &str) -> bool {
        self.0.iter().any(|cookie| cookie.name == name && !cookie.has_expired())
    }

    /// Whether a script on the page could read one.
    pub fn has_readable(&self) -> bool {
        self.0.iter().any(|cookie| !cookie.is_http_only)
    }
}

impl JarByHost {
    pub fn keep(&mut self, url: &str, reply: &Reply) {
        for line in lines(reply) {
            let pair = line.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.0.entry(host(url)).or_default().insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
    }

    pub fn header(&self, url: &str) -> Option<String> {
        let pairs: Vec<_> = self.0.get(&host(url))?.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

impl Cookie {
    fn read(host: &str, line: &str) -> Option<Self> {
        let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair.split_once('=')?;
        let mut cookie = Self {
            host: host.to_owned(),
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            path: "/".to_owned(),
            is_secure: false,
            is_http_only: false,
            expires: None,
        };
        let mut max_age = None;
        for attribute in attributes.split(';') {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match key.trim().to_ascii_lowercase().as_str() {
                "path" => cookie.path = value.trim().to_owned(),
                "secure" => cookie.is_secure = true,
                "httponly" => cookie.is_http_only = true,
                "expires" => cookie.expires = OffsetDateTime::parse(value.trim(), &Rfc2822).ok(),
                "max-age" => max_age = value.trim().parse::<i64>().ok(),
                _ => {}
            }
        }
        if let Some(seconds) = max_age {
            cookie.expires = Some(OffsetDateTime::now_utc() + time::Duration::seconds(seconds));
        }
        Some(cookie)
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.host, &self.name, &self.path) == (&other.host, &other.name, &other.path)
    }

    fn covers(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path.as_str());
        rest.is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'))
    }

    fn has_expired(&self) -> bool {
        self.expires.is_some_and(|at| at <= OffsetDateTime::now_utc())
    }
}

fn lines(reply: &Reply) -> Vec<String> {
    reply.headers.get_all(SET_COOKIE).iter().filter_map(|line| Some(line.to_str().ok()?.to_owned())).collect()
}

/// Cookies know no ports.
fn host(url: &str) -> String {
    url.parse::<Uri>().ok().and_then(|uri| Some(uri.host()?.to_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    const SET: &str = "defguard_proxy=AQID; Path=/api/v1/enrollment; HttpOnly; SameSite=Strict; \
                       Expires=Fri, 20 Nov 2099 09:00:00 GMT";
    const START: &str = "http://127.0.0.1:8080/api/v1/enrollment/start";

    fn reply(line: &'static str) -> Reply {
        let headers = HeaderMap::from_iter([(SET_COOKIE, http::HeaderValue::from_static(line))]);
        Reply { status: 200, headers, body: Bytes::new(), took: std::time::Duration::ZERO }
    }

    #[test]
    fn a_store_sends_a_cookie_below_its_path_and_nowhere_else() {
        let mut store = Store::default();
        store.keep(START, &reply(SET));
        let at = |path: &str| store.header(&format!("http://127.0.0.1:9090{path}"));
        assert_eq!(at("/api/v1/enrollment/create_device").as_deref(), Some("defguard_proxy=AQID"));
        assert_eq!((at("/api/v1/enrollments"), at("/api/v1/poll")), (None, None));
        assert_eq!(store.header("http://127.0.0.2/api/v1/enrollment/start"), None);
    }

    #[test]
    fn a_removal_removes_only_under_the_same_path() {
        let mut store = Store::default();
        store.keep(START, &reply(SET));
        store.keep(START, &reply("defguard_proxy=; Path=/; Max-Age=0"));
        assert!(store.holds("defguard_proxy"));
        store.keep(START, &reply("defguard_proxy=; Path=/api/v1/enrollment; Max-Age=0"));
        assert!(!store.holds("defguard_proxy"));
    }

    #[test]
    fn a_secure_cookie_is_lost_over_plain_http() {
        let mut store = Store::default();
        store.keep(START, &reply("defguard_proxy=AQID; Path=/; Secure"));
        assert_eq!(store.header(START), None);
        assert!(store.header("https://127.0.0.1/").is_some());
    }

    #[test]
    fn the_jar_by_host_ignores_every_attribute() {
        let mut jar = JarByHost::default();
        jar.keep(START, &reply("defguard_proxy=AQID; Path=/nowhere; Secure; Max-Age=0"));
        assert_eq!(jar.header("http://127.0.0.1/x").as_deref(), Some("defguard_proxy=AQID"));
        assert_eq!(jar.header("http://127.0.0.2/x"), None);
    }
}
