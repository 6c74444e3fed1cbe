//! A server that ends sessions, or goes: each change has one outcome, and what is told of it is true.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use postern_core::{
    activity,
    sealing::MasterKey,
    secret::Secret,
    store::{Address, Operation, Outcome, Replay, ServerAddress, Store, StoreError},
};
use postern_core_link::testing::free_address;
use tempfile::TempDir;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    place::{Place, Postgres},
    store::{note, notes, opened},
};

const WRITERS: usize = 8;
/// More than there are sessions.
const ASKING: usize = 60;
/// A caller leaves after 4 s.
const WAIT_MAX: Duration = Duration::from_millis(3500);
const RECOVERY_MAX: Duration = Duration::from_secs(3);
const END_SESSIONS: &str = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'postern-core'";

/// What a caller is told, by what it means for the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Told {
    Done,
    CertainlyNot,
    Unknown,
}

/// Every change that was asked for, under a subject of its own.
type Asked = Vec<(String, Told)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_ended_under_load_leave_each_change_one_outcome() {
    let place = Place::new();
    let stores = [opened(&place).await, opened(&place).await];
    let over = Arc::new(AtomicBool::new(false));
    let mut loading = JoinSet::new();
    loading.spawn(load(stores.to_vec(), Arc::clone(&over)));
    let mut ended = 0;
    for _ in 0..20 {
        sleep(Duration::from_millis(100)).await;
        ended += place.count(END_SESSIONS).await;
    }
    assert!(ended > 20, "{ended} sessions ended");
    recovers(&stores).await;
    over.store(true, Ordering::SeqCst);
    let asked = loading.join_next().await.unwrap().unwrap();
    judge(&asked, &stores[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_for_seconds_is_told_of_truly_and_soon_used_again() {
    let (_folder, server, stores) = served().await;
    let over = Arc::new(AtomicBool::new(false));
    let mut loading = JoinSet::new();
    loading.spawn(load(stores.to_vec(), Arc::clone(&over)));
    sleep(Duration::from_millis(300)).await;
    server.stop().unwrap();
    sleep(Duration::from_secs(5)).await;
    server.run_again().unwrap();
    recovers(&stores).await;
    over.store(true, Ordering::SeqCst);
    let asked = loading.join_next().await.unwrap().unwrap();
    judge(&asked, &stores[0]).await;
    let refused = asked.iter().filter(|(_, told)| *told == Told::CertainlyNot).count();
    assert!(refused > 0, "nobody was told that the server is away");
    server.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_told_of_as_away_and_not_as_busy() {
    let (_folder, server, [store, other]) = served().await;
    let silence = Silence::of(&server);
    let mut asking = JoinSet::new();
    for number in 0..ASKING {
        let store = store.clone();
        asking.spawn(async move {
            let began = Instant::now();
            let asked = match number % 3 {
                0 => store.read(|tx| Box::pin(activity::newest(tx, 1))).await.map(drop),
                1 => polls(&store).await,
                _ => change(&store, "silent".to_owned()).await,
            };
            (asked.unwrap_err(), began.elapsed())
        });
    }
    for (error, took) in asking.join_all().await {
        assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::TimedOut), "{error:?}");
        assert!(took < WAIT_MAX, "{error:?} after {took:?}");
    }
    drop(silence);
    recovers(&[store, other]).await;
    server.stop().unwrap();
}

/// A server of its own, and two stores on it.
async fn served() -> (TempDir, Postgres, [Store; 2]) {
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let server = Postgres::start(&folder.path().join("server"), free_address().port()).unwrap();
    server.execute("postgres", "CREATE DATABASE postern").unwrap();
    let key = folder.path().join("master.key");
    MasterKey::create(&key).unwrap();
    let open = || {
        let address = ServerAddress::parse(Secret::new(server.url("postern"))).unwrap();
        Store::open(Address::Server(address), MasterKey::load(&key).unwrap())
    };
    let stores = [open().await.unwrap(), open().await.unwrap()];
    (folder, server, stores)
}

/// All processes of a server frozen, until it is dropped: connections open, and no answer comes.
struct Silence(Vec<String>);

impl Silence {
    fn of(server: &Postgres) -> Self {
        let first = server.pid().unwrap().to_string();
        // The first one first, so that it starts none after they are counted.
        let mut frozen = Self(vec![first.clone()]);
        frozen.signal("-STOP");
        let others = Command::new("pgrep").args(["-P", &first]).output().unwrap();
        frozen.0.extend(String::from_utf8(others.stdout).unwrap().lines().map(str::to_owned));
        frozen.signal("-STOP");
        frozen
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").arg(signal).args(&self.0).status().unwrap().success(), "{:?}", self.0);
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

/// Changes without end at each store, now as an operation and now without.
async fn load(stores: Vec<Store>, over: Arc<AtomicBool>) -> Asked {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, over) = (stores[writer % stores.len()].clone(), Arc::clone(&over));
        writers.spawn(async move {
            let mut asked = Asked::new();
            while !over.load(Ordering::SeqCst) {
                let subject = format!("{writer}-{}", asked.len());
                let began = Instant::now();
                let told = told(if asked.len().is_multiple_of(2) {
                    change(&store, subject.clone()).await
                } else {
                    operate(&store, subject.clone()).await
                });
                assert!(began.elapsed() < WAIT_MAX, "{subject} took {:?}: {told:?}", began.elapsed());
                asked.push((subject, told));
                sleep(Duration::from_millis(2)).await;
            }
            asked
        });
    }
    writers.join_all().await.into_iter().flatten().collect()
}

async fn change(store: &Store, subject: String) -> Result<(), StoreError> {
    store.write(move |tx| Box::pin(async move { note(tx, &subject).await })).await
}

/// Waits for a turn behind everybody else, and then as long as a read that nobody answers.
async fn polls(store: &Store) -> Result<(), StoreError> {
    let _turn = store.last_turn().await?;
    store.read(|tx| Box::pin(activity::newest(tx, 1))).await.map(drop)
}

async fn reads(store: &Store) -> bool {
    store.read::<_, StoreError, _>(|tx| Box::pin(activity::newest(tx, 1))).await.is_ok()
}

async fn operate(store: &Store, subject: String) -> Result<(), StoreError> {
    let operation = Operation { id: subject.clone(), kind: "test", payload: Vec::new() };
    let done = store.operate(Some(operation), |tx| {
        Box::pin(async move {
            match note(tx, &subject).await {
                Ok(()) => Outcome::Commit(Reply::Done),
                Err(error) => Outcome::Fail(Reply::Failed(error)),
            }
        })
    });
    match done.await? {
        Reply::Done => Ok(()),
        Reply::Failed(error) => Err(error),
    }
}

fn told(outcome: Result<(), StoreError>) -> Told {
    match outcome {
        Ok(()) => Told::Done,
        Err(StoreError::Unavailable { .. } | StoreError::TimedOut | StoreError::Overloaded) => Told::CertainlyNot,
        Err(StoreError::Uncertain { .. }) => Told::Unknown,
        Err(error) => panic!("{error:?}"),
    }
}

/// Both stores take changes again.
#[allow(clippy::print_stdout, reason = "a figure for whoever reads it")]
async fn recovers(stores: &[Store; 2]) {
    let began = Instant::now();
    for (number, store) in stores.iter().enumerate() {
        let after = || async { change(store, format!("after {number}")).await.is_ok() && reads(store).await };
        while !after().await {
            assert!(began.elapsed() < RECOVERY_MAX, "still away");
            sleep(Duration::from_millis(20)).await;
        }
    }
    println!("normal after {} ms", began.elapsed().as_millis());
}

#[allow(clippy::print_stdout, reason = "a figure for whoever reads it")]
async fn judge(asked: &Asked, store: &Store) {
    let mut found: HashMap<String, usize> = HashMap::new();
    for subject in notes(store).await {
        *found.entry(subject).or_default() += 1;
    }
    let mut counted: HashMap<Told, usize> = HashMap::new();
    for (subject, told) in asked {
        let times = found.get(subject).copied().unwrap_or_default();
        match told {
            Told::Done => assert_eq!(times, 1, "{subject} was told to be done"),
            Told::CertainlyNot => assert_eq!(times, 0, "{subject} was told to be undone"),
            Told::Unknown => assert!(times <= 1, "{subject} took place {times} times"),
        }
        *counted.entry(*told).or_default() += 1;
    }
    println!("{counted:?}");
    assert!(counted.get(&Told::Done).is_some_and(|done| *done > 10), "{counted:?}");
}

enum Reply {
    Done,
    Failed(StoreError),
}

impl Replay for Reply {
    fn to_stored(&self) -> Vec<u8> {
        Vec::new()
    }

    fn from_stored(stored: &[u8]) -> Option<Self> {
        stored.is_empty().then_some(Self::Done)
    }
}
