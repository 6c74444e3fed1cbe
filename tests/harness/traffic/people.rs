//! Who calls: members with a laptop and a phone, and people who were invited and have not come yet.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use postern_tests::{
    Client,
    enrollment::{Enrollment, PASSWORD, public_key},
    in_turns,
};
use serde_json::{Value, json};

use crate::system::System;

/// Commands and enrollments at a time.
const AT_A_TIME: usize = 4;

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) login: String,
    pub(crate) laptop: Device,
    pub(crate) phone: Device,
    finger: Ed25519KeyPair,
}

#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) public_key: String,
    pub(crate) polling_token: String,
    pub(crate) location: i64,
}

/// Has a token, and will come once.
#[derive(Debug, Clone)]
pub(crate) struct Invited {
    pub(crate) login: String,
    pub(crate) token: String,
}

/// Everybody of one scenario.
#[derive(Debug, Clone)]
pub(crate) struct People {
    pub(crate) members: Arc<[Member]>,
    pub(crate) invited: Arc<[Invited]>,
}

impl People {
    /// New people whose logins begin with `name`.
    pub(crate) async fn gather(system: &System, name: &str, members: usize, invited: usize) -> Result<Self> {
        let commands = system.commands();
        let invitations = in_turns(members + invited, AT_A_TIME, |number| {
            let (commands, login) = (commands.clone(), format!("{name}-{number}"));
            async move { Ok(Invited { token: commands.invite(&login).await?, login }) }
        });
        let mut guests = invitations.await?.into_iter().collect::<Result<Vec<_>>>()?;
        let invited = guests.split_off(members);
        let guests: Arc<[Invited]> = guests.into();
        let client = system.client();
        let enrolling = system.hosts.public.spawn(async move {
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
    pub(crate) fn sign(&self, challenge: &str) -> String {
        STANDARD.encode(self.finger.sign(challenge.as_bytes()))
    }

    pub(crate) fn public_key(&self) -> String {
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
