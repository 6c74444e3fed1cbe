//! The socket's end in a running Core.

use std::{
    fs::{DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::activity::Origin;

use super::{Command, Commands, LINE_MAX, PROGRESS_MAX, REQUEST_MAX, Response};

/// Commands at the same time; more wait in the kernel's queue.
const COMMANDS_MAX: usize = 32;

/// After a failed accept, so that a lack of file descriptors does not make a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket; its file goes away with it.
#[derive(Debug)]
pub struct ControlListener {
    listener: UnixListener,
    file: SocketFile,
}

/// Removes the file, unless another process has put its own there.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
    owner: u32,
}

/// Why no commands can be taken.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("another postern-core answers on {}: stop it, or choose another socket", .0.display())]
    InUse(PathBuf),
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    #[error("cannot make the socket {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl ControlListener {
    /// Makes the socket, for this user only, in a folder that is made where it is missing. What a killed process
    /// left behind is replaced.
    ///
    /// # Errors
    /// [`BindError`]
    pub async fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        clear_away(path).await?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let found = std::fs::metadata(path).map_err(failed)?;
        let file = SocketFile { path: path.to_owned(), inode: (found.dev(), found.ino()), owner: found.uid() };
        Ok(Self { listener, file })
    }

    /// Takes commands until `drain`; then those that run, or had come by then, are finished.
    pub async fn run(self, commands: Arc<Commands>, drain: CancellationToken) {
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(_) = running.join_next() => {}
                accepted = self.listener.accept(), if running.len() < COMMANDS_MAX => match accepted {
                    Ok((stream, _)) => match self.file.admit(&stream) {
                        Some(origin) => drop(running.spawn(serve_connection(stream, commands.clone(), origin))),
                        None => tracing::warn!("a command of another user was refused"),
                    },
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a command");
                        if drain.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await.is_none() {
                            break;
                        }
                    }
                },
                // After those that wait to be accepted.
                () = drain.cancelled() => break,
            }
        }
        while running.join_next().await.is_some() {}
    }
}

impl SocketFile {
    /// Who sends the command. Between binding the socket and setting its mode another user could have connected.
    fn admit(&self, stream: &UnixStream) -> Option<Origin> {
        let uid = stream.peer_cred().ok()?.uid();
        let actor = format!("cli uid {uid}");
        (uid == self.owner || uid == 0).then(|| Origin { actor, ..Origin::command_line() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.inode);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "cannot remove the socket");
        }
    }
}

async fn clear_away(path: &Path) -> Result<(), BindError> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(BindError::Io { path: path.to_owned(), source }),
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    if UnixStream::connect(path).await.is_ok() {
        return Err(BindError::InUse(path.to_owned()));
    }
    std::fs::remove_file(path).map_err(|source| BindError::Io { path: path.to_owned(), source })
}

async fn serve_connection(mut stream: UnixStream, commands: Arc<Commands>, origin: Origin) {
    let (reader, mut writer) = stream.split();
    let response = match tokio::time::timeout(LINE_MAX, read_command(reader)).await {
        Ok(Ok(command)) => run(&commands, &origin, command, &mut writer).await,
        Ok(Err(error)) => Response::Error(format!("this command cannot be read: {error}")),
        Err(_) => Response::Error("no command arrived in time".to_owned()),
    };
    write(&mut writer, &response).await;
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), response: &Response) {
    let mut line = serde_json::to_vec(response).unwrap_or_else(|_| br#"{"Error":"no answer can be written"}"#.into());
    line.push(b'\n');
    match tokio::time::timeout(LINE_MAX, writer.write_all(&line)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the sender of a command is gone"),
        Err(_) => tracing::debug!("the sender of a command does not read"),
    }
}

async fn read_command(reader: impl tokio::io::AsyncRead + Unpin) -> io::Result<Command> {
    let mut line = Vec::new();
    BufReader::new(reader).take(REQUEST_MAX).read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&line)?)
}

/// Passes on meanwhile how far it is. A command goes on when its sender has left.
async fn run(
    commands: &Commands,
    origin: &Origin,
    command: Command,
    writer: &mut (impl AsyncWrite + Unpin),
) -> Response {
    let (progress, mut lines) = mpsc::channel(PROGRESS_MAX);
    let limit = command.time_max();
    let mut running = pin!(tokio::time::timeout(limit, commands.run(origin, command, &progress)));
    loop {
        tokio::select! {
            biased;
            Some(line) = lines.recv() => write(writer, &Response::Progress(line)).await,
            done = &mut running => return match done {
                Ok(Ok(answer)) => Response::Answer(answer),
                Ok(Err(error)) => Response::Error(error.with_causes()),
                Err(_) => Response::Error("the command took too long, and was given up".to_owned()),
            },
        }
    }
}
