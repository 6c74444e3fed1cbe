//! What Core says has happened, beside what people were told: an effect that happened twice is found here.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{load::Tally, visit::Effect};
use crate::{Commands, eventually};

/// The most that Core shows at once.
const ROWS_MAX: &str = "10000";
/// Rows bear the time at which their transaction began; all of them are there after this.
const MARGIN: time::Duration = time::Duration::seconds(6);

/// Of a login, and of an enrollment.
const EVENTS: [&str; 3] = ["client_mfa_finish", "new_device", "activate_user"];

/// An event, and for whom.
type Row = (String, String);

/// How Core's word differs from what people were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Happened more often than it was asked for.
    pub duplicates: usize,
    /// Somebody was told, and Core knows nothing of it.
    pub lost: usize,
    /// Of one transaction, some is there and some is not.
    pub half_done: usize,
}

/// Reads Core's activity log from one moment on, each row once.
#[derive(Debug)]
pub struct Ledger {
    commands: Commands,
    /// All before it was read.
    until: OffsetDateTime,
    /// How often each event was done, for whom.
    done: BTreeMap<Row, usize>,
}

impl Ledger {
    /// From now on: a whole second later than anything before it.
    pub async fn open(commands: Commands) -> Result<Self> {
        let begun = OffsetDateTime::now_utc().unix_timestamp();
        let next = || async { OffsetDateTime::now_utc().unix_timestamp() > begun };
        eventually("the next second", std::time::Duration::from_secs(2), next).await?;
        Ok(Self { commands, until: OffsetDateTime::from_unix_timestamp(begun + 1)?, done: BTreeMap::new() })
    }

    /// Reads on. To be called before so many rows are new that Core does not show them all.
    pub async fn read_on(&mut self) -> Result<()> {
        self.read_until(self.until.max(OffsetDateTime::now_utc() - MARGIN)).await
    }

    /// Reads the rest, once nothing is under way, and compares.
    pub async fn close(mut self, tally: &Tally) -> Result<Verdict> {
        self.read_until(OffsetDateTime::now_utc() + MARGIN).await?;
        let (told, asked) = (rows_of(&tally.told), rows_of(&tally.asked));
        let times = |rows: &BTreeMap<Row, usize>, row: &Row| rows.get(row).copied().unwrap_or_default();
        let missing = told.iter().map(|(row, told)| told.saturating_sub(times(&self.done, row)));
        let ours = self.done.iter().filter(|((event, _), _)| EVENTS.contains(&event.as_str()));
        let extra = ours.map(|(row, done)| done.saturating_sub(times(&asked, row)));
        let (lost, extra) = (missing.sum(), extra.sum::<usize>());
        let devices = self.devices().await?;
        let too_many = devices.values().map(|times| times - 1).sum::<usize>();
        let half_done = self.half_done(tally, &devices);
        Ok(Verdict { duplicates: extra + too_many, lost, half_done })
    }

    /// People who came with no device, and have not as many as Core says it made for them.
    fn half_done(&self, tally: &Tally, devices: &BTreeMap<Row, usize>) -> usize {
        let differs = |effect: &&Effect| {
            let Effect::Enrolled { login } = effect else { return false };
            let made = self.done.get(&("new_device".to_owned(), login.clone())).copied().unwrap_or_default();
            let there = devices.iter().filter(|((user, _), _)| user == login).map(|(_, times)| times).sum::<usize>();
            made != there
        };
        tally.asked.iter().filter(differs).count()
    }

    async fn read_until(&mut self, until: OffsetDateTime) -> Result<()> {
        let rows = self.commands.json(&["activity", "--limit", ROWS_MAX]).await?;
        let rows = rows.as_array().context("the activity is no list")?;
        let mut seen_older = rows.len() < 10_000;
        for row in rows {
            let at = OffsetDateTime::parse(text(row, "at")?, &Rfc3339)?;
            seen_older |= at < self.until;
            if (self.until..until).contains(&at) && row["outcome"] == "done" && row["detail"] != "repeated" {
                *self.done.entry((text(row, "event")?.to_owned(), text(row, "subject")?.to_owned())).or_default() += 1;
            }
        }
        ensure!(seen_older, "more happened than Core shows at once: read more often");
        self.until = until;
        Ok(())
    }

    /// By person and name: each name is used once.
    async fn devices(&self) -> Result<BTreeMap<Row, usize>> {
        let mut names = BTreeMap::new();
        let devices = self.commands.json(&["device", "list"]).await?;
        for device in devices.as_array().context("the devices are no list")? {
            let name = (text(device, "user")?.to_owned(), text(device, "name")?.to_owned());
            *names.entry(name).or_default() += 1;
        }
        Ok(names)
    }
}

fn rows_of(effects: &[Effect]) -> BTreeMap<Row, usize> {
    let mut rows = BTreeMap::new();
    for row in effects.iter().flat_map(Effect::rows) {
        *rows.entry(row).or_default() += 1;
    }
    rows
}

impl Effect {
    /// What Core writes down about it.
    fn rows(&self) -> Vec<Row> {
        let (events, login) = match self {
            Self::LoggedIn { login } | Self::Approved { login } => (&EVENTS[..1], login),
            Self::Enrolled { login } => (&EVENTS[1..], login),
        };
        events.iter().map(|event| ((*event).to_owned(), login.clone())).collect()
    }
}

fn text<'a>(row: &'a Value, field: &str) -> Result<&'a str> {
    row[field].as_str().with_context(|| format!("no {field} in {row}"))
}
