//! A store of many people, which does not fit into memory at once.

use std::{fs, time::Instant};

use postern_core::{
    sealing::MasterKey,
    secret::Secret,
    store::{ServerAddress, copy},
};

use super::{Move, reading};

const PEOPLE: u32 = 5_000;
/// A hundredth of what the rows of 50,000 people take.
const MEMORY_MAX_KIB: u64 = 24 * 1024;
/// For each thousand people, with debug assertions and others at work.
const SECONDS_MAX: u64 = 20;

/// Of each person: a token, a device with its address and its polling token, an app with recovery codes, and a history.
const ROWS: &str = "
    CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 10 + {people} - 1)
        SELECT i FROM n;
    INSERT INTO people (id, login, email, first_name, last_name, is_admin, created_at)
        SELECT i, 'p' || i, 'p' || i || '@example.org', 'Joe', 'Doe', 0, i FROM n;
    INSERT INTO enrollment_tokens (id, person_id, digest, created_at, expires_at)
        SELECT i, i, randomblob(32), i, i + 86400 FROM n;
    INSERT INTO devices (id, person_id, name, public_key, enrollment_token_id, created_at)
        SELECT i, i, 'laptop', hex(randomblob(22)), i, i FROM n;
    INSERT INTO device_addresses SELECT 1, 0, 1000 + i, i FROM n;
    INSERT INTO polling_tokens SELECT i, i, randomblob(32), i FROM n;
    INSERT INTO authenticators (person_id, sealed_seed) SELECT i, randomblob(60) FROM n;
    INSERT INTO recovery_codes SELECT n.i, randomblob(32), NULL FROM n, (SELECT i FROM n LIMIT 8);
    INSERT INTO activity (at, event, actor, subject, outcome, detail)
        SELECT n.i, 'person_added', 'cli', 'p' || n.i, 'done', '' FROM n, (SELECT i FROM n LIMIT 8);";

#[tokio::test]
async fn a_large_store_moves_in_little_memory_and_in_sane_time() {
    let moving = Move::of_little().await;
    let people = std::env::var("POSTERN_TEST_PEOPLE").ok().and_then(|people| people.parse().ok()).unwrap_or(PEOPLE);
    reading::change_text(&moving.file(), ROWS.replace("{people}", &people.to_string())).await;
    let server = ServerAddress::parse(Secret::new(moving.database.url())).unwrap();
    let key = MasterKey::load(&moving.key_file()).unwrap();
    // From here on the highest is counted anew.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = highest_memory_kib();

    let begun = Instant::now();
    let copied = copy(&moving.file(), &server, &key).await.unwrap();

    let (took, memory) = (begun.elapsed(), highest_memory_kib().saturating_sub(before));
    let rows: u64 = copied.tables.iter().map(|(_, rows)| rows).sum();
    eprintln!("{people} people, {rows} rows copied and compared in {took:?}, with {memory} KiB more memory");
    assert!(rows > u64::from(people) * 22, "{rows}");
    assert!(memory < MEMORY_MAX_KIB, "{memory} KiB");
    assert!(took.as_secs() < SECONDS_MAX * u64::from(people).div_ceil(1000), "{took:?}");
}

fn highest_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
