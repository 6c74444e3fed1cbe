//! The words of mails: plain and HTML for each kind, built in, and each file replaceable by an administrator's.
//!
//! `NAME.txt` begins with a line `Subject: …` and an empty line; `NAME.html` escapes what is put into it. A template
//! sees a few values and nothing else: no environment, no files, no loop without an end. All are tried at the start.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value, context};

use super::{Content, Kind, Message};
use crate::instance::AdminContact;

/// A mail takes some hundred steps.
const FUEL: u64 = 50_000;

const BUILT_IN: [(&str, &str); 10] = [
    ("invitation.txt", include_str!("../../templates/mail/invitation.txt")),
    ("invitation.html", include_str!("../../templates/mail/invitation.html")),
    ("password_reset.txt", include_str!("../../templates/mail/password_reset.txt")),
    ("password_reset.html", include_str!("../../templates/mail/password_reset.html")),
    ("password_changed.txt", include_str!("../../templates/mail/password_changed.txt")),
    ("password_changed.html", include_str!("../../templates/mail/password_changed.html")),
    ("factor_added.txt", include_str!("../../templates/mail/factor_added.txt")),
    ("factor_added.html", include_str!("../../templates/mail/factor_added.html")),
    ("mail_code.txt", include_str!("../../templates/mail/mail_code.txt")),
    ("mail_code.html", include_str!("../../templates/mail/mail_code.html")),
];

/// Text of each file, by its name.
#[derive(Clone, PartialEq, Eq)]
pub struct Templates(BTreeMap<String, String>);

/// A mail in words.
pub(super) struct Rendered {
    pub(super) subject: String,
    pub(super) plain: String,
    pub(super) html: String,
}

/// The installation, as mails name it.
#[derive(Debug, Clone)]
pub struct House {
    pub name: String,
    /// Ends with a slash.
    pub public_url: String,
    pub admin: AdminContact,
}

#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: there is no mail of this name; there are invitation, password_reset, password_changed, factor_added \
             and mail_code, each as .txt and .html", path.display())]
    Unknown { path: PathBuf },
    #[error("{file}: the first line must be `Subject: …`")]
    Subject { file: String },
    #[error("{file}, line {line}: {reason}")]
    Render { file: String, line: usize, reason: String },
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Templates")
    }
}

impl Templates {
    /// The built-in ones, or those of the folder where it has a file. Each is tried with sample values.
    ///
    /// # Errors
    /// Says which file is wrong, and in which line.
    pub fn load(folder: Option<&Path>) -> Result<Self, TemplateError> {
        let mut texts: BTreeMap<_, _> =
            BUILT_IN.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect();
        if let Some(folder) = folder {
            let failed = |source| TemplateError::Read { path: folder.to_owned(), source };
            for entry in fs::read_dir(folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if path.extension().is_some_and(|extension| extension == "txt" || extension == "html") {
                    replace(&mut texts, path)?;
                }
            }
        }
        let templates = Self(texts);
        templates.try_all()?;
        Ok(templates)
    }

    pub(super) fn render(&self, house: &House, content: &Content) -> Result<Rendered, TemplateError> {
        let kind = content.message.kind();
        let values = context! {
            instance => &house.name, public_url => &house.public_url,
            admin_name => &house.admin.name, admin_email => &house.admin.email,
            login => &content.login, first_name => &content.first_name,
            ..content.message.values(&house.public_url)
        };
        let text = self.fill(kind, "txt", &values)?;
        let html = self.fill(kind, "html", &values)?;
        let (subject, plain) = split(&text).ok_or_else(|| TemplateError::Subject { file: file(kind, "txt") })?;
        Ok(Rendered { subject, plain, html })
    }

    fn fill(&self, kind: Kind, extension: &str, values: &Value) -> Result<String, TemplateError> {
        let file = file(kind, extension);
        let text = self.0.get(&file).map_or("", String::as_str);
        environment().render_named_str(&file, text, values).map_err(|error| {
            let reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            let reason = if error.kind() == ErrorKind::UndefinedError {
                format!("a value that this mail does not have ({reason})")
            } else {
                reason
            };
            TemplateError::Render { file, line: error.line().unwrap_or(1), reason }
        })
    }

    fn try_all(&self) -> Result<(), TemplateError> {
        let house = House {
            name: "Acme VPN".to_owned(),
            public_url: "https://vpn.example.com/".to_owned(),
            admin: AdminContact { name: "Jo Doe".to_owned(), email: "jo@example.com".to_owned(), phone: None },
        };
        for message in Message::samples() {
            for first_name in ["", "Jo"] {
                let content = Content {
                    to: "jo@example.com".to_owned(),
                    login: "jo".to_owned(),
                    first_name: first_name.to_owned(),
                    message: message.clone(),
                };
                self.render(&house, &content)?;
            }
        }
        Ok(())
    }
}

fn replace(texts: &mut BTreeMap<String, String>, path: PathBuf) -> Result<(), TemplateError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match texts.get_mut(name) {
        None => Err(TemplateError::Unknown { path }),
        Some(text) => {
            *text = fs::read_to_string(&path).map_err(|source| TemplateError::Read { path, source })?;
            Ok(())
        }
    }
}

fn file(kind: Kind, extension: &str) -> String {
    format!("{}.{extension}", kind.as_str())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // It would show all values, whatever a mail is meant to tell.
    environment.remove_global("debug");
    environment.set_fuel(Some(FUEL));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
        true => AutoEscape::Html,
        false => AutoEscape::None,
    });
    environment
}

/// Subject and body. A subject is one line by the way it is found, and holds nothing that could end a header.
fn split(text: &str) -> Option<(String, String)> {
    let (first, rest) = text.split_once('\n')?;
    let subject: String = first.strip_prefix("Subject:")?.trim().chars().filter(|char| !char.is_control()).collect();
    // The engine takes the last line's end away.
    (!subject.is_empty()).then(|| (subject, format!("{}\n", rest.trim_matches(['\r', '\n']))))
}

#[cfg(test)]
mod tests;
