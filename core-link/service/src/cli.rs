//! The command line: what was asked for, where it is done, how the answer is shown, and the exit code.

mod arguments;
mod human;
mod migrating;
mod place;

use std::{
    ffi::OsString,
    io::{self, Write},
    pin::pin,
    process::ExitCode,
};

use anyhow::Context;
use clap::error::ErrorKind;
use tokio::sync::mpsc;

use crate::{
    activity::Origin,
    config::Config,
    control::{Answer, Command, CommandError, Commands, PROGRESS_MAX},
    serve,
    telemetry::{self, LogFormat, LogLevel},
};
pub use arguments::command_line;
use arguments::{Arguments, Task};
use place::Place;

/// The operation failed, or was refused.
const FAILED: u8 = 1;

/// `EX_CONFIG`: the configuration has mistakes.
const CONFIG: u8 = 78;

/// Everything that `main` does.
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let arguments = match Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Its own exit code says whether this was a call for help.
            let code = u8::try_from(error.exit_code()).unwrap_or(FAILED);
            return if usage(&error).is_ok() { code.into() } else { FAILED.into() };
        }
    };
    let config = match Config::load(&arguments.flags, environment) {
        Ok(config) => config,
        Err(error) => return fail(&arguments, &error.to_string(), CONFIG),
    };
    let done = match &arguments.task {
        Task::CheckConfig => show("the configuration is valid\n"),
        Task::Serve => run_serve(config),
        Task::Migrate(migration) => run(migrating::migrate(&config, migration), arguments.json),
        Task::Command(command) => run(execute(&config, command), arguments.json || command.wants_json()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&arguments, &format!("{error:#}"), FAILED),
    }
}

/// Help, or what is wrong with the command line; that repeats what was typed, unless it may hold a password.
fn usage(error: &clap::Error) -> io::Result<()> {
    let text = error.render().to_string();
    let is_help = !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !is_help && text.contains("://") && text.contains('@') {
        let told = "error: an address stands where none is expected; it is not shown, as it may hold a password";
        return writeln!(io::stderr(), "{told}\n\nFor more information, try '--help'.");
    }
    error.print()
}

fn run_serve(config: Config) -> anyhow::Result<()> {
    telemetry::start_logging(config.log_level, config.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let done = runtime.block_on(serve::run(config));
    // A password that is still being hashed is nobody's any more.
    runtime.shutdown_background();
    Ok(done?)
}

/// What is done by this process to its end, and its answer.
fn run(doing: impl Future<Output = anyhow::Result<Answer>>, json: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.context("cannot start threads")?;
    telemetry::start_logging(LogLevel::Warn, LogFormat::Text);
    let answer = runtime.block_on(doing);
    runtime.shutdown_background();
    let answer = answer?;
    if json { show(&format!("{}\n", answer.json())) } else { show(&human::text(&answer)) }
}

/// In the running Core, or here if none runs.
async fn execute(config: &Config, command: &Command) -> anyhow::Result<Answer> {
    let place = match command {
        // Without a Core there is nobody to be well.
        Command::Health => place::running(config).await?,
        Command::User(_)
        | Command::Location(_)
        | Command::Edge(_)
        | Command::Certificate(_)
        | Command::Device(_)
        | Command::Token(_)
        | Command::Mail(_)
        | Command::Activity { .. } => place::find(config).await?,
    };
    let _lock = match place {
        Place::RunningCore(core) => return Ok(core.run(command, tell).await?),
        Place::Here(lock) => lock,
    };
    let commands = Commands::open_offline(config).await?;
    let done = run_here(&commands, command).await;
    commands.close().await;
    Ok(done?)
}

async fn run_here(commands: &Commands, command: &Command) -> Result<Answer, CommandError> {
    let (progress, mut lines) = mpsc::channel(PROGRESS_MAX);
    let origin = Origin::command_line();
    let mut running = pin!(commands.run(&origin, command.clone(), &progress));
    loop {
        tokio::select! {
            biased;
            Some(line) = lines.recv() => tell(&line),
            done = &mut running => return done,
        }
    }
}

/// What a long command says on its way stands beside its answer, not in it.
fn tell(line: &str) {
    // With nobody to read it, the answer still counts.
    drop(writeln!(io::stderr(), "{line}"));
}

fn fail(arguments: &Arguments, message: &str, code: u8) -> ExitCode {
    let shown = if arguments.json { show(&format!("{}\n", serde_json::json!({ "error": message }))) } else { Ok(()) };
    let told = writeln!(io::stderr(), "postern-core: {message}");
    // With both outputs gone nobody is left to tell; the code still says it.
    drop((shown, told));
    code.into()
}

fn show(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        Ok(()) | Err(_) => Ok(()),
    }
}
