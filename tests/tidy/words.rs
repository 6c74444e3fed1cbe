//! Words that say nothing, and promises without an address.

use crate::source::{assert_none, has_word, rust};

/// Written in two parts, so that this file does not find itself.
const BANNED: [&str; 4] = [concat!("Man", "ager"), concat!("Hel", "per"), concat!("ut", "ils"), concat!("ut", "il")];
const PROMISES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

#[test]
fn names_say_what_a_thing_does() {
    let mut broken = Vec::new();
    for source in rust() {
        for (line, text) in source.code() {
            for word in BANNED.iter().filter(|word| is_named(text, word)) {
                broken.push(format!("{}:{line}: {word}", source.path));
            }
        }
    }

    assert_none(&broken);
}

#[test]
fn what_is_still_to_do_names_where_that_is_followed() {
    let mut broken = Vec::new();
    for source in rust() {
        for (line, text) in source.text.lines().enumerate() {
            let promised = PROMISES.iter().any(|word| has_word(text, word));
            if promised && !text.contains("https://") {
                broken.push(format!("{}:{}: {}", source.path, line + 1, text.trim()));
            }
        }
    }

    assert_none(&broken);
}

/// Capitalised words count anywhere in a name, the others only as a whole.
fn is_named(text: &str, word: &str) -> bool {
    if word.starts_with(char::is_uppercase) { text.contains(word) } else { has_word(text, word) }
}
