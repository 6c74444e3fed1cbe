//! The stores that the bench runs on: filled by the use cases themselves, an hour before now.

use std::{net::Ipv4Addr, num::NonZeroUsize, ops::Range, path::PathBuf, rc::Rc, sync::Arc};

use anyhow::Result;
use postern_core::{
    activity::{Attempt, Origin},
    clock::{Clock, Timestamp},
    device::{self, DeviceName, PublicKey},
    enrollment,
    location::{self, LocationForm, MfaMode, NewLocation},
    mail::MailUse,
    mfa::{
        Code, Network, Whereabouts,
        setup::{self, Confirmation},
    },
    password::{Password, PasswordHash, Passwords},
    person::{self, NewPerson, Person, PersonForm},
    sealing::MasterKey,
    store::{Address, Store, Tx},
    token::Token,
};
use postern_tests::{
    Authenticator, authenticator,
    enrollment::{PASSWORD, public_key},
};
use tempfile::TempDir;

use crate::{
    scene::Ground,
    visitors::{self, Invited, Member},
};

/// Changed in one transaction: ten times as many would still take less time than the store allows one.
const CHUNK: usize = 100;
/// Long enough ago that the codes shown then are worth nothing now, and so recent that no token has expired.
const AGE_SECONDS: i64 = 3600;

/// How many people of each kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowd {
    /// With a device in a location with MFA, an authenticator app and a password.
    pub(crate) members: usize,
    /// With nothing but a token.
    pub(crate) invited: usize,
}

/// A store, and who is in it.
#[derive(Debug, Clone)]
pub(crate) struct Seeded {
    pub(crate) crowd: Crowd,
    /// With a master key and, on SQLite, the database. Goes with the last that uses it.
    pub(crate) folder: Rc<TempDir>,
    pub(crate) members: PathBuf,
    pub(crate) invited: PathBuf,
}

/// Makes a store and everybody in it.
pub(crate) async fn fill(crowd: Crowd, ground: &Ground) -> Result<Seeded> {
    let folder = Rc::new(tempfile::Builder::new().prefix("postern-bench-").tempdir()?);
    let path = |name: &str| folder.path().join(name);
    let key = MasterKey::create(&path("master.key"))?;
    let address = match ground {
        Ground::File => Address::File(path("core.db")),
        Ground::Server(server, database) => {
            server.create(database)?;
            server.address(database)?
        }
    };
    let then = Timestamp::from_unix(Clock::system().now().as_unix() - AGE_SECONDS);
    let store = Store::open_with_clock(address, key, Clock::new(move || then)).await?;
    let (members, invited) = (path("members"), path("invited"));
    let seeded = Seeded { crowd, folder, members, invited };
    let filled = fill_store(&store, &seeded).await;
    store.close().await;
    filled.map(|()| seeded)
}

async fn fill_store(store: &Store, seeded: &Seeded) -> Result<()> {
    let place = add_location(store).await?;
    // One for all: hashing takes tens of milliseconds, and nobody shows it again.
    let passwords = Passwords::new(NonZeroUsize::MIN);
    let password = passwords.accept(Password::new(PASSWORD.to_owned()), Vec::new()).await?;
    let password = Arc::new(password);
    let mut members = Vec::new();
    for numbers in chunks(seeded.crowd.members) {
        members.extend(add_members(store, numbers, place, Arc::clone(&password)).await?);
    }
    visitors::write(&seeded.members, members.iter().map(Member::line))?;
    let mut invited = Vec::new();
    for numbers in chunks(seeded.crowd.invited) {
        invited.extend(add_invited(store, numbers).await?);
    }
    visitors::write(&seeded.invited, invited.iter().map(Invited::line))
}

fn chunks(count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).step_by(CHUNK).map(move |first| first..count.min(first + CHUNK))
}

async fn add_location(store: &Store) -> Result<i64> {
    let form = LocationForm {
        name: "Office".to_owned(),
        endpoint: "vpn.example.org:51820".to_owned(),
        public_key: public_key()?,
        addresses: vec!["10.64.0.1/14".parse()?, "fd00:77::1/64".parse()?],
        allowed_ips: vec!["10.0.0.0/8".parse()?],
        dns: vec!["10.64.0.1".parse()?],
        mfa_mode: MfaMode::Internal,
        keepalive_seconds: 25,
    };
    let new = NewLocation::try_from(form)?;
    let added = store
        .write::<_, anyhow::Error, _>(move |tx| {
            Box::pin(async move { Ok(location::add(tx, &new, &Origin::command_line()).await?) })
        })
        .await?;
    Ok(added.id.as_i64())
}

async fn add_members(
    store: &Store,
    numbers: Range<usize>,
    place: i64,
    password: Arc<PasswordHash>,
) -> Result<Vec<Member>> {
    store
        .write(move |tx| {
            Box::pin(async move {
                let mut members = Vec::new();
                for number in numbers {
                    members.push(add_member(tx, &format!("member-{number}"), place, &password).await?);
                }
                Ok(members)
            })
        })
        .await
}

async fn add_invited(store: &Store, numbers: Range<usize>) -> Result<Vec<Invited>> {
    store
        .write(move |tx| {
            Box::pin(async move {
                let mut invited = Vec::new();
                for number in numbers {
                    let (_, token) = invite(tx, &format!("invited-{number}")).await?;
                    invited.push(Invited { token: token.expose().to_owned() });
                }
                Ok(invited)
            })
        })
        .await
}

/// All that a person does to enroll, but for the hashing of a password.
async fn add_member(tx: &mut Tx, login: &str, place: i64, password: &PasswordHash) -> Result<Member> {
    let (person, token) = invite(tx, login).await?;
    let mut attempt = Attempt::new("seeded", Origin::command_line());
    enrollment::start(tx, &token, &mut attempt).await?;
    let seed = set_up_factor(tx, &token, &mut attempt).await?;
    let public_key = public_key()?;
    let name = DeviceName::parse("laptop")?;
    let handover = device::add(tx, &token, Some(&name), &PublicKey::parse(&public_key)?, &mut attempt).await?;
    tx.activate_person(person.id, password, None).await?;
    let polling_token = handover.polling_token.expose().to_owned();
    Ok(Member { polling_token, public_key, seed, location: place })
}

async fn invite(tx: &mut Tx, login: &str) -> Result<(Person, Token)> {
    let origin = Origin::command_line();
    let form = PersonForm {
        login: login.to_owned(),
        email: format!("{login}@example.org"),
        first_name: "Joe".to_owned(),
        last_name: "Doe".to_owned(),
        ..PersonForm::default()
    };
    let person = person::add(tx, &NewPerson::try_from(form)?, &origin).await?;
    let invitation = enrollment::invite(tx, login, &origin).await?;
    Ok((person, invitation.token))
}

/// Gives the seed of the authenticator app, in base32.
async fn set_up_factor(tx: &mut Tx, token: &Token, attempt: &mut Attempt) -> Result<String> {
    let seed = setup::start(tx, token, attempt).await?.to_base32().to_string();
    let step = u64::try_from(tx.now().as_unix())? / authenticator::STEP.as_secs();
    let code = Code::new(Authenticator::new(&seed)?.code_of(step));
    let network = Some(Network::of(Ipv4Addr::LOCALHOST.into()));
    let whereabouts = Whereabouts { network, polls: Arc::default() };
    let confirmation = Confirmation { token: token.clone(), code, whereabouts, mail: MailUse::Off };
    setup::finish(tx, &confirmation, attempt).await?;
    Ok(seed)
}
