//! One event is one line, whatever stands in it.
//!
//! Some texts come from outside: the reason that an Edge gives, an error of a library. With a line break in them they
//! could tell whoever reads the log of things that never happened.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
};

use tracing_subscriber::fmt::MakeWriter;

/// Makes writers that escape control characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneLine<M>(pub(super) M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for OneLine<M> {
    type Writer = LineWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter(self.0.make_writer())
    }
}

#[derive(Debug)]
pub(super) struct LineWriter<W>(W);

impl<W: Write> Write for LineWriter<W> {
    /// Each event comes whole, in one call.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(one_line(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn one_line(event: &str) -> Cow<'_, str> {
    let text = event.strip_suffix('\n').unwrap_or(event);
    if !text.contains(char::is_control) {
        return Cow::Borrowed(event);
    }
    let mut line = String::with_capacity(event.len() + 16);
    for character in text.chars() {
        if character.is_control() {
            // A `String` takes everything.
            write!(line, "{}", character.escape_default()).ok();
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_control_characters_stays_as_it_is() {
        assert_eq!(one_line("tunnel up: café\n"), "tunnel up: café\n");
    }

    #[test]
    fn no_text_begins_a_line_of_its_own() {
        assert_eq!(one_line("gone: bye\nauth v=1\r\u{1b}[2K\n"), "gone: bye\\nauth v=1\\r\\u{1b}[2K\n");
    }
}
