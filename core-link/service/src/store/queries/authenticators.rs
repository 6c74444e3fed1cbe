//! Queries on authenticators.

use super::Tx;
use crate::{
    enrollment::EnrollmentTokenId,
    mfa::{SealedSeed, Seed, Side, setup::SetupState},
    person::PersonId,
    sealing::Place,
    store::{
        StoreError,
        sql::{sql, sql_for_each},
    },
};

const DAMAGED: StoreError = StoreError::Damaged { table: "authenticators" };
const CONFIRMED: &str = "sealed_seed";
const PENDING: &str = "sealed_pending_seed";

impl Tx {
    pub async fn has_authenticator(&mut self, person: PersonId) -> Result<bool, StoreError> {
        let found = sql("SELECT 1 FROM authenticators WHERE person_id = $1 AND sealed_seed IS NOT NULL")
            .bind(person.0)
            .fetch_optional(&mut self.connection)
            .await?;
        Ok(found.is_some())
    }

    pub async fn setup_state(&mut self, person: PersonId) -> Result<Option<SetupState>, StoreError> {
        let row = sql("SELECT a.sealed_seed IS NOT NULL AS has_factor, a.pending_in,
                    CASE WHEN p.enrolled_at >= a.confirmed_at THEN NULL ELSE a.confirmed_in END AS confirmed_in
             FROM authenticators AS a JOIN people AS p ON p.id = a.person_id WHERE a.person_id = $1")
        .bind(person.0)
        .fetch_optional(&mut self.connection)
        .await?;
        row.map(|row| {
            Ok(SetupState {
                has_factor: row.try_get("has_factor")?,
                confirmed_in: row.try_get::<Option<i64>>("confirmed_in")?.map(EnrollmentTokenId),
                pending_in: row.try_get::<Option<i64>>("pending_in")?.map(EnrollmentTokenId),
            })
        })
        .transpose()
    }

    /// Begins a set-up in place of any older one.
    pub async fn begin_setup(
        &mut self,
        person: PersonId,
        session: EnrollmentTokenId,
        seed: &Seed,
    ) -> Result<(), StoreError> {
        let sealed = self.sealer().seal(place(PENDING, &row_name(person)), seed.as_bytes());
        sql("INSERT INTO authenticators (person_id, sealed_pending_seed, pending_in) VALUES ($1, $2, $3)
             ON CONFLICT (person_id) DO UPDATE
             SET sealed_pending_seed = excluded.sealed_pending_seed, pending_in = excluded.pending_in")
        .bind(person.0)
        .bind(sealed)
        .bind(session.0)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub async fn pending_seed(&mut self, person: PersonId) -> Result<Option<Seed>, StoreError> {
        let sealed = sql("SELECT sealed_pending_seed FROM authenticators WHERE person_id = $1");
        let sealed: Option<Option<Vec<u8>>> = sealed.bind(person.0).scalar_optional(&mut self.connection).await?;
        sealed.flatten().map(|sealed| self.open_seed(PENDING, person, &sealed)).transpose()
    }

    pub fn open_authenticator_seed(&self, person: PersonId, sealed: &SealedSeed) -> Result<Seed, StoreError> {
        self.open_seed(CONFIRMED, person, &sealed.0)
    }

    /// Makes this the person's factor, and its first code a spent one. An older `last_step` is worth nothing now: it
    /// belonged to another seed, and may come from a clock that was ahead.
    pub async fn confirm_setup(
        &mut self,
        person: PersonId,
        session: EnrollmentTokenId,
        seed: &Seed,
        step: i64,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let sealed = self.sealer().seal(place(CONFIRMED, &row_name(person)), seed.as_bytes());
        sql("UPDATE authenticators SET sealed_seed = $2, confirmed_in = $3, confirmed_at = $4, last_step = $5,
                    sealed_pending_seed = NULL, pending_in = NULL
             WHERE person_id = $1")
        .bind(person.0)
        .bind(sealed)
        .bind(session.0)
        .bind(now.as_unix())
        .bind(step)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub async fn delete_authenticator(&mut self, person: PersonId) -> Result<(), StoreError> {
        let delete = sql("DELETE FROM authenticators WHERE person_id = $1").bind(person.0);
        delete.execute(&mut self.connection).await?;
        Ok(())
    }

    /// Accepts the code of a step, once, and forgets the failures on that side: false when this or a later step was
    /// accepted before.
    pub async fn accept_step(&mut self, person: PersonId, side: Side, step: i64) -> Result<bool, StoreError> {
        let accept = match side {
            Side::Familiar(_) => sql_for_each(
                "UPDATE authenticators SET last_step = $2, familiar_failures = 0
                 WHERE person_id = $1 AND sealed_seed IS NOT NULL AND last_step < $2;
                 UPDATE familiar_networks SET failures = 0, retry_at = 0
                 WHERE person_id = $1 AND failures > 0 AND changes() = 1",
                "WITH accepted AS (
                     UPDATE authenticators SET last_step = $2, familiar_failures = 0
                     WHERE person_id = $1 AND sealed_seed IS NOT NULL AND last_step < $2 RETURNING person_id
                 ), forgiven AS (
                     UPDATE familiar_networks SET failures = 0, retry_at = 0
                     WHERE person_id IN (SELECT person_id FROM accepted) AND failures > 0
                 )
                 SELECT person_id FROM accepted",
            ),
            Side::Elsewhere => {
                sql("UPDATE authenticators SET last_step = $2, elsewhere_failures = 0, elsewhere_retry_at = 0
                 WHERE person_id = $1 AND sealed_seed IS NOT NULL AND last_step < $2")
            }
        };
        let accepted = accept.bind(person.0).bind(step).execute(&mut self.connection).await?;
        Ok(accepted > 0)
    }

    fn open_seed(&self, column: &'static str, person: PersonId, sealed: &[u8]) -> Result<Seed, StoreError> {
        let seed = self.sealer().open(place(column, &row_name(person)), sealed)?;
        Seed::from_bytes(&seed).ok_or(DAMAGED)
    }
}

fn row_name(person: PersonId) -> [u8; 8] {
    person.0.to_be_bytes()
}

fn place<'a>(column: &'static str, row: &'a [u8]) -> Place<'a> {
    Place { table: "authenticators", column, row }
}
