//! What is known of a request the moment it arrives: its peer, its id, its deadline.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use postern_proto::limits::REQUEST_BUDGET;
use tokio::time::Instant;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static REQUEST_START: HeaderName = HeaderName::from_static("x-request-start");
const REQUEST_ID_MAX: usize = 64;

#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// The other end of the connection, in canonical form.
    pub(super) peer: IpAddr,
    /// The peer is a trusted proxy.
    pub(super) is_trusted: bool,
    /// When an answer has to be there.
    pub(super) deadline: Instant,
}

impl Arrival {
    pub(super) fn new(peer: IpAddr, is_trusted: bool, received: Instant, headers: &HeaderMap) -> Self {
        let start = if is_trusted { headers.get(&REQUEST_START) } else { None };
        let spent = start.map_or(Duration::ZERO, spent);
        Self { peer, is_trusted, deadline: received + REQUEST_BUDGET - spent }
    }

    pub(super) fn of(extensions: &Extensions) -> Self {
        *extensions.get().expect("the front puts it into every request")
    }
}

/// No client is left after this long, so an older start means that the proxy's clock differs from ours.
const START_AGE_MAX: Duration = Duration::from_secs(5);

/// How much of the budget was used before the request came here; nothing if that cannot be read or believed.
fn spent(start: &HeaderValue) -> Duration {
    let start = start.to_str().ok().and_then(unix_time);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let age = start.zip(now).and_then(|(start, now)| now.checked_sub(start)).unwrap_or_default();
    if age <= START_AGE_MAX {
        return age.min(REQUEST_BUDGET);
    }
    static REPORTED: AtomicBool = AtomicBool::new(false);
    if !REPORTED.swap(true, Ordering::Relaxed) {
        let seconds = age.as_secs();
        tracing::warn!(seconds, "the proxy's clock is behind ours, so its X-Request-Start is ignored; set both by NTP");
    }
    Duration::ZERO
}

/// NGINX's `$msec`: seconds, a point, three digits.
fn unix_time(text: &str) -> Option<Duration> {
    let (seconds, millis) = text.split_once('.')?;
    if millis.len() != 3 || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    Some(Duration::from_secs(seconds.parse().ok()?) + Duration::from_millis(millis.parse().ok()?))
}

/// Names a request in logs and replies. Worth nothing to who knows it.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    pub(super) fn to_header(&self) -> HeaderValue {
        self.0.clone()
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().expect("a request id is ASCII")
    }
}

/// Takes a trusted proxy's request ids, and makes the others: a random prefix for the process, and a count.
#[derive(Debug)]
pub(super) struct RequestIds {
    prefix: u32,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        Self { prefix: rand::random(), next: AtomicU64::new(1) }
    }

    pub(super) fn of(&self, is_trusted: bool, headers: &HeaderMap) -> RequestId {
        let given = if is_trusted { headers.get(&REQUEST_ID) } else { None };
        let given = given.filter(|id| is_well_formed(id.as_bytes()));
        RequestId(given.cloned().unwrap_or_else(|| self.make()))
    }

    fn make(&self) -> HeaderValue {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let number = (u128::from(self.prefix) << 64) | u128::from(count);
        let digit = |place: usize| DIGITS[(number >> (4 * (23 - place)) & 0xf) as usize];
        let text: [u8; 24] = std::array::from_fn(digit);
        HeaderValue::from_bytes(&text).expect("hexadecimal digits are fine in a header")
    }
}

fn is_well_formed(id: &[u8]) -> bool {
    let fits = (1..=REQUEST_ID_MAX).contains(&id.len());
    fits && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn left(is_trusted: bool, start: &str) -> Duration {
        let headers = HeaderMap::from_iter([("x-request-start".parse().unwrap(), start.parse().unwrap())]);
        let received = Instant::now();
        Arrival::new(PEER, is_trusted, received, &headers).deadline - received
    }

    fn seconds_ago(seconds: f64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        format!("{:.3}", now - seconds)
    }

    #[test]
    fn time_spent_in_the_proxy_counts() {
        let left = left(true, &seconds_ago(1.0));
        assert!((2.9..3.1).contains(&left.as_secs_f64()), "{left:?}");
    }

    #[test]
    fn a_start_from_another_clock_changes_nothing() {
        assert_eq!(left(true, &seconds_ago(60.0)), REQUEST_BUDGET);
        assert_eq!(left(true, &seconds_ago(-60.0)), REQUEST_BUDGET);
    }

    #[test]
    fn a_start_beyond_the_budget_leaves_nothing() {
        assert_eq!(left(true, &seconds_ago(4.5)), Duration::ZERO);
    }

    #[test]
    fn a_start_is_believed_from_trusted_proxies_only() {
        assert_eq!(left(false, &seconds_ago(1.0)), REQUEST_BUDGET);
    }

    #[test]
    fn a_start_that_cannot_be_read_changes_nothing() {
        for start in ["", "now", "1.5", "1e9.000", "-1.000", "1.000.000", "99999999999999999999999.000", "t=1.000"] {
            assert_eq!(left(true, start), REQUEST_BUDGET, "{start}");
        }
    }

    #[test]
    fn request_ids_are_taken_from_trusted_proxies_and_made_otherwise() {
        let ids = RequestIds::new();
        let given = |id: &str| HeaderMap::from_iter([("x-request-id".parse().unwrap(), id.parse().unwrap())]);
        assert_eq!(ids.of(true, &given("a-1_Z")).as_str(), "a-1_Z");
        assert_ne!(ids.of(false, &given("a-1_Z")).as_str(), "a-1_Z");
        for id in ["", "a b", "a\"b", &"x".repeat(65)] {
            assert_ne!(ids.of(true, &given(id)).as_str(), id);
        }
        assert_ne!(ids.make(), ids.make());
        assert_eq!(ids.make().len(), 24);
    }
}
