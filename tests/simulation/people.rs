//! The simulated public side: people whose calls go through a model of our NGINX, which asks one Edge after the other
//! under one operation id and one budget.

use std::{io, time::Duration};

use postern_proto::limits::REQUEST_BUDGET;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};
use turmoil::net::TcpStream;

use crate::{
    core_host::CALM,
    faults::HEALED,
    identities::EDGES,
    network::FRONT_PORT,
    scene::{Dice, Scene},
};

/// Where people are.
pub(crate) const PEOPLE: &str = "people";
const OPERATIONS: usize = 30;
/// `proxy_connect_timeout` and `proxy_read_timeout` of our NGINX file.
const CONNECT_MAX: Duration = Duration::from_millis(250);
const SILENCE_MAX: Duration = Duration::from_millis(2_200);
/// The simulated clock moves in steps.
const LATENESS_MAX: Duration = Duration::from_millis(50);
/// From the end of all faults until every link is up again: silence is noticed after 6 s (by an Edge that leaves, too),
/// a dial that was under way takes up to 3 s, and what follows is a second dial with the pauses around both.
const READY_AGAIN_MAX: Duration = Duration::from_secs(16);
/// A request that hangs in a Core ends with its budget.
const QUIET_MAX: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What NGINX got from one Edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(u16, String),
    /// Nothing was sent.
    Unreachable,
    /// Sent, and no answer came.
    Nothing,
}

impl Answer {
    /// `proxy_next_upstream error timeout http_502 http_503 http_504 non_idempotent`.
    fn is_passed_on(&self) -> bool {
        match self {
            Self::Status(status, _) => matches!(status, 502..=504),
            Self::Unreachable | Self::Nothing => true,
        }
    }

    /// Says that nothing happened, and must be right.
    fn is_certainly_without_effect(&self) -> bool {
        match self {
            Self::Status(status, _) => matches!(status, 429 | 503),
            Self::Unreachable => true,
            Self::Nothing => false,
        }
    }
}

pub(crate) async fn run(scene: Scene) -> turmoil::Result {
    let (_, dice) = scene.enter(PEOPLE);
    let (mut operations, mut told) = (JoinSet::new(), Vec::new());
    for number in 0..OPERATIONS {
        let person = Person::new(number, &scene, &dice);
        operations.spawn(person.live());
    }
    while let Some(ended) = operations.join_next().await {
        told.push(ended?);
    }
    while scene.trace.now() < HEALED {
        sleep(LOOK_AGAIN).await;
    }
    settle(&scene).await;
    // Only now: what was begun for somebody may have taken effect long after they were told that it had not.
    told.iter().for_each(|told| told.check(&scene));
    Ok(())
}

/// What one person was told in the end.
struct Told {
    operation: String,
    payload: String,
    /// It has happened.
    done: bool,
    /// Nothing has happened, by every answer.
    certainly_not: bool,
}

impl Told {
    fn check(&self, scene: &Scene) {
        let (operation, effects) = (&self.operation, scene.memory.effects(&self.payload));
        if self.done && effects != 1 {
            scene.trace.accuse(format!("{operation} succeeded with {effects} effects"));
        }
        if self.certainly_not && effects != 0 {
            scene.trace.accuse(format!("{operation} certainly had no effect, it was told, and had one"));
        }
    }
}

/// After the end of all faults: ready, then working, then quiet.
async fn settle(scene: &Scene) {
    let ready_by = HEALED + READY_AGAIN_MAX;
    eventually(scene, ready_by, "every link is up again", || {
        scene.registries().iter().all(|edge| edge.is_ready() && edge.tunnel_count() == 2)
            && scene.supervisors().iter().flat_map(|core| core.statuses()).all(|link| is_up(&link.state))
    })
    .await;
    scene.trace.note(PEOPLE, "every link is up");
    for edge in EDGES {
        answers_again(scene, edge, ready_by).await;
    }
    let quiet_by = scene.trace.now() + QUIET_MAX;
    eventually(scene, quiet_by, "nothing is in flight any more", || {
        scene.registries().iter().all(|edge| edge.in_flight() == 0 && edge.waits() == 0)
            && scene.supervisors().iter().flat_map(|core| core.statuses()).all(|link| link.in_flight == 0)
            && scene.memory.running() == 0
    })
    .await;
}

/// A tunnel that lost a message may look well for as long as silence is borne, so this may take several tries.
async fn answers_again(scene: &Scene, edge: &str, by: Duration) {
    for attempt in 0.. {
        let person = Person::calm(format!("last-{edge}-{attempt}"), Duration::from_millis(5), scene);
        let answer = person.ask(edge, Instant::now() + REQUEST_BUDGET).await;
        if matches!(answer, Answer::Status(200, _)) {
            return;
        }
        if scene.trace.now() > by {
            return scene.trace.accuse(format!("{edge} is up and answers {answer:?}"));
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn is_up(state: &postern_core_link::LinkState) -> bool {
    matches!(state, postern_core_link::LinkState::Connected { .. })
}

pub(crate) async fn eventually(scene: &Scene, by: Duration, what: &str, is_so: impl Fn() -> bool) {
    while !is_so() {
        if scene.trace.now() > by {
            return scene.trace.accuse(format!("not in time: {what}"));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// One operation, from the first try to the last.
pub(crate) struct Person {
    operation: String,
    payload: String,
    scene: Scene,
    dice: Dice,
}

impl Person {
    fn new(number: usize, scene: &Scene, dice: &Dice) -> Self {
        let (work, way_back) = match dice.below(10) {
            0 => (5_000, 0),
            1 => (dice.below(3_000), 0),
            2 => (10, dice.below(3_000)),
            _ => (dice.below(40), dice.below(20)),
        };
        Self {
            operation: format!("op-{number}"),
            payload: format!("p{number}.{work}.{way_back}"),
            scene: scene.clone(),
            dice: Dice::new(scene.seed ^ number as u64),
        }
    }

    /// Who asks for this once, and is never told that the database is busy.
    pub(crate) fn calm(operation: String, work: Duration, scene: &Scene) -> Self {
        let payload = format!("{CALM}-{operation}.{}.0", work.as_millis());
        Self { operation, payload, scene: scene.clone(), dice: Dice::new(scene.seed) }
    }

    async fn live(self) -> Told {
        sleep(self.dice.millis(200, 5_000)).await;
        let (mut done, mut certain) = self.call().await;
        // Whoever got no clear answer asks again, sometimes: still the same operation.
        if !done && self.dice.happens(0.5) {
            sleep(self.dice.millis(100, 1_000)).await;
            let again = self.call().await;
            (done, certain) = (again.0, certain && again.1);
        }
        Told { operation: self.operation, payload: self.payload, done, certainly_not: certain }
    }

    /// As NGINX does it. Says whether it succeeded, and whether every answer said that nothing happened.
    pub(crate) async fn call(&self) -> (bool, bool) {
        let begun = Instant::now();
        let deadline = begun + REQUEST_BUDGET;
        let mut certain = true;
        let mut last = Answer::Unreachable;
        for edge in self.dice.shuffled(&EDGES) {
            if Instant::now() >= deadline {
                break;
            }
            last = self.ask(edge, deadline).await;
            certain &= last.is_certainly_without_effect();
            if !last.is_passed_on() {
                break;
            }
        }
        let took = begun.elapsed();
        self.scene.trace.note(PEOPLE, format_args!("{} ends after {took:?}: {last:?}", self.operation));
        if took > REQUEST_BUDGET + LATENESS_MAX {
            self.scene.trace.accuse(format!("{} took {took:?}", self.operation));
        }
        (matches!(last, Answer::Status(200, _)), certain)
    }

    async fn ask(&self, edge: &str, deadline: Instant) -> Answer {
        self.ask_within(edge, deadline, SILENCE_MAX).await
    }

    /// As without an NGINX, which would ask another Edge after a while.
    pub(crate) async fn ask_patiently(&self, edge: &str, deadline: Instant) -> Answer {
        self.ask_within(edge, deadline, REQUEST_BUDGET + LATENESS_MAX).await
    }

    async fn ask_within(&self, edge: &str, deadline: Instant, silence_max: Duration) -> Answer {
        let connected_by = deadline.min(Instant::now() + CONNECT_MAX);
        let Ok(Ok(stream)) = timeout_at(connected_by, TcpStream::connect((edge, FRONT_PORT))).await else {
            return Answer::Unreachable;
        };
        let now = Instant::now();
        match timeout_at((deadline + LATENESS_MAX).min(now + silence_max), self.exchange(stream, deadline - now)).await
        {
            Ok(Ok(line)) => self.read(&line),
            Ok(Err(_)) | Err(_) => Answer::Nothing,
        }
    }

    async fn exchange(&self, mut stream: TcpStream, left: Duration) -> io::Result<String> {
        let line = format!("{} {} {}\n", self.operation, self.payload, left.as_millis());
        stream.write_all(line.as_bytes()).await?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).await?;
        Ok(answer)
    }

    fn read(&self, line: &str) -> Answer {
        let Some((status, text)) = line.trim_end().split_once(' ') else { return Answer::Nothing };
        let Ok(status) = status.parse() else { return Answer::Nothing };
        if status == 200 && Some(text) != self.scene.memory.reply(&self.operation).as_deref() {
            self.scene.trace.accuse(format!("{} got a reply that is not the stored one: {text}", self.operation));
        }
        if status == 500 {
            self.scene.trace.accuse(format!("{}: {text}", self.operation));
        }
        Answer::Status(status, text.to_owned())
    }
}
