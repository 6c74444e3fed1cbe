//! The socket's end in a command.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

use super::{Answer, Command, RESPONSE_MAX, Response};

/// Longer than the running Core takes at most, so that its own message arrives.
const ANSWER_SLACK: Duration = Duration::from_secs(10);

/// A connection to a running Core.
#[derive(Debug)]
pub struct ControlClient {
    stream: UnixStream,
}

/// Why a running Core gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("cannot connect to Core's socket {}: run this as the user that Core runs as", .path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("Core ended the connection before it answered; look at its log")]
    Lost(#[source] io::Error),
    #[error("Core's answer cannot be read: is it of another version?")]
    BadAnswer(#[source] serde_json::Error),
    #[error("Core did not answer in time")]
    TimedOut,
    #[error("{0}")]
    Refused(String),
}

impl ControlClient {
    /// `None` if no Core listens there.
    ///
    /// # Errors
    /// When the socket is not for us.
    pub async fn connect(path: &Path) -> Result<Option<Self>, ControlError> {
        match UnixStream::connect(path).await {
            Ok(stream) => Ok(Some(Self { stream })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(source) => Err(ControlError::Connect { path: path.to_owned(), source }),
        }
    }

    /// Sends one command and waits for its answer; `progress` is told what a long one says meanwhile.
    ///
    /// # Errors
    /// [`ControlError`]
    pub async fn run(mut self, command: &Command, progress: impl Fn(&str)) -> Result<Answer, ControlError> {
        let mut line = serde_json::to_vec(command).map_err(ControlError::BadAnswer)?;
        line.push(b'\n');
        let exchange = async {
            self.stream.write_all(&line).await.map_err(ControlError::Lost)?;
            let mut responses = BufReader::new(self.stream.take(RESPONSE_MAX));
            loop {
                match next(&mut responses).await? {
                    Response::Progress(line) => progress(&line),
                    Response::Answer(answer) => return Ok(answer),
                    Response::Error(message) => return Err(ControlError::Refused(message)),
                }
            }
        };
        let limit = command.time_max() + ANSWER_SLACK;
        tokio::time::timeout(limit, exchange).await.map_err(|_| ControlError::TimedOut)?
    }
}

async fn next(responses: &mut (impl AsyncBufRead + Unpin)) -> Result<Response, ControlError> {
    let mut line = Vec::new();
    responses.read_until(b'\n', &mut line).await.map_err(ControlError::Lost)?;
    if line.is_empty() {
        return Err(ControlError::Lost(io::ErrorKind::UnexpectedEof.into()));
    }
    serde_json::from_slice(&line).map_err(ControlError::BadAnswer)
}
