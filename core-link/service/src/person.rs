//! People: who may enroll.

mod access;

pub use access::{delete, disable, reset_mfa, unlock};

use crate::{
    activity::{Entry, Origin},
    store::{StoreError, Tx},
};

const LOGIN_MAX: usize = 64;
const NAME_MAX: usize = 128;
/// RFC 5321: the longest address that can be delivered.
const EMAIL_MAX: usize = 254;
/// ITU-T E.164: at most 15 digits; fewer than 5 reach nobody.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 5..=15;
const PHONE_MAX: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersonId(pub(crate) i64);

impl PersonId {
    pub fn as_i64(self) -> i64 {
        self.0
    }
}

/// A person, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: PersonId,
    pub login: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub phone: Option<String>,
    pub is_admin: bool,
    pub is_disabled: bool,
    pub is_enrolled: bool,
}

/// A person in a list.
#[derive(Debug, Clone)]
pub struct PersonSummary {
    pub person: Person,
    pub has_factor: bool,
    /// Who they are at the OpenID provider is known.
    pub has_openid: bool,
    /// Somewhere too many codes were wrong, so that from there only an administrator or a recovery code helps.
    pub is_locked: bool,
    pub devices: u32,
}

/// A person to be, checked.
#[derive(Debug, Clone)]
pub struct NewPerson {
    login: String,
    email: String,
    first_name: String,
    last_name: String,
    phone: Option<String>,
    is_admin: bool,
}

/// What an admin typed.
#[derive(Debug, Clone, Default)]
pub struct PersonForm {
    pub login: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub phone: Option<String>,
    pub is_admin: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPerson {
    #[error(
        "a login has 1 to {LOGIN_MAX} small letters, digits, dots, dashes or underscores, and begins with a letter or digit"
    )]
    Login,
    #[error("this is no e-mail address")]
    Email,
    #[error("a name has at most {NAME_MAX} characters and no control characters")]
    Name,
    #[error(transparent)]
    Phone(#[from] InvalidPhone),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid phone number")]
pub struct InvalidPhone;

#[derive(Debug, thiserror::Error)]
pub enum AddPersonError {
    #[error("somebody has this login or e-mail address already")]
    Taken,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum FindPersonError {
    #[error("there is no person with the login {login}")]
    Unknown { login: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TryFrom<PersonForm> for NewPerson {
    type Error = InvalidPerson;

    fn try_from(form: PersonForm) -> Result<Self, InvalidPerson> {
        let PersonForm { login, email, first_name, last_name, phone, is_admin } = form;
        if !is_login(&login) {
            return Err(InvalidPerson::Login);
        }
        if !is_email(&email) {
            return Err(InvalidPerson::Email);
        }
        let phone = phone.map(|phone| parse_phone(&phone)).transpose()?.flatten();
        let (first_name, last_name) = (parse_name(&first_name)?, parse_name(&last_name)?);
        Ok(Self { login, email: email.to_lowercase(), first_name, last_name, phone, is_admin })
    }
}

/// Adds a person, who can then be invited to enroll.
pub async fn add(tx: &mut Tx, new: &NewPerson, origin: &Origin) -> Result<Person, AddPersonError> {
    let Some(id) = tx.insert_person(new).await? else { return Err(AddPersonError::Taken) };
    tx.record(&Entry::done("person_added", origin, &new.login)).await?;
    Ok(new.clone().with_id(id))
}

pub async fn list(tx: &mut Tx) -> Result<Vec<PersonSummary>, StoreError> {
    tx.people().await
}

pub(crate) async fn find(tx: &mut Tx, login: &str) -> Result<Person, FindPersonError> {
    let found = tx.person_by_login(login).await?;
    found.ok_or_else(|| FindPersonError::Unknown { login: login.to_owned() })
}

/// Digits with the usual marks between them. Nothing but spaces is no number, which is not a mistake.
pub fn parse_phone(text: &str) -> Result<Option<String>, InvalidPhone> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let rest = text.strip_prefix('+').unwrap_or(text);
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_digit() || b" -().".contains(&byte));
    if is_plain && text.len() <= PHONE_MAX && PHONE_DIGITS.contains(&digits) {
        Ok(Some(text.to_owned()))
    } else {
        Err(InvalidPhone)
    }
}

impl NewPerson {
    fn with_id(self, id: PersonId) -> Person {
        let Self { login, email, first_name, last_name, phone, is_admin } = self;
        Person { id, login, email, first_name, last_name, phone, is_admin, is_disabled: false, is_enrolled: false }
    }

    /// The columns that a person chose: login, email, first name, last name.
    pub(crate) fn columns(&self) -> [&str; 4] {
        [&self.login, &self.email, &self.first_name, &self.last_name]
    }

    pub(crate) fn phone(&self) -> Option<&str> {
        self.phone.as_deref()
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.is_admin
    }
}

fn is_login(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=LOGIN_MAX).contains(&text.len())
        && text.bytes().all(is_inner)
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

/// One `@` with something on both sides and nothing that a header or a log would trip over. Whether it exists, only a
/// mail can tell.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.split_once('@') else { return false };
    let is_clean = text
        .chars()
        .all(|character| !character.is_whitespace() && !character.is_control() && !"<>,;\"\\".contains(character));
    text.len() <= EMAIL_MAX && is_clean && !local.is_empty() && !host.is_empty() && !host.contains('@')
}

fn parse_name(text: &str) -> Result<String, InvalidPerson> {
    let text = text.trim();
    if text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(InvalidPerson::Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_are_checked() {
        for (text, expected) in [
            ("+48123456789", Ok(Some("+48123456789"))),
            (" +1 (555) 010-9999 ", Ok(Some("+1 (555) 010-9999"))),
            ("  ", Ok(None)),
            ("1234", Err(InvalidPhone)),
            ("+1234567890123456", Err(InvalidPhone)),
            ("12345abc", Err(InvalidPhone)),
            ("++48123456789", Err(InvalidPhone)),
            ("12345\n67", Err(InvalidPhone)),
        ] {
            assert_eq!(parse_phone(text), expected.map(|phone| phone.map(str::to_owned)), "{text:?}");
        }
    }

    #[test]
    fn a_person_is_checked_field_by_field() {
        let form = |login: &str, email: &str, name: &str| PersonForm {
            login: login.to_owned(),
            email: email.to_owned(),
            first_name: name.to_owned(),
            ..PersonForm::default()
        };
        let check = |form| NewPerson::try_from(form).map(|new| new.login);
        assert_eq!(check(form("joe", "joe@example.org", "Joe")), Ok("joe".to_owned()));
        for login in ["", "Joe", "-joe", "jo e", "joé", &"j".repeat(65)] {
            assert_eq!(check(form(login, "joe@example.org", "Joe")), Err(InvalidPerson::Login), "{login:?}");
        }
        for email in ["", "joe", "@example.org", "joe@", "a@b@c", "joe@exa mple", "joe@x\r\ny", "<joe@example.org>"] {
            assert_eq!(check(form("joe", email, "Joe")), Err(InvalidPerson::Email), "{email:?}");
        }
        assert_eq!(check(form("joe", "joe@example.org", "J\u{7}")), Err(InvalidPerson::Name));
    }
}
