//! Who calls: members with a laptop and a phone, and people who were invited and have not come yet.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::{
    Client, Commands,
    enrollment::{Enrollment, PASSWORD, public_key},
    in_turns,
};

/// Commands and enrollments at a time.
const AT_A_TIME: usize = 4;

#[derive(Debug)]
pub struct Member {
    pub login: String,
    pub laptop: Device,
    pub phone: Device,
    finger: Ed25519KeyPair,
}

#[derive(Debug, Clone)]
pub struct Device {
    pub public_key: String,
    pub polling_token: String,
    pub location: i64,
}

/// Has a token, and will come once.
#[derive(Debug, Clone)]
pub struct Invited {
    pub login: String,
    pub token: String,
}

/// Everybody of one scenario.
#[derive(Debug, Clone)]
pub struct People {
    pub members: Arc<[Member]>,
    pub invited: Arc<[Invited]>,
}

/// Who invites them, and where they call.
#[derive(Debug, Clone)]
pub struct Meeting {
    pub commands: Commands,
    pub client: Client,
    /// On the host that people call from.
    pub threads: Handle,
}

impl People {
    /// New people whose logins begin with `name`.
    pub async fn gather(meeting: Meeting, name: &str, members: usize, invited: usize) -> Result<Self> {
        let Meeting { commands, client, threads } = meeting;
        let invitations = in_turns(members + invited, AT_A_TIME, |number| {
            let (commands, login) = (commands.clone(), format!("{name}-{number}"));
            async move { Ok(Invited { token: commands.invite(&login).await?, login }) }
        });
        let mut guests = invitations.await?.into_iter().collect::<Result<Vec<_>>>()?;
        let invited = guests.split_off(members);
        let guests: Arc<[Invited]> = guests.into();
        let enrolling = threads.spawn(async move {
            in_turns(guests.len(), AT_A_TIME, |number| {
                let (client, guests) = (client.clone(), Arc::clone(&guests));
                async move { Member::enroll(&client, &guests[number]).await }
            })
            .await
        });
        let members = enrolling.await??.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(Self { members: members.into(), invited: invited.into() })
    }
}

impl Member {
    async fn enroll(client: &Client, guest: &Invited) -> Result<Self> {
        let enrollment = Enrollment::start(client, &guest.token).await?;
        let laptop = Device::create(&enrollment, "laptop").await?;
        let phone = Device::create(&enrollment, "phone").await?;
        let finger = Ed25519KeyPair::generate().ok().context("no key")?;
        let keys = json!({
            "auth_pub_key": STANDARD.encode(finger.public_key()), "device_pub_key": phone.public_key,
        });
        let registered = enrollment.post("/api/v1/enrollment/register_mobile", &keys).await?;
        ensure!(registered.status == 200, "register_mobile: {registered:?}");
        let activated = enrollment.activate_user(PASSWORD).await?;
        ensure!(activated.status == 200, "activate_user: {activated:?}");
        Ok(Self { login: guest.login.clone(), laptop, phone, finger })
    }

    /// What the finger unlocks: a signature over the challenge.
    pub fn sign(&self, challenge: &str) -> String {
        STANDARD.encode(self.finger.sign(challenge.as_bytes()))
    }

    pub fn public_key(&self) -> String {
        STANDARD.encode(self.finger.public_key())
    }
}

impl Device {
    async fn create(enrollment: &Enrollment, name: &str) -> Result<Self> {
        let key = public_key()?;
        let reply = enrollment.create_device(name, &key).await?;
        ensure!(reply.status == 200, "create_device: {reply:?}");
        let body: Value = reply.json()?;
        let polling_token = body["token"].as_str().context("create_device gave no polling token")?.to_owned();
        let location = body["configs"][0]["network_id"].as_i64().context("the device has no location")?;
        Ok(Self { public_key: key, polling_token, location })
    }
}
