//! Queries on what passed logins opened.

use super::Tx;
use crate::{
    device::DeviceId,
    location::LocationId,
    mfa::PresharedKey,
    person::PersonId,
    sealing::{Place, Sealer},
    store::{StoreError, sql::sql},
};

/// Lets a device (`$2`) into a location (`$3`), in place of whatever let it in before.
macro_rules! authorise_query {
    () => {
        "INSERT INTO authorisations (device_id, location_id, sealed_preshared_key, authorised_at, authorised_until)
         VALUES ($2, $3, $4, $5, $6)
         ON CONFLICT (device_id, location_id) DO UPDATE SET sealed_preshared_key = excluded.sealed_preshared_key,
             authorised_at = excluded.authorised_at, authorised_until = excluded.authorised_until"
    };
}
pub(super) use authorise_query;

/// What happens to a login, and then its device is let in.
macro_rules! authorise {
    ($login:literal) => {
        sql_for_each(
            concat!($login, "; ", authorise_query!()),
            concat!("WITH login AS (", $login, ") ", authorise_query!()),
        )
    };
}
pub(super) use authorise;

impl Tx {
    pub async fn end_authorisations_of(&mut self, person: PersonId) -> Result<(), StoreError> {
        sql("DELETE FROM authorisations WHERE device_id IN (SELECT id FROM devices WHERE person_id = $1)")
            .bind(person.0)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

pub(super) fn seal_preshared_key(
    sealer: &Sealer,
    device: DeviceId,
    location: LocationId,
    key: &PresharedKey,
) -> Vec<u8> {
    sealer.seal(place(&row_name(device, location)), key.as_bytes())
}

/// The key of a row in `authorisations`.
pub(super) fn open_preshared_key(
    sealer: &Sealer,
    device: DeviceId,
    location: LocationId,
    sealed: &[u8],
) -> Result<PresharedKey, StoreError> {
    let key = sealer.open(place(&row_name(device, location)), sealed)?;
    PresharedKey::from_bytes(&key).ok_or(StoreError::Damaged { table: "authorisations" })
}

fn row_name(device: DeviceId, location: LocationId) -> [u8; 16] {
    let mut name = [0; 16];
    name[..8].copy_from_slice(&device.0.to_be_bytes());
    name[8..].copy_from_slice(&location.0.to_be_bytes());
    name
}

fn place(row: &[u8]) -> Place<'_> {
    Place { table: "authorisations", column: "sealed_preshared_key", row }
}
