//! The `Cookie` header, also when a client sends a whole `Set-Cookie` line back.

use axum::http::{HeaderMap, HeaderValue, header};

/// The request's `Cookie` lines.
pub(super) fn lines(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers.get_all(header::COOKIE).into_iter().cloned().collect()
}

/// Values of all cookies with this name, in order. Attributes of a `Set-Cookie` line are just other names, and the
/// comma in its date does not separate anything.
pub(super) fn named<'a>(lines: &'a [HeaderValue], name: &'a str) -> impl Iterator<Item = &'a str> {
    // Pair by pair: another site's cookie on the same host may hold any bytes.
    let pairs = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| std::str::from_utf8(pair).ok()).filter_map(move |pair| {
        let (found, value) = pair.split_once('=')?;
        (found.trim() == name).then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &'static str) -> Vec<String> {
        let lines = [HeaderValue::from_static(line)];
        named(&lines, "defguard_proxy").map(str::to_owned).collect()
    }

    #[test]
    fn a_whole_set_cookie_line_is_a_cookie_too() {
        let line = "defguard_proxy=AQID; Path=/api/v1/enrollment; HttpOnly; SameSite=Strict; Secure; \
                    Expires=Fri, 20 Nov 2026 09:00:00 GMT";
        assert_eq!(found(line), ["AQID"]);
    }

    #[test]
    fn only_the_exact_name_counts() {
        assert_eq!(found("a=b; defguard_proxy_password_reset=x;defguard_proxy=y"), ["y"]);
        assert_eq!(found("xdefguard_proxy=x; defguard_proxy; Defguard_Proxy=x"), [""; 0]);
        assert_eq!(found("defguard_proxy=\"one\"; defguard_proxy=two"), ["one", "two"]);
    }

    #[test]
    fn bytes_in_other_cookies_do_no_harm() {
        let lines = [HeaderValue::from_bytes(b"a=\xff; n\xc3\xa4me=b; defguard_proxy=x").unwrap()];
        assert_eq!(named(&lines, "defguard_proxy").collect::<Vec<_>>(), ["x"]);
    }
}
