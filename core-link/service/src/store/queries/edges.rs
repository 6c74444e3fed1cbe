//! Queries: Edges and their identities.

use postern_core_link::EdgeAddress;
use rustls_pki_types::CertificateDer;

use super::Tx;
use crate::{
    authority::KeptIdentity,
    clock::Timestamp,
    edges::{EdgeRecord, NewEdge, Stage},
    sealing::{Place, Sealer},
    store::{
        StoreError,
        sql::{Row, sql},
    },
};

impl Tx {
    /// All Edges, oldest first. There are few.
    pub async fn edges(&mut self) -> Result<Vec<EdgeRecord>, StoreError> {
        let rows =
            sql("SELECT id, name, address, enabled, adopted_at, certificate, client_certificate, sealed_client_key \
             FROM edges ORDER BY id")
            .fetch_all(&mut self.connection)
            .await?;
        rows.iter().map(|row| edge(self.sealer(), row)).collect()
    }

    /// Keeps an Edge whose identity is about to be sent.
    pub async fn insert_edge(&mut self, edge: &NewEdge) -> Result<i64, StoreError> {
        let sealed = self.sealer().seal(key_place(&edge.client.certificate), &edge.client.key);
        let id = sql(
            "INSERT INTO edges (name, address, enabled, certificate, client_certificate, sealed_client_key, created_at) \
             VALUES ($1, $2, TRUE, $3, $4, $5, $6) RETURNING id",
        )
        .bind(&edge.name)
        .bind(edge.address.to_string())
        .bind(edge.certificate.as_ref())
        .bind(edge.client.certificate.as_ref())
        .bind(sealed)
        .bind(self.now().as_unix())
        .scalar_one(&mut self.connection)
        .await?;
        Ok(id)
    }

    /// Ids of those whose identity was sent and of which nothing has been heard.
    pub async fn adopting_edges(&mut self) -> Result<Vec<(i64, Timestamp)>, StoreError> {
        let rows = sql("SELECT id, created_at FROM edges WHERE adopted_at IS NULL AND enabled");
        let rows = rows.fetch_all(&mut self.connection).await?;
        rows.iter().map(|row| Ok((row.try_get("id")?, Timestamp::from_unix(row.try_get("created_at")?)))).collect()
    }

    /// Its name; `None` if it was adopted before, or is gone.
    pub async fn set_edge_adopted(&mut self, id: i64) -> Result<Option<String>, StoreError> {
        let name = sql("UPDATE edges SET adopted_at = $1 WHERE id = $2 AND adopted_at IS NULL RETURNING name")
            .bind(self.now().as_unix())
            .bind(id)
            .scalar_optional(&mut self.connection)
            .await?;
        Ok(name)
    }

    pub async fn set_edge_enabled(&mut self, id: i64, enabled: bool) -> Result<(), StoreError> {
        sql("UPDATE edges SET enabled = $1 WHERE id = $2").bind(enabled).bind(id).execute(&mut self.connection).await?;
        Ok(())
    }

    /// What an earlier attempt to adopt the Edge at this address left, if anything.
    pub async fn delete_adopting_edge(&mut self, address: &EdgeAddress) -> Result<(), StoreError> {
        sql("DELETE FROM edges WHERE address = $1 AND adopted_at IS NULL")
            .bind(address.to_string())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub async fn delete_edge(&mut self, id: i64) -> Result<(), StoreError> {
        sql("DELETE FROM edges WHERE id = $1").bind(id).execute(&mut self.connection).await?;
        Ok(())
    }
}

fn edge(sealer: &Sealer, row: &Row) -> Result<EdgeRecord, StoreError> {
    let address: String = row.try_get("address")?;
    let adopted_at: Option<i64> = row.try_get("adopted_at")?;
    let client_certificate = CertificateDer::from(row.try_get::<Vec<u8>>("client_certificate")?);
    let sealed: Vec<u8> = row.try_get("sealed_client_key")?;
    let key = sealer.open(key_place(&client_certificate), &sealed)?;
    Ok(EdgeRecord {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        address: address.parse().map_err(|_| StoreError::Damaged { table: "edges" })?,
        enabled: row.try_get("enabled")?,
        stage: if adopted_at.is_some() { Stage::Adopted } else { Stage::Adopting },
        certificate: CertificateDer::from(row.try_get::<Vec<u8>>("certificate")?),
        client: KeptIdentity { certificate: client_certificate, key },
    })
}

/// A key opens only beside its own certificate.
fn key_place<'a>(client_certificate: &'a CertificateDer<'_>) -> Place<'a> {
    Place { table: "edges", column: "sealed_client_key", row: client_certificate.as_ref() }
}
