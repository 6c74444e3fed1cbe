//! Whether an authority could give a certificate for a name at all.
//!
//! Nothing is looked up: what counts is where the authority's resolvers lead, not ours behind a firewall, and to ask a
//! public resolver would tell a third party about it. The authority says what it found.

/// RFC 1035, without the dot at the end.
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// A name such as `vpn.example.org`, in lower case; international ones in their ASCII form.
pub(super) fn parse(text: &str) -> Option<String> {
    let name = text.to_ascii_lowercase();
    let labels: Vec<&str> = name.split('.').collect();
    // Of digits alone it would be an address.
    let is_named = labels.last().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()));
    let is_fit = name.len() <= NAME_MAX && labels.len() >= 2 && is_named && labels.iter().all(|label| is_label(label));
    is_fit.then_some(name)
}

fn is_label(label: &str) -> bool {
    let is_plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (1..=LABEL_MAX).contains(&label.len()) && is_plain && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_an_authority_may_certify_are_taken() {
        for (text, name) in [("vpn.example.org", "vpn.example.org"), ("XN--bcher-KVA.example", "xn--bcher-kva.example")]
        {
            assert_eq!(parse(text).as_deref(), Some(name));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let (long_label, long_name) = (format!("{}.org", "a".repeat(64)), format!("{}org", "abc.".repeat(64)));
        for text in [
            "",
            ".",
            "localhost",
            "192.0.2.1",
            "[::1]",
            "*.example.org",
            "a..b",
            "-a.org",
            "a-.org",
            "a_b.org",
            "vpn.example.org.",
            "vpn.example.org:443",
            "vpn.example.org/x",
            "bücher.example",
            "a b.org",
            &long_label,
            &long_name,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
