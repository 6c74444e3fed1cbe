//! `tests/play` plays every client to its end, and leaves nothing running however it ends itself.

use std::{fs, path::Path, time::Duration};

use postern_tests::{Process, eventually, process::Launch, programs::program};

const CLIENTS: [&str; 6] = ["legacy-desktop", "new-desktop", "mobile", "client-cli", "dg", "browser"];
const LIMIT: Duration = Duration::from_secs(90);

#[tokio::test]
async fn every_client_could_use_every_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut play = start(folder.path());
    let ended = play.ended(LIMIT).await.expect("it ends");
    assert!(ended.success(), "{}", play.log());
    for client in CLIENTS {
        assert!(play.log().contains(&format!("client={client} ")), "{client} was not played: {}", play.log());
    }
    assert!(play.log().lines().all(|line| line.starts_with("client=") && line.ends_with(" ok")), "{}", play.log());
    assert_eq!(left(folder.path()), [""; 0]);
}

#[tokio::test]
async fn who_is_interrupted_leaves_nothing_running() {
    let folder = tempfile::tempdir().expect("a folder");
    for signal in ["TERM", "INT"] {
        let mut play = start(folder.path());
        let lines = play.log().lines().count();
        eventually("it plays", LIMIT, || async { play.log().lines().count() > lines }).await.expect("a line");
        assert!(!left(folder.path()).is_empty(), "this proves nothing");
        play.signal(signal).expect("a signal");
        let ended = play.ended(LIMIT).await.expect("it ends");
        assert!(!ended.success(), "{}", play.log());
        assert_eq!(left(folder.path()), [""; 0], "{signal}");
    }
}

fn start(folder: &Path) -> Process {
    let programs = program("postern-edge").expect("the programs are built");
    let programs = programs.parent().expect("a folder").display().to_string();
    let environment = [("POSTERN_TEST_BIN_DIR", programs), ("TMPDIR", folder.display().to_string())];
    let launch = Launch {
        name: "tests/play".to_owned(),
        program: env!("CARGO_BIN_EXE_play-clients").into(),
        arguments: Vec::new(),
        environment: environment.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        log: folder.join("play.log"),
    };
    Process::start(launch).expect("it starts")
}

/// The programs that were told of a path in this folder.
fn left(folder: &Path) -> Vec<String> {
    let folder = folder.as_os_str().as_encoded_bytes();
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(|entry| Some(entry.ok()?.path()));
    let ours = processes.filter(|process| {
        let told = fs::read(process.join("environ")).unwrap_or_default();
        told.windows(folder.len()).any(|part| part == folder)
    });
    ours.filter_map(|process| fs::read_to_string(process.join("comm")).ok()).collect()
}
