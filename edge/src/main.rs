//! `postern-edge`: reads the settings, does what was asked, and turns the outcome into an exit code.

use std::{
    env,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use postern_edge::{
    config::{self, Command, ConfigError, Invocation, Remark, Settings},
    drain::Drain,
    identity, serve, telemetry,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::task::TaskTracker;

/// Takes a tenth off the processor time of a request, for 1 MiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// For an answer from this very machine.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let invocation = match config::parse(env::args_os(), env::vars_os()) {
        Ok(invocation) => invocation,
        Err(error) => return refuse(&error),
    };
    match obey(invocation) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postern-edge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn refuse(error: &ConfigError) -> ExitCode {
    match error {
        // Help goes to stdout and a wrong flag to stderr; if that is closed, nobody is left to tell.
        ConfigError::Usage(usage) => drop(usage.print()),
        ConfigError::Mistakes(mistakes) => eprintln!("postern-edge: {mistakes}"),
    }
    ExitCode::from(error.exit_code())
}

fn obey(Invocation { command, settings, remarks }: Invocation) -> Result<()> {
    match command {
        Command::CheckConfig => {
            eprintln!("postern-edge: the settings are fine");
            Ok(())
        }
        Command::Reset => reset(&settings),
        Command::Health => ask_livez(settings.http_listen),
        Command::Serve => serve_until_told(settings, &remarks),
    }
}

fn reset(settings: &Settings) -> Result<()> {
    identity::reset(&settings.identity_dir)?;
    eprintln!("postern-edge: the identity is gone; after a restart any Core that is allowed to may adopt this Edge");
    Ok(())
}

fn ask_livez(listen: SocketAddr) -> Result<()> {
    // Dual stack, so IPv4 does for `[::]` too.
    let ip = if listen.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listen.ip() };
    let address = SocketAddr::new(ip, listen.port());
    let mut stream =
        TcpStream::connect_timeout(&address, HEALTH_TIMEOUT).with_context(|| format!("cannot reach {address}"))?;
    stream.set_read_timeout(Some(HEALTH_TIMEOUT))?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).with_context(|| format!("no answer from {address}"))?;
    ensure!(&status == b"HTTP/1.1 200", "{address} does not live");
    Ok(())
}

fn serve_until_told(settings: Settings, remarks: &[Remark]) -> Result<()> {
    telemetry::start_logs(settings.log_level, settings.log_format);
    for remark in remarks {
        tracing::info!("settings: {remark}");
    }
    let metrics = telemetry::start_metrics().context("cannot record metrics")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let drain = Drain::default();
        let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let tasks = TaskTracker::new();
        let watch = tasks.spawn(heed(signals, drain.clone()));
        let served = serve::run(settings, metrics, drain).await;
        watch.abort();
        tasks.close();
        tasks.wait().await;
        Ok(served?)
    })
}

/// The first signal begins the drain, a second one ends the process at once.
async fn heed((mut terminate, mut interrupt): (Signal, Signal), drain: Drain) {
    next(&mut terminate, &mut interrupt).await;
    drain.begin();
    next(&mut terminate, &mut interrupt).await;
    tracing::warn!("told twice to stop: ending at once");
    std::process::exit(1);
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
