//! Queries: the certificate authority.

use rustls_pki_types::CertificateDer;

use super::Tx;
use crate::{
    authority::KeptIdentity,
    sealing::Place,
    store::{StoreError, sql::sql},
};

const KEY: Place<'static> = Place { table: "authority", column: "sealed_key", row: b"1" };

impl Tx {
    /// `None` before the first start is over.
    pub async fn authority(&mut self) -> Result<Option<KeptIdentity>, StoreError> {
        let row = sql("SELECT certificate, sealed_key FROM authority").fetch_optional(&mut self.connection).await?;
        let Some(row) = row else { return Ok(None) };
        let key = self.sealer().open(KEY, row.try_get("sealed_key")?)?;
        Ok(Some(KeptIdentity { certificate: CertificateDer::from(row.try_get::<Vec<u8>>("certificate")?), key }))
    }

    pub async fn insert_authority(&mut self, identity: &KeptIdentity) -> Result<(), StoreError> {
        let sealed = self.sealer().seal(KEY, &identity.key);
        sql("INSERT INTO authority (singleton, certificate, sealed_key, created_at) VALUES (1, $1, $2, $3)")
            .bind(identity.certificate.as_ref())
            .bind(sealed)
            .bind(self.now().as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}
