//! One client of the sink, from the greeting to the end.

use std::{io, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufStream},
    net::TcpStream,
};

use super::{Encryption, Mail, Manner, Shared};

/// RFC 5321 allows 998 and an end; a credential is shorter than a mail.
const LINE_MAX: u64 = 4096;
const MAIL_MAX: usize = 1 << 20;

pub(super) struct Conversation {
    shared: Arc<Shared>,
    manner: Manner,
}

/// Where a conversation stands.
#[derive(Default)]
struct Progress {
    is_encrypted: bool,
    is_known: bool,
    from: String,
    to: Vec<String>,
}

enum Next {
    Go,
    Encrypt,
    End,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Conversation {
    pub(super) fn new(shared: Arc<Shared>, manner: Manner) -> Self {
        Self { shared, manner }
    }

    pub(super) async fn run(&self, stream: TcpStream) -> io::Result<()> {
        if self.manner == Manner::Silent {
            // Until the client has had enough.
            return swallow(stream).await;
        }
        if self.manner == Manner::Endless {
            return ramble(stream).await;
        }
        match &self.shared.demands.encryption {
            Encryption::Tls(authority) => {
                let stream = authority.acceptor().accept(stream).await?;
                let progress = Progress { is_encrypted: true, ..Progress::default() };
                self.talk(&mut BufStream::new(stream), progress, true).await.map(drop)
            }
            Encryption::None => self.talk(&mut BufStream::new(stream), Progress::default(), true).await.map(drop),
            Encryption::StartTls(authority) => {
                let mut stream = BufStream::new(stream);
                if let Next::Encrypt = self.talk(&mut stream, Progress::default(), true).await? {
                    let stream = authority.acceptor().accept(stream.into_inner()).await?;
                    let progress = Progress { is_encrypted: true, ..Progress::default() };
                    self.talk(&mut BufStream::new(stream), progress, false).await?;
                }
                Ok(())
            }
        }
    }

    async fn talk(&self, stream: &mut BufStream<impl Stream>, mut progress: Progress, greet: bool) -> io::Result<Next> {
        if greet {
            say(stream, "220 sink ready").await?;
        }
        loop {
            let Some(line) = line(stream).await? else { return Ok(Next::End) };
            let next = self.answer(stream, &mut progress, &line).await?;
            if !matches!(next, Next::Go) {
                return Ok(next);
            }
        }
    }

    async fn answer(
        &self,
        stream: &mut BufStream<impl Stream>,
        progress: &mut Progress,
        line: &str,
    ) -> io::Result<Next> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => self.hello(stream, progress).await?,
            "STARTTLS" => {
                say(stream, "220 go ahead").await?;
                return Ok(Next::Encrypt);
            }
            "AUTH" => self.authenticate(stream, progress, rest).await?,
            "MAIL" if self.shared.demands.login.is_some() && !progress.is_known => {
                say(stream, "530 log in first").await?;
            }
            "MAIL" => {
                progress.from = address(rest);
                say(stream, "250 fine").await?;
            }
            "RCPT" => {
                if let Manner::RefuseRecipient(code) = self.manner {
                    say(stream, &format!("{code} not here")).await?;
                } else {
                    progress.to.push(address(rest));
                    say(stream, "250 fine").await?;
                }
            }
            "DATA" => return self.data(stream, progress).await,
            "QUIT" if self.manner == Manner::TakeWithoutGoodbye => {}
            "QUIT" => {
                say(stream, "221 bye").await?;
                return Ok(Next::End);
            }
            _ => say(stream, "250 fine").await?,
        }
        Ok(Next::Go)
    }

    async fn hello(&self, stream: &mut BufStream<impl Stream>, progress: &Progress) -> io::Result<()> {
        let mut lines = vec!["sink"];
        if matches!(self.shared.demands.encryption, Encryption::StartTls(_)) && !progress.is_encrypted {
            lines.push("STARTTLS");
        } else if self.shared.demands.login.is_some() {
            lines.push("AUTH PLAIN LOGIN");
        }
        lines.push("8BITMIME");
        for (number, line) in lines.iter().enumerate() {
            let mark = if number + 1 == lines.len() { ' ' } else { '-' };
            say(stream, &format!("250{mark}{line}")).await?;
        }
        Ok(())
    }

    async fn authenticate(
        &self,
        stream: &mut BufStream<impl Stream>,
        progress: &mut Progress,
        rest: &str,
    ) -> io::Result<()> {
        let shown = match rest.split_once(' ') {
            Some(("PLAIN", shown)) => decoded(shown),
            _ => {
                say(stream, "334 VXNlcm5hbWU6").await?;
                let user = line(stream).await?.unwrap_or_default();
                say(stream, "334 UGFzc3dvcmQ6").await?;
                let password = line(stream).await?.unwrap_or_default();
                format!("\0{}\0{}", decoded(&user), decoded(&password))
            }
        };
        let wanted = self.shared.demands.login.as_ref().map(|(user, password)| format!("\0{user}\0{password}"));
        progress.is_known = wanted.is_some_and(|wanted| wanted == shown);
        say(stream, if progress.is_known { "235 welcome" } else { "535 who are you" }).await
    }

    async fn data(&self, stream: &mut BufStream<impl Stream>, progress: &mut Progress) -> io::Result<Next> {
        say(stream, "354 go ahead").await?;
        if self.manner == Manner::CloseMidway {
            line(stream).await?;
            return Ok(Next::End);
        }
        let mut text = String::new();
        while let Some(line) = line(stream).await? {
            if line == "." {
                return self.keep(stream, progress, text).await;
            }
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
            text.push_str("\r\n");
            if text.len() > MAIL_MAX {
                break;
            }
        }
        Ok(Next::End)
    }

    async fn keep(
        &self,
        stream: &mut BufStream<impl Stream>,
        progress: &mut Progress,
        text: String,
    ) -> io::Result<Next> {
        if let Manner::RefuseMail(code) = self.manner {
            let words = text.split_once("token=").map_or("", |(_, after)| &after[..after.floor_char_boundary(32)]);
            say(stream, &format!("{code} I do not like token={words}")).await?;
            return Ok(Next::Go);
        }
        let (from, to) = (std::mem::take(&mut progress.from), std::mem::take(&mut progress.to));
        self.shared.keep(Mail { from, to, text, was_encrypted: progress.is_encrypted });
        if self.manner == Manner::TakeWithoutWord {
            return Ok(Next::End);
        }
        say(stream, "250 taken").await?;
        Ok(Next::Go)
    }
}

async fn say(stream: &mut BufStream<impl Stream>, text: &str) -> io::Result<()> {
    stream.write_all(format!("{text}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// `None`: the client has left.
async fn line(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    stream.take(LINE_MAX).read_until(b'\n', &mut bytes).await?;
    if bytes.last() != Some(&b'\n') {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

async fn swallow(mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

async fn ramble(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"220 ").await?;
    loop {
        stream.write_all(&[b'x'; 1024]).await?;
    }
}

/// What stands between the angle brackets.
fn address(rest: &str) -> String {
    let inner = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or_else(String::new, |(address, _)| address.to_owned())
}

fn decoded(text: &str) -> String {
    STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}
