//! Turns the text of each setting into its value, or says what was expected.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use postern_core_link::Zone;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    instance::AdminContact,
    posture::Policy,
    secret::Secret,
    telemetry::{LogFormat, LogLevel},
};

/// A path longer than this does not fit into a socket address.
const SOCKET_PATH_MAX: usize = 107;

/// Nobody waits longer for a program to stop.
const DURATION_MAX: Duration = Duration::from_hours(1);

/// NIST SP 800-63B wants a second factor again within a day.
const AUTHORISATION_MAX: Duration = Duration::from_hours(24);
const AUTHORISATION_MIN: Duration = Duration::from_mins(1);

/// Clients get it with each enrollment; a few screens of text fit.
const TEXT_MAX: usize = 8192;

/// No write for the group and nothing for others, as for the master key.
const SECRET_MODE_FORBIDDEN: u32 = 0o027;

pub(super) fn path(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() { Err("a file") } else { Ok(PathBuf::from(text)) }
}

/// The content of a file with a secret, in one line. No name: there is none.
pub(super) fn secret_file(text: &str) -> Result<Option<Secret>, &'static str> {
    if text.is_empty() { Ok(None) } else { read_line(text).map(Some) }
}

/// The same, and nobody else may read the file.
pub(super) fn private_secret_file(text: &str) -> Result<Option<Secret>, &'static str> {
    if text.is_empty() { Ok(None) } else { read_secret(text).map(Some) }
}

/// A secret in one line of a file that nobody else may read; a group may, which is how systemd hands out credentials.
pub(crate) fn read_secret(file: &str) -> Result<Secret, &'static str> {
    let mode = std::fs::metadata(file).map_or(0, |file| file.permissions().mode());
    if mode & SECRET_MODE_FORBIDDEN != 0 {
        return Err("a file that nobody else may read; make it 600");
    }
    read_line(file)
}

fn read_line(file: &str) -> Result<Secret, &'static str> {
    let content = std::fs::read_to_string(file).map(Secret::new).map_err(|_| "a file that can be read")?;
    let secret = content.expose().trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.chars().any(char::is_control) {
        return Err("a file with a secret in one line");
    }
    Ok(Secret::new(secret.to_owned()))
}

/// Certificates in PEM. No name: there are none.
pub(super) fn authorities(text: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let expected = "a file with certificates in PEM";
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(text).map_err(|_| expected)?.collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(expected)
}

pub(super) fn socket(text: &str) -> Result<PathBuf, &'static str> {
    if text.len() > SOCKET_PATH_MAX || Path::new(text).file_name().is_none() {
        return Err("a path for a socket, of at most 107 bytes");
    }
    path(text)
}

pub(super) fn loopback(text: &str) -> Result<SocketAddr, &'static str> {
    let expected = "a loopback address with a port, as 127.0.0.1:9465";
    let address: SocketAddr = text.parse().map_err(|_| expected)?;
    if address.ip().is_loopback() { Ok(address) } else { Err(expected) }
}

/// Ends with a slash, as clients expect it.
pub(super) fn public_url(text: &str) -> Result<String, &'static str> {
    let expected = "an address, as https://vpn.example.com/";
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or(expected)?;
    let host = rest.split('/').next().unwrap_or_default();
    let printable = rest.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@' | b'"'));
    if host.is_empty() || !printable {
        return Err(expected);
    }
    Ok(format!("{}/", text.trim_end_matches('/')))
}

pub(super) fn name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.chars().count() > 64 || text.chars().any(char::is_control) {
        return Err("a name of 1 to 64 characters");
    }
    Ok(text.to_owned())
}

/// Nothing written means none.
pub(super) fn zone(text: &str) -> Result<Option<Zone>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| "1 to 64 visible ASCII characters, or nothing")
}

pub(super) fn admin_contact(text: &str) -> Result<AdminContact, &'static str> {
    let expected = "a contact, as Jo Doe <jo@example.com>, +44 20 7946 0000";
    let (name, rest) = text.split_once('<').ok_or(expected)?;
    let (email, rest) = rest.split_once('>').ok_or(expected)?;
    let (name, email) = (name.trim(), email.trim());
    let phone = match rest.trim() {
        "" => None,
        rest => Some(rest.strip_prefix(',').map(str::trim).filter(|phone| !phone.is_empty()).ok_or(expected)?),
    };
    if name.is_empty() || text.chars().any(char::is_control) || !email.contains('@') || email.contains(' ') {
        return Err(expected);
    }
    Ok(AdminContact { name: name.to_owned(), email: email.to_owned(), phone: phone.map(str::to_owned) })
}

pub(super) fn parallel(text: &str) -> Result<NonZeroUsize, &'static str> {
    if text == "cores" {
        return Ok(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    }
    let expected = "a number from 1 to 1024, or cores";
    text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= 1024).ok_or(expected)
}

/// Bounded, so that adding it to a point in time cannot overflow.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    let expected = "a duration of at most 1h, as 90s or 10m";
    humantime::parse_duration(text).ok().filter(|duration| *duration <= DURATION_MAX).ok_or(expected)
}

pub(super) fn posture(text: &str) -> Result<Policy, &'static str> {
    match text {
        "off" => Ok(Policy::Off),
        "report" => Ok(Policy::Report),
        _ => Err("off or report"),
    }
}

pub(super) fn authorisation_lifetime(text: &str) -> Result<Duration, &'static str> {
    let allowed = AUTHORISATION_MIN..=AUTHORISATION_MAX;
    humantime::parse_duration(text).ok().filter(|time| allowed.contains(time)).ok_or("a duration from 1m to 24h")
}

pub(super) fn text(text: &str) -> Result<String, &'static str> {
    let is_text = text.len() <= TEXT_MAX && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
    if is_text { Ok(text.to_owned()) } else { Err("a text of at most 8192 bytes without control characters") }
}

pub(super) fn boolean(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "true or false")
}

pub(super) fn log_level(text: &str) -> Result<LogLevel, &'static str> {
    LogLevel::ALL.into_iter().find(|level| level.name() == text).ok_or("error, warn, info, debug or trace")
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, &'static str> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_ends_with_one_slash() {
        assert_eq!(public_url("https://vpn.example.com").unwrap(), "https://vpn.example.com/");
        assert_eq!(public_url("http://127.0.0.1:8080//").unwrap(), "http://127.0.0.1:8080/");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "vpn.example.com", "https://", "https:///x", "ftp://x/", "https://a b/", "https://x/?q=1"] {
            assert!(public_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_contact_has_a_name_a_mail_address_and_perhaps_a_phone() {
        let contact = admin_contact("Jo Doe <jo@example.com>, +44 20").unwrap();
        assert_eq!(contact.phone.as_deref(), Some("+44 20"));
        assert_eq!(admin_contact("Jo <jo@example.com>").unwrap().phone, None);
        for text in ["", "Jo", "jo@example.com", "Jo <jo>", "<jo@example.com>", "Jo <jo@x> +44", "Jo <jo@x>,"] {
            assert!(admin_contact(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_has_an_end() {
        assert_eq!(duration("1h"), Ok(Duration::from_hours(1)));
        for text in ["", "5", "-1s", "61m", "300000000000years"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_authorisation_lasts_for_a_day_at_most() {
        assert_eq!(authorisation_lifetime("24h"), Ok(Duration::from_hours(24)));
        for text in ["", "0s", "59s", "24h1s", "forever"] {
            assert!(authorisation_lifetime(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_text_may_have_lines_and_an_end() {
        assert_eq!(text("Welcome.\n\nBye.").unwrap(), "Welcome.\n\nBye.");
        assert!(text("bell\u{7}").is_err());
        assert!(text(&"x".repeat(TEXT_MAX + 1)).is_err());
    }

    #[test]
    fn metrics_are_for_loopback_only() {
        assert!(loopback("[::1]:9465").is_ok());
        for text in ["0.0.0.0:9465", "10.0.0.1:9465", "localhost:9465", "127.0.0.1"] {
            assert!(loopback(text).is_err(), "{text}");
        }
    }
}
