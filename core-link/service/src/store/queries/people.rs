//! Queries on people.

use super::Tx;
use crate::{
    mfa::{NETWORK_MAX, SIDE_MAX},
    password::PasswordHash,
    person::{NewPerson, Person, PersonId, PersonSummary},
    store::{
        StoreError,
        sql::{Row, sql},
    },
};

impl Tx {
    /// `None`: login or e-mail address are taken.
    pub async fn insert_person(&mut self, new: &NewPerson) -> Result<Option<PersonId>, StoreError> {
        let now = self.now();
        let [login, email, first_name, last_name] = new.columns();
        let id = sql("INSERT INTO people (login, email, first_name, last_name, phone, is_admin, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING id")
        .bind(login)
        .bind(email)
        .bind(first_name)
        .bind(last_name)
        .bind(new.phone())
        .bind(new.is_admin())
        .bind(now.as_unix())
        .scalar_optional(&mut self.connection)
        .await?;
        Ok(id.map(PersonId))
    }

    pub async fn people(&mut self) -> Result<Vec<PersonSummary>, StoreError> {
        let rows = sql(
            "SELECT p.id AS person_id, p.login, p.email, p.first_name, p.last_name, p.phone, p.is_admin, p.disabled_at,
                    p.enrolled_at, a.sealed_seed IS NOT NULL OR EXISTS
                        (SELECT 1 FROM devices AS d JOIN phone_keys AS k ON k.device_id = d.id
                         WHERE d.person_id = p.id) OR EXISTS
                        (SELECT 1 FROM mail_factors AS f
                         WHERE f.person_id = p.id AND f.confirmed_at IS NOT NULL) AS has_factor,
                    EXISTS (SELECT 1 FROM openid_identities AS o WHERE o.person_id = p.id) AS has_openid,
                    COALESCE(a.familiar_failures >= $1 OR a.elsewhere_failures >= $1, FALSE) OR EXISTS
                        (SELECT 1 FROM familiar_networks AS n WHERE n.person_id = p.id AND n.failures >= $2) AS is_locked,
                    (SELECT COUNT(*) FROM devices AS d WHERE d.person_id = p.id) AS devices
             FROM people AS p LEFT JOIN authenticators AS a ON a.person_id = p.id ORDER BY p.login",
        )
        .bind(i64::from(SIDE_MAX))
        .bind(i64::from(NETWORK_MAX))
        .fetch_all(&mut self.connection)
        .await?;
        let summary = |row| {
            Ok(PersonSummary {
                person: person(row)?,
                has_factor: row.try_get("has_factor")?,
                has_openid: row.try_get("has_openid")?,
                is_locked: row.try_get("is_locked")?,
                devices: row.try_get("devices")?,
            })
        };
        rows.iter().map(summary).collect()
    }

    pub async fn person_by_login(&mut self, login: &str) -> Result<Option<Person>, StoreError> {
        let row = sql(
            "SELECT id AS person_id, login, email, first_name, last_name, phone, is_admin, disabled_at, enrolled_at
             FROM people WHERE login = $1",
        )
        .bind(login)
        .fetch_optional(&mut self.connection)
        .await?;
        row.as_ref().map(person).transpose()
    }

    pub async fn disable_person(&mut self, id: PersonId) -> Result<(), StoreError> {
        let now = self.now();
        sql("UPDATE people SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL")
            .bind(id.0)
            .bind(now.as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Gives the addresses of all devices of a person back, to rest before somebody else gets them, and deletes the
    /// person. Devices, tokens and whatever else is theirs go along.
    pub async fn delete_person(&mut self, id: PersonId) -> Result<(), StoreError> {
        let now = self.now();
        sql("INSERT INTO released_addresses (location_id, position, host_offset, released_at)
             SELECT location_id, position, host_offset, $2 FROM device_addresses
             WHERE device_id IN (SELECT id FROM devices WHERE person_id = $1)")
        .bind(id.0)
        .bind(now.as_unix())
        .execute(&mut self.connection)
        .await?;
        sql("DELETE FROM people WHERE id = $1").bind(id.0).execute(&mut self.connection).await?;
        Ok(())
    }

    pub async fn activate_person(
        &mut self,
        id: PersonId,
        password: &PasswordHash,
        phone: Option<&str>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        sql("UPDATE people SET password_hash = $2, phone = COALESCE($3, phone), enrolled_at = $4 WHERE id = $1")
            .bind(id.0)
            .bind(password.as_str())
            .bind(phone)
            .bind(now.as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// The same password, hashed anew.
    pub async fn renew_password_hash(&mut self, id: PersonId, password: &PasswordHash) -> Result<(), StoreError> {
        sql("UPDATE people SET password_hash = $2 WHERE id = $1")
            .bind(id.0)
            .bind(password.as_str())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub async fn password_hash(&mut self, id: PersonId) -> Result<Option<PasswordHash>, StoreError> {
        let hash: Option<Option<String>> = sql("SELECT password_hash FROM people WHERE id = $1")
            .bind(id.0)
            .scalar_optional(&mut self.connection)
            .await?;
        Ok(hash.flatten().map(PasswordHash::from_stored))
    }
}

pub(super) fn person(row: &Row) -> Result<Person, StoreError> {
    Ok(Person {
        id: PersonId(row.try_get("person_id")?),
        login: row.try_get("login")?,
        email: row.try_get("email")?,
        first_name: row.try_get("first_name")?,
        last_name: row.try_get("last_name")?,
        phone: row.try_get("phone")?,
        is_admin: row.try_get("is_admin")?,
        is_disabled: row.try_get::<Option<i64>>("disabled_at")?.is_some(),
        is_enrolled: row.try_get::<Option<i64>>("enrolled_at")?.is_some(),
    })
}
