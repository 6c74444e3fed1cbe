//! Every authentication outcome as one line of Core's log, for fail2ban and its like.
//!
//! A line has the same source as its row in the activity and is written after the row's commit, so neither tells
//! of anything that was undone. The address stands first and the login last, and nothing in between can look like
//! either: quotes, backslashes and whatever is not printable ASCII are escaped.

use std::fmt::{self, Write as _};

use super::{Entry, Factor, Outcome};

/// One line, waiting for the commit of its row.
#[derive(Debug)]
pub(crate) struct AuthLine(String);

impl AuthLine {
    /// `None`: nobody authenticated. What is done on Core's own machine stands in the activity only.
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        let Entry { event, origin, subject, outcome, detail, factor } = entry;
        let edge = origin.edge_id?;
        let ip = origin.ip.map_or_else(|| "-".to_owned(), |ip| ip.to_canonical().to_string());
        let factor = factor.map_or("-", Factor::as_str);
        // Of what was done, the detail may name a device, which is its owner's text and nobody's reason.
        let reason = Quoted(if *outcome == Outcome::Refused { detail } else { "" });
        let (outcome, user) = (outcome.as_str(), Quoted(subject));
        Some(Self(format!(
            "auth v=1 ip={ip} event={event} outcome={outcome} factor={factor} reason={reason} edge={edge} user={user}"
        )))
    }

    pub(crate) fn write(self) {
        tracing::info!(target: "postern_core::auth", "{}", self.0);
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                ' '..='~' => f.write_char(character)?,
                _ => write!(f, "{}", character.escape_unicode())?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Origin;

    fn entry(subject: &str) -> Entry {
        let origin = Origin::edge(1, Some("203.0.113.9".parse().unwrap()));
        Entry::refused("client_mfa_finish", &origin, subject).with_detail("wrong code").with_factor(Some(Factor::Totp))
    }

    fn line(entry: &Entry) -> String {
        AuthLine::of(entry).unwrap().0
    }

    #[test]
    fn a_line_names_the_address_first_and_the_person_last() {
        assert_eq!(
            line(&entry("joe")),
            "auth v=1 ip=203.0.113.9 event=client_mfa_finish outcome=refused factor=totp reason=\"wrong code\" edge=1 \
             user=\"joe\""
        );
    }

    #[test]
    fn nothing_that_somebody_typed_breaks_a_line() {
        for hostile in [
            "joe\" ip=1.2.3.4",
            "joe\\\" ip=1.2.3.4",
            "joe\nauth v=1 ip=1.2.3.4",
            "joe\r\u{2028}\u{85}ip=1.2.3.4",
            "\u{1b}[2K\u{202e}joe\0",
        ] {
            let line = line(&entry(hostile).with_detail(hostile));
            assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line}");
            let unescaped = line.replace(r"\\", "").replace(r#"\""#, "");
            assert_eq!(unescaped.matches('"').count(), 4, "{line}");
            assert!(line.starts_with("auth v=1 ip=203.0.113.9 event=client_mfa_finish outcome=refused "), "{line}");
        }
    }

    #[test]
    fn what_was_done_gives_no_reason_and_so_no_name_of_a_device() {
        let origin = Origin::edge(7, Some("::ffff:203.0.113.9".parse().unwrap()));
        let done = Entry::done("new_device", &origin, "joe").with_detail("device 3 (my laptop)");
        assert_eq!(
            line(&done),
            "auth v=1 ip=203.0.113.9 event=new_device outcome=done factor=- reason=\"\" edge=7 user=\"joe\""
        );
    }

    #[test]
    fn commands_are_no_authentication() {
        assert!(AuthLine::of(&Entry::done("person_added", &Origin::command_line(), "joe")).is_none());
    }
}
