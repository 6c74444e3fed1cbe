//! Just enough HTTP/1.1 to send a prebuilt request and to find the end of its answer.

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Room for any answer of the Edge.
const BUFFER: usize = 64 * 1024;

/// A POST with this JSON, as it goes over the wire.
pub fn post(path: &str, json: &str) -> Vec<u8> {
    post_with(path, "", json)
}

/// The same with the session that a cookie holds.
pub fn post_in_session(path: &str, cookie: &str, json: &str) -> Vec<u8> {
    post_with(path, &format!("cookie: {cookie}\r\n"), json)
}

fn post_with(path: &str, headers: &str, json: &str) -> Vec<u8> {
    let length = json.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: edge.example\r\ncontent-type: application/json\r\n");
    let agent = "user-agent: bench/1.0\r\ndefguard-client-version: 2.0.0\r\n";
    format!("{head}{agent}{headers}content-length: {length}\r\n\r\n{json}").into_bytes()
}

/// One answer, as it lies in the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    pub status: u16,
    pub head: &'a [u8],
    pub body: &'a [u8],
}

/// Reads answers from one connection, one after the other.
#[derive(Debug)]
pub struct Answers<R> {
    source: R,
    buffer: Vec<u8>,
    filled: usize,
    is_last: bool,
}

impl<R: AsyncRead + Unpin> Answers<R> {
    pub fn new(source: R) -> Self {
        Self { source, buffer: vec![0; BUFFER], filled: 0, is_last: false }
    }

    /// The server closes the connection after the answer just read: NGINX does so after a thousand.
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// The next answer, which is valid until the next call.
    pub async fn next(&mut self) -> Result<Answer<'_>> {
        self.filled = 0;
        loop {
            let received = self.source.read(&mut self.buffer[self.filled..]).await?;
            if received == 0 {
                bail!("the connection ended in the middle of an answer");
            }
            self.filled += received;
            if let Some(head) = Head::parse(&self.buffer[..self.filled])?
                && head.end + head.body <= self.filled
            {
                self.is_last = head.closes;
                let (text, rest) = self.buffer.split_at(head.end);
                return Ok(Answer { status: head.status, head: text, body: &rest[..head.body] });
            }
        }
    }
}

#[derive(Debug)]
struct Head {
    status: u16,
    /// Where the body begins.
    end: usize,
    /// Length of the body.
    body: usize,
    closes: bool,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&bytes[..end]).context("a head that is not text")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let (mut length, mut closes) = (None, false);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse());
            } else if name.eq_ignore_ascii_case("connection") {
                closes = value.trim().eq_ignore_ascii_case("close");
            }
        }
        let body = length.context("an answer without content-length")?.context("content-length is no number")?;
        Ok(Some(Self { status: status.context("an answer without status")?, end: end + 4, body, closes }))
    }
}
