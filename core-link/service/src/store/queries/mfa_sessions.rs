//! Queries on logins under way.

use std::time::Duration;

use super::{
    Tx,
    attempts::standings,
    authorisations::{authorise, authorise_query, seal_preshared_key},
    posture,
};
use crate::{
    clock::Timestamp,
    device::{DeviceId, PublicKey},
    location::{LocationId, MfaMode},
    mfa::{
        Network, PresharedKey, SealedSeed, Side,
        login::{LoginDevice, LoginPlace, LoginSession, LoginSessionId, Method, NewLogin},
    },
    person::PersonId,
    store::{
        StoreError,
        sql::{Row, sql, sql_for_each},
    },
    token::TokenDigest,
};

/// An expired login is remembered this long, so that its owner is told that it expired.
const KEPT_AFTER_EXPIRY: Duration = Duration::from_mins(10);
const SWEPT_MAX: i64 = 4_000;

macro_rules! insert_query {
    () => {
        "INSERT INTO mfa_sessions (digest, device_id, location_id, is_familiar, method, created_at, expires_at, posture)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $9)"
    };
}

/// All but the newest of those that the statement sees.
macro_rules! prune_query {
    ($kept:literal) => {
        concat!(
            "DELETE FROM mfa_sessions WHERE device_id = $2 AND is_familiar = $4 AND id <=
             (SELECT id FROM mfa_sessions WHERE device_id = $2 AND is_familiar = $4 ORDER BY id DESC LIMIT 1 OFFSET ",
            $kept,
            ")"
        )
    };
}

impl Tx {
    /// A location, and the device with this key as that location sees it: one statement, so one snapshot.
    pub async fn login_place(
        &mut self,
        location: LocationId,
        key: Option<&PublicKey>,
        network: Option<Network>,
    ) -> Result<Option<LoginPlace>, StoreError> {
        let row = sql("SELECT l.mfa_mode, d.id AS device_id, p.id AS person_id, p.login, p.disabled_at, p.enrolled_at,
                    a.sealed_seed IS NOT NULL AS has_factor, n.seen_at,
                    EXISTS (SELECT 1 FROM mail_factors AS f
                            WHERE f.person_id = p.id AND f.confirmed_at IS NOT NULL) AS has_mail_factor,
                    EXISTS (SELECT 1 FROM phone_keys AS k WHERE k.device_id = d.id) AS has_phone_key,
                    EXISTS (SELECT 1 FROM devices AS o JOIN phone_keys AS k ON k.device_id = o.id
                            WHERE o.person_id = p.id) AS owner_has_phone,
                    EXISTS (SELECT 1 FROM device_addresses AS x
                            WHERE x.device_id = d.id AND x.location_id = l.id) AS has_access
             FROM locations AS l
             LEFT JOIN devices AS d ON d.public_key = $2
             LEFT JOIN people AS p ON p.id = d.person_id
             LEFT JOIN authenticators AS a ON a.person_id = p.id
             LEFT JOIN familiar_networks AS n ON n.person_id = p.id AND n.network = $3
             WHERE l.id = $1")
        .bind(location.0)
        .bind(key.map(PublicKey::as_str))
        .bind(network.map(|network| network.to_string()))
        .fetch_optional(&mut self.connection)
        .await?;
        row.map(|row| Ok(LoginPlace { mfa_mode: mfa_mode(&row)?, device: login_device(&row)? })).transpose()
    }

    /// Keeps a new login, and forgets all but the newest few of its device that were begun on this side.
    pub async fn insert_login(&mut self, login: &NewLogin, kept: u32) -> Result<(), StoreError> {
        let now = self.now();
        sql_for_each(
            concat!(insert_query!(), ";", prune_query!("$8")),
            concat!("WITH pruned AS (", prune_query!("$8 - 1"), ") ", insert_query!()),
        )
        .bind(login.token.as_bytes())
        .bind(login.device.0)
        .bind(login.location.0)
        .bind(is_familiar(login.side))
        .bind(login.method.as_str())
        .bind(now.as_unix())
        .bind(login.expires_at.as_unix())
        .bind(kept)
        .bind(login.posture.as_ref().map(posture::text))
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// A login with all that may have changed since it began.
    pub async fn login(
        &mut self,
        token: &TokenDigest,
        network: Option<Network>,
    ) -> Result<Option<LoginSession>, StoreError> {
        let row = sql(
            "SELECT s.id, s.device_id, s.location_id, s.method, s.expires_at, s.delivered_at, s.openid_passed_at, s.posture,
                    s.sealed_preshared_key IS NOT NULL AS is_approved, l.name AS location_name, l.mfa_mode,
                    p.id AS person_id, p.login, p.disabled_at, a.sealed_seed,
                    a.familiar_failures, a.elsewhere_failures, a.elsewhere_retry_at,
                    n.seen_at, n.failures, n.retry_at,
                    EXISTS (SELECT 1 FROM device_addresses AS x
                            WHERE x.device_id = s.device_id AND x.location_id = s.location_id) AS has_access
             FROM mfa_sessions AS s
             JOIN locations AS l ON l.id = s.location_id
             JOIN devices AS d ON d.id = s.device_id
             JOIN people AS p ON p.id = d.person_id
             LEFT JOIN authenticators AS a ON a.person_id = p.id
             LEFT JOIN familiar_networks AS n ON n.person_id = p.id AND n.network = $2
             WHERE s.digest = $1",
        )
        .bind(token.as_bytes())
        .bind(network.map(|network| network.to_string()))
        .fetch_optional(&mut self.connection)
        .await?;
        row.as_ref().map(login_session).transpose()
    }

    /// Ends a login that passed: its device is let into the location, in place of whatever let it in before.
    pub async fn pass_login(
        &mut self,
        login: &LoginSession,
        key: &PresharedKey,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let sealed = seal_preshared_key(self.sealer(), login.device, login.location, key);
        authorise!("DELETE FROM mfa_sessions WHERE id = $1")
            .bind(login.id.0)
            .bind(login.device.0)
            .bind(login.location.0)
            .bind(sealed)
            .bind(now.as_unix())
            .bind(until.as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub async fn end_logins_of(&mut self, person: PersonId) -> Result<(), StoreError> {
        sql("DELETE FROM mfa_sessions WHERE device_id IN (SELECT id FROM devices WHERE person_id = $1)")
            .bind(person.0)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub(in crate::store) async fn sweep_logins(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        sql("DELETE FROM mfa_sessions WHERE id IN
             (SELECT id FROM mfa_sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)")
        .bind(now.as_unix() - kept_seconds())
        .bind(SWEPT_MAX)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }
}

pub(super) fn kept_seconds() -> i64 {
    i64::try_from(KEPT_AFTER_EXPIRY.as_secs()).unwrap_or(i64::MAX)
}

fn login_device(row: &Row) -> Result<Option<LoginDevice>, StoreError> {
    let Some(id) = row.try_get::<Option<i64>>("device_id")? else { return Ok(None) };
    let person: Option<i64> = row.try_get("person_id")?;
    let owner = person.map(|person| Ok::<_, StoreError>((PersonId(person), row.try_get("login")?))).transpose()?;
    Ok(Some(LoginDevice {
        id: DeviceId(id),
        owner,
        owner_is_disabled: row.try_get::<Option<i64>>("disabled_at")?.is_some(),
        owner_is_enrolled: row.try_get::<Option<i64>>("enrolled_at")?.is_some(),
        has_factor: row.try_get("has_factor")?,
        has_mail_factor: row.try_get("has_mail_factor")?,
        has_phone_key: row.try_get("has_phone_key")?,
        owner_has_phone: row.try_get("owner_has_phone")?,
        has_access: row.try_get("has_access")?,
        network_seen_at: seen_at(row)?,
    }))
}

fn login_session(row: &Row) -> Result<LoginSession, StoreError> {
    Ok(LoginSession {
        id: LoginSessionId(row.try_get("id")?),
        device: DeviceId(row.try_get("device_id")?),
        location: LocationId(row.try_get("location_id")?),
        location_name: row.try_get("location_name")?,
        method: Method::parse(row.try_get("method")?).ok_or(StoreError::Damaged { table: "mfa_sessions" })?,
        has_passed_openid: row.try_get::<Option<i64>>("openid_passed_at")?.is_some(),
        is_approved: row.try_get("is_approved")?,
        delivered_at: row.try_get::<Option<i64>>("delivered_at")?.map(Timestamp::from_unix),
        posture: row.try_get::<Option<&str>>("posture")?.map(posture::report).transpose()?,
        expires_at: Timestamp::from_unix(row.try_get("expires_at")?),
        mfa_mode: mfa_mode(row)?,
        person: PersonId(row.try_get("person_id")?),
        login: row.try_get("login")?,
        person_is_disabled: row.try_get::<Option<i64>>("disabled_at")?.is_some(),
        has_access: row.try_get("has_access")?,
        sealed_seed: row.try_get::<Option<Vec<u8>>>("sealed_seed")?.map(SealedSeed),
        standings: standings(row)?,
        network_seen_at: seen_at(row)?,
    })
}

fn is_familiar(side: Side) -> bool {
    match side {
        Side::Familiar(_) => true,
        Side::Elsewhere => false,
    }
}

fn seen_at(row: &Row) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.try_get::<Option<i64>>("seen_at")?.map(Timestamp::from_unix))
}

fn mfa_mode(row: &Row) -> Result<MfaMode, StoreError> {
    MfaMode::parse(row.try_get("mfa_mode")?).ok_or(StoreError::Damaged { table: "locations" })
}
