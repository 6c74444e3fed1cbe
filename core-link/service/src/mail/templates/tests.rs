//! What becomes of a template, and which ones are refused.

use super::*;
use crate::{clock::Timestamp, secret::Secret};

fn house() -> House {
    House {
        name: "Acme VPN".to_owned(),
        public_url: "https://vpn.example.org/".to_owned(),
        admin: AdminContact { name: "Ada Admin".to_owned(), email: "admin@example.org".to_owned(), phone: None },
    }
}

fn content(first_name: &str, message: Message) -> Content {
    let (to, login) = ("joe@example.org".to_owned(), "joe".to_owned());
    Content { to, login, first_name: first_name.to_owned(), message }
}

fn reset() -> Message {
    let token = Secret::new("t".repeat(32));
    Message::PasswordReset { token, valid_until: Timestamp::from_unix(1_795_000_000) }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn mistake(name: &str, text: &str) -> String {
    let folder = folder(&[(name, text)]);
    let error = Templates::load(Some(folder.path())).unwrap_err().to_string();
    error.replace(&folder.path().display().to_string(), "FOLDER")
}

#[test]
fn a_reset_links_to_the_public_url_in_both_forms() {
    let words = Templates::load(None).unwrap().render(&house(), &content("Joe", reset())).unwrap();
    assert_eq!(words.subject, "Choose a new password for Acme VPN");
    let link = format!("https://vpn.example.org/password-reset?token={}", "t".repeat(32));
    assert!(words.plain.starts_with("Hello Joe,\n"), "{}", words.plain);
    assert!(words.plain.contains(&link), "{}", words.plain);
    assert!(words.plain.contains("until 2026-11-18 11:06 UTC"), "{}", words.plain);
    assert!(words.html.replace("&#x2f;", "/").contains(&format!("href=\"{link}\"")), "{}", words.html);
}

#[test]
fn an_invitation_prints_address_and_token_for_typing() {
    let token = Secret::new("t".repeat(32));
    let message = Message::Invitation { token, valid_until: Timestamp::from_unix(0) };
    let words = Templates::load(None).unwrap().render(&house(), &content("", message)).unwrap();
    assert!(words.plain.starts_with("Hello,\n"), "{}", words.plain);
    for part in ["https://vpn.example.org/open-desktop?token=tt", "URL    https://vpn.example.org/\n", "Token  tttt"] {
        assert!(words.plain.contains(part), "{part}: {}", words.plain);
    }
}

#[test]
fn names_are_text_and_never_markup_or_a_template() {
    let hostile = "<img src=x onerror=alert(1)>{{ 7*7 }}\"'&";
    let words = Templates::load(None).unwrap().render(&house(), &content(hostile, reset())).unwrap();
    assert!(!words.html.contains("<img"), "{}", words.html);
    assert!(words.html.contains("&lt;img"), "{}", words.html);
    assert!(words.plain.contains(hostile) && !words.plain.contains("49"), "{}", words.plain);
}

#[test]
fn no_value_adds_a_header() {
    let hostile = House { name: "Acme\r\nBcc: everybody@example.org\r\n\r\nhello".to_owned(), ..house() };
    let words = Templates::load(None).unwrap().render(&hostile, &content("Joe", reset())).unwrap();
    assert!(!words.subject.contains(['\r', '\n']), "{:?}", words.subject);
}

#[test]
fn a_file_of_an_administrator_replaces_one_built_in_file() {
    let folder = folder(&[("mail_code.txt", "Subject: {{ code }}\n\nCode {{ code }}\n"), ("README", "not a template")]);
    let templates = Templates::load(Some(folder.path())).unwrap();
    let message = Message::MailCode { code: Secret::new("123456".to_owned()), valid_until: Timestamp::from_unix(0) };
    let words = templates.render(&house(), &content("Joe", message)).unwrap();
    assert_eq!((words.subject.as_str(), words.plain.as_str()), ("123456", "Code 123456\n"));
    assert!(words.html.contains("<b>123456</b>"), "the built-in one: {}", words.html);
}

#[test]
fn a_mistake_is_named_with_its_file_and_line() {
    let broken = "Subject: x\n\nHello {{ first_name\n";
    assert!(
        mistake("invitation.txt", broken).starts_with("invitation.txt, line 3: "),
        "{}",
        mistake("invitation.txt", broken)
    );
    let unknown = mistake("password_reset.html", "<p>\n<p>{{ tokn }}</p>\n");
    assert!(unknown.starts_with("password_reset.html, line 2: a value that this mail does not have"), "{unknown}");
    assert_eq!(mistake("mail_code.txt", "Hello\n\ntext"), "mail_code.txt: the first line must be `Subject: …`");
    let name = mistake("welcome.txt", "Subject: x\n\ntext");
    assert!(name.starts_with("FOLDER/welcome.txt: there is no mail of this name"), "{name}");
}

#[test]
fn a_template_reads_nothing_and_ends() {
    for text in ["{{ env }}", "{% include 'invitation.txt' %}", "{{ get_env('HOME') }}", "{{ debug() }}"] {
        let error = mistake("mail_code.html", text);
        assert!(error.starts_with("mail_code.html, line 1: "), "{text}: {error}");
    }
    let endless = "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}";
    assert!(mistake("mail_code.html", endless).starts_with("mail_code.html, line 1: "));
}

#[test]
fn a_folder_that_cannot_be_read_is_a_mistake() {
    let missing = Path::new("/nonexistent/templates");
    assert!(matches!(Templates::load(Some(missing)), Err(TemplateError::Read { .. })));
}
