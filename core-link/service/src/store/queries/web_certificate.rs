//! Queries: the certificate that Edges show, and the account under which it is ordered.

use zeroize::Zeroizing;

use super::Tx;
use crate::{
    certificate::{KeptCertificate, Origin, Renewal},
    clock::Timestamp,
    sealing::Place,
    store::{StoreError, sql::sql},
};

const ACCOUNT: Place<'static> = Place { table: "acme_account", column: "sealed_credentials", row: b"1" };

impl Tx {
    /// `None`: Edges serve plain HTTP.
    pub async fn web_certificate(&mut self) -> Result<Option<KeptCertificate>, StoreError> {
        let row = sql(
            "SELECT chain, sealed_key, ordered_for, stored_at, renewal_tried_at, renewal_error FROM web_certificate",
        )
        .fetch_optional(&mut self.connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let chain: String = row.try_get("chain")?;
        let key = self.sealer().open(key_place(&chain), row.try_get("sealed_key")?)?;
        let tried_at: Option<i64> = row.try_get("renewal_tried_at")?;
        let error = row.try_get("renewal_error")?;
        let ordered_for: Option<String> = row.try_get("ordered_for")?;
        Ok(Some(KeptCertificate {
            chain,
            key: text(key).ok_or(StoreError::Damaged { table: "web_certificate" })?,
            origin: ordered_for.map_or(Origin::Brought, Origin::OrderedFor),
            stored_at: Timestamp::from_unix(row.try_get("stored_at")?),
            renewal: tried_at.map(|at| Renewal { tried_at: Timestamp::from_unix(at), error }),
        }))
    }

    /// In the place of the last one.
    pub async fn replace_web_certificate(&mut self, chain: &str, key: &str, origin: &Origin) -> Result<(), StoreError> {
        let sealed = self.sealer().seal(key_place(chain), key.as_bytes());
        let ordered_for = match origin {
            Origin::Brought => None,
            Origin::OrderedFor(domain) => Some(domain.as_str()),
        };
        sql("INSERT INTO web_certificate (singleton, chain, sealed_key, ordered_for, stored_at) VALUES (1, $1, $2, $3, $4)
             ON CONFLICT (singleton) DO UPDATE SET chain = excluded.chain, sealed_key = excluded.sealed_key,
                ordered_for = excluded.ordered_for, stored_at = excluded.stored_at,
                renewal_tried_at = NULL, renewal_error = NULL")
        .bind(chain)
        .bind(sealed)
        .bind(ordered_for)
        .bind(self.now().as_unix())
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// Whether there was one.
    pub async fn delete_web_certificate(&mut self) -> Result<bool, StoreError> {
        let done = sql("DELETE FROM web_certificate").execute(&mut self.connection).await?;
        Ok(done > 0)
    }

    /// Notes that its renewal was tried, and how it failed; what succeeds replaces the row.
    pub async fn note_renewal(&mut self, error: Option<&str>) -> Result<(), StoreError> {
        sql("UPDATE web_certificate SET renewal_tried_at = $1, renewal_error = $2")
            .bind(self.now().as_unix())
            .bind(error)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// `None` before the first order.
    pub async fn acme_account(&mut self) -> Result<Option<Zeroizing<String>>, StoreError> {
        let sealed: Option<Vec<u8>> =
            sql("SELECT sealed_credentials FROM acme_account").scalar_optional(&mut self.connection).await?;
        let Some(sealed) = sealed else { return Ok(None) };
        let credentials = self.sealer().open(ACCOUNT, &sealed)?;
        text(credentials).map(Some).ok_or(StoreError::Damaged { table: "acme_account" })
    }

    pub async fn replace_acme_account(&mut self, credentials: &str) -> Result<(), StoreError> {
        let sealed = self.sealer().seal(ACCOUNT, credentials.as_bytes());
        sql("INSERT INTO acme_account (singleton, sealed_credentials, stored_at) VALUES (1, $1, $2)
             ON CONFLICT (singleton) DO UPDATE
             SET sealed_credentials = excluded.sealed_credentials, stored_at = excluded.stored_at")
        .bind(sealed)
        .bind(self.now().as_unix())
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }
}

fn text(bytes: Zeroizing<Vec<u8>>) -> Option<Zeroizing<String>> {
    String::from_utf8(bytes.to_vec()).ok().map(Zeroizing::new)
}

/// A key opens only beside its own certificate.
fn key_place(chain: &str) -> Place<'_> {
    Place { table: "web_certificate", column: "sealed_key", row: chain.as_bytes() }
}
