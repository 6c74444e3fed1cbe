//! The settings of mail, which only make sense together.

use std::path::PathBuf;

use super::{Layers, Mistake, Problem, parse};
use crate::{
    mail::{Credentials, Encryption, MailSettings, Sender, SmtpServer, Templates},
    person::is_email,
};

/// `Some(None)`: no mail server is set, and so no mail is sent.
pub(super) fn parse(layers: &mut Layers) -> Option<Option<MailSettings>> {
    for key in ["smtp_user", "smtp_password_file", "mail_from", "mail_templates", "mail_codes"] {
        layers.requires(key, "smtp_server");
    }
    layers.requires("smtp_server", "mail_from");
    layers.requires("smtp_user", "smtp_password_file");
    layers.requires("smtp_password_file", "smtp_user");
    let (templates_from, encryption_from) = (layers.origin("mail_templates"), layers.origin("smtp_encryption"));

    let server = layers.value("smtp_server", server);
    let encryption = layers.value("smtp_encryption", encryption);
    let user = layers.value("smtp_user", user);
    let password = layers.secret_value("smtp_password_file", parse::secret_file);
    let sender = layers.value("mail_from", sender);
    let folder = layers.value("mail_templates", folder);
    let codes = layers.value("mail_codes", parse::boolean);

    let templates = match Templates::load(folder?.as_deref()) {
        Ok(templates) => templates,
        Err(error) => {
            let problem = Problem::Unreadable { reason: error.to_string() };
            layers.mistakes.push(Mistake { key: "mail_templates".to_owned(), problem, origin: templates_from });
            return None;
        }
    };
    let (Some((host, port)), Some(sender)) = (server?, sender?) else { return Some(None) };
    let (encryption, user, password) = (encryption?, user?, password?);
    let credentials = user.zip(password).map(|(user, password)| Credentials { user, password });
    if credentials.is_some() && encryption == Encryption::None && !is_loopback(&host) {
        let reason = "would send the password in the clear; use tls or starttls".to_owned();
        let key = "smtp_encryption".to_owned();
        layers.mistakes.push(Mistake { key, problem: Problem::Conflict { reason }, origin: encryption_from });
    }
    let server = SmtpServer { host, port, encryption, credentials };
    Some(Some(MailSettings { server, sender, templates, codes: codes? }))
}

fn server(text: &str) -> Result<Option<(String, u16)>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    let expected = "a host with a port, as mail.example.com:465";
    let (host, port) = text.rsplit_once(':').ok_or(expected)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or(expected)?;
    if let Some(ip) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let ip: std::net::Ipv6Addr = ip.parse().map_err(|_| expected)?;
        return Ok(Some((ip.to_string(), port)));
    }
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    if is_host { Ok(Some((host.to_owned(), port))) } else { Err(expected) }
}

fn encryption(text: &str) -> Result<Encryption, &'static str> {
    match text {
        "tls" => Ok(Encryption::Tls),
        "starttls" => Ok(Encryption::StartTls),
        "none" => Ok(Encryption::None),
        _ => Err("tls, starttls or none"),
    }
}

fn user(text: &str) -> Result<Option<String>, &'static str> {
    if text.chars().any(char::is_control) {
        return Err("a name without control characters");
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn sender(text: &str) -> Result<Option<Sender>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    let expected = "a sender, as Acme VPN <vpn@example.com>";
    let (name, email) = text.strip_suffix('>').and_then(|text| text.split_once('<')).ok_or(expected)?;
    let (name, email) = (name.trim(), email.trim());
    if name.chars().any(char::is_control) || !is_email(email) {
        return Err(expected);
    }
    Sender::new(name, email).ok_or(expected).map(Some)
}

fn folder(text: &str) -> Result<Option<PathBuf>, &'static str> {
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use crate::{
        config::{Config, Flags},
        mail::MailUse,
    };

    fn load(settings: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let variables = settings.iter().map(|(key, value)| {
            (OsString::from(format!("POSTERN_CORE__{}", key.to_uppercase())), OsString::from(value))
        });
        Config::load(&Flags::new(), variables).map_err(|error| {
            error.mistakes.iter().map(|mistake| format!("{}: {}", mistake.key, mistake.problem)).collect()
        })
    }

    const FROM: (&str, &str) = ("mail_from", "Acme VPN <vpn@example.com>");

    #[test]
    fn without_a_server_there_is_no_mail() {
        let config = load(&[]).unwrap();
        assert_eq!((MailUse::of(config.mail.as_ref()), config.outbound_authorities.len()), (MailUse::Off, 0));
    }

    #[test]
    fn a_server_and_a_sender_are_enough() {
        let settings = load(&[("smtp_server", "mail.example.com:465"), FROM]).unwrap().mail.unwrap();
        assert_eq!((settings.server.host.as_str(), settings.server.port), ("mail.example.com", 465));
        assert_eq!(MailUse::of(Some(&settings)), MailUse::On);
        let settings = load(&[("smtp_server", "[::1]:25"), FROM, ("mail_codes", "true")]).unwrap().mail.unwrap();
        assert_eq!((settings.server.host.as_str(), MailUse::of(Some(&settings))), ("::1", MailUse::OnWithCodes));
    }

    #[test]
    fn half_of_a_group_is_one_mistake() {
        for (settings, mistake) in [
            (&[("smtp_server", "mail.example.com:465")][..], "smtp_server: needs mail_from as well"),
            (&[FROM], "mail_from: needs smtp_server as well"),
            (&[("mail_codes", "true")], "mail_codes: needs smtp_server as well"),
            (
                &[("smtp_server", "mail.example.com:465"), FROM, ("smtp_user", "core")],
                "smtp_user: needs smtp_password_file as well",
            ),
        ] {
            assert_eq!(load(settings).unwrap_err(), [mistake]);
        }
    }

    #[test]
    fn a_password_does_not_go_out_in_the_clear() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "secret\n").unwrap();
        let with = |server| {
            let file = file.to_str().unwrap();
            let login = [("smtp_user", "core"), ("smtp_password_file", file), ("smtp_encryption", "none")];
            load(&[&[("smtp_server", server), FROM][..], &login].concat())
        };
        let reason = "smtp_encryption: would send the password in the clear; use tls or starttls";
        assert_eq!(with("mail.example.com:25").unwrap_err(), [reason]);
        let server = with("localhost:25").unwrap().mail.unwrap().server;
        assert!(!format!("{server:?}").contains("secret"), "{server:?}");
        assert_eq!(server.credentials.unwrap().password.expose(), "secret");
    }

    #[test]
    fn what_is_no_server_or_sender_is_refused() {
        for text in ["mail.example.com", "mail.example.com:0", ":25", "a b:25", "[::1:25", "smtp://x:25", "x:99999"] {
            assert_eq!(load(&[("smtp_server", text), FROM]).unwrap_err().len(), 1, "{text}");
        }
        for text in ["vpn@example.com", "Acme <vpn>", "A\nB <vpn@example.com>", "<vpn@example.com> x"] {
            assert_eq!(load(&[("smtp_server", "x:25"), ("mail_from", text)]).unwrap_err().len(), 1, "{text}");
        }
    }
}
