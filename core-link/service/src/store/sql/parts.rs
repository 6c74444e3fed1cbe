//! The statements of a text, parted by `;`, each with the number of values that it takes.
//!
//! Postgres runs one at a time, and refuses one that it prepared for fewer values than it is given.

/// One statement of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: &'static str,
    /// The number in its highest `$1`, `$2`, …
    pub(super) values: usize,
}

/// What stands in quotes is left alone.
pub(super) fn parts(text: &'static str) -> impl Iterator<Item = Part> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (part, after) = first(rest?);
        rest = after;
        Some(part)
    })
}

fn first(text: &'static str) -> (Part, Option<&'static str>) {
    let (mut is_quoted, mut values) = (false, 0);
    let bytes = text.as_bytes();
    for (position, &byte) in bytes.iter().enumerate() {
        match byte {
            b'\'' => is_quoted = !is_quoted,
            b';' if !is_quoted => {
                return (Part { text: &text[..position], values }, Some(&text[position + 1..]));
            }
            b'$' if !is_quoted => values = values.max(number(&bytes[position + 1..])),
            _ => {}
        }
    }
    (Part { text, values }, None)
}

fn number(digits: &[u8]) -> usize {
    digits.iter().take_while(|digit| digit.is_ascii_digit()).fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(text: &'static str) -> Vec<(&'static str, usize)> {
        parts(text).map(|part| (part.text, part.values)).collect()
    }

    #[test]
    fn each_statement_takes_the_values_that_it_names() {
        assert_eq!(parted("A $1, $12; B; C $2"), [("A $1, $12", 12), (" B", 0), (" C $2", 2)]);
    }

    #[test]
    fn what_is_quoted_is_no_statement_and_no_value() {
        assert_eq!(parted("A 'x;$9''y;' $1; B ';'"), [("A 'x;$9''y;' $1", 1), (" B ';'", 0)]);
    }
}
