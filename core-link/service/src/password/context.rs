//! Words that make no password stronger: what belongs to the person or the installation, and what everybody takes.
//!
//! The estimate of strength knows words, but thinks well of three of them in a row; so what is left without such
//! words must be long enough by itself.

/// Shorter ones turn up in good passwords by chance.
const WORD_MIN: usize = 3;

/// What people begin with when a rule asks for a longer password.
const EVERYBODYS: [&str; 31] = [
    "password",
    "passw0rd",
    "p@ssw0rd",
    "p@ssword",
    "passwort",
    "welcome",
    "letmein",
    "changeme",
    "secret",
    "admin",
    "qwerty",
    "login",
    "spring",
    "summer",
    "autumn",
    "winter",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "monday",
    "friday",
    "sunday",
    "vpn",
];

/// Each text, small, whole and in parts: `joe.doe@example.org` also as `joe`, `doe`, `example`, `org`.
#[derive(Debug)]
pub(super) struct Context(Vec<String>);

impl Context {
    pub(super) fn of(texts: &[String]) -> Self {
        let mut words: Vec<String> = EVERYBODYS.iter().map(ToString::to_string).collect();
        for text in texts {
            let text = text.to_lowercase();
            words.push(text.chars().filter(|character| character.is_alphanumeric()).collect());
            words.extend(text.split(|character: char| !character.is_alphanumeric()).map(str::to_owned));
            words.push(text);
        }
        words.retain(|word| word.chars().count() >= WORD_MIN);
        // The longest first, so that none is left over because a part of it was taken out before.
        words.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        words.dedup();
        Self(words)
    }

    pub(super) fn words(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }

    /// Characters of a password that stand in none of the words.
    pub(super) fn characters_beyond(&self, password: &str) -> usize {
        let mut parts = vec![password.to_lowercase()];
        for word in &self.0 {
            parts = parts.iter().flat_map(|part| part.split(word.as_str())).map(str::to_owned).collect();
        }
        parts.iter().map(|part| part.chars().count()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_out_wherever_they_stand() {
        let context = Context::of(&["joe.doe@example.org".to_owned(), "Acme VPN".to_owned()]);
        for (password, beyond) in [
            ("Joe.Doe.2026", 6),
            ("AcmeVPN2026!", 5),
            ("joe.doe@example.org", 0),
            ("joedoeexampleorg", 0),
            ("xJoEx", 2),
            ("Str0ng!", 7),
        ] {
            assert_eq!(context.characters_beyond(password), beyond, "{password}");
        }
    }

    #[test]
    fn short_and_empty_words_take_nothing_out() {
        let context = Context::of(&[String::new(), "a".to_owned(), "jo".to_owned()]);
        assert_eq!(context.characters_beyond("a jolly"), 7);
    }
}
