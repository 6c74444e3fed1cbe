//! Giving an Edge its identity, once, whatever gets lost on the way.

use std::time::{Duration, SystemTime};

use postern_core_link::{AdoptFailure, Adoption, Bundle, EdgeAddress, EdgeId};
use time::OffsetDateTime;

use super::{EdgeError, EdgeRecord, Edges, NewEdge, Stage};
use crate::{
    activity::{Entry, Origin},
    authority::EdgePublicKey,
    changes::Topic,
};

/// A new Edge has this long to open its port with TLS and take a tunnel.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(8);

/// After this the Core that adopts an Edge has ended it one way or the other, if it lives.
const ADOPTION_MAX: Duration = Duration::from_secs(30);

/// A link that is already up, or comes up at once, answers the question without another adoption.
const RESUME_PATIENCE: Duration = Duration::from_secs(1);

const NAME_MAX: usize = 64;

impl Edges {
    /// Adopts an Edge. Repeating it after a failure does what is left to do.
    ///
    /// # Errors
    /// [`EdgeError`] says what is left.
    pub async fn add(
        &self,
        origin: &Origin,
        address: &EdgeAddress,
        name: Option<String>,
    ) -> Result<EdgeRecord, EdgeError> {
        let _change = self.begin_change().await;
        let address = &canonical(address);
        let records = self.records().await?;
        let known = records.iter().find(|record| record.address == *address);
        let name = name.or_else(|| known.map(|record| record.name.clone())).unwrap_or_else(|| address.to_string());
        let name = valid_name(name)?;
        if records.iter().any(|record| record.name == name && record.address != *address) {
            return Err(EdgeError::NameTaken(name));
        }
        match known.map(|record| (record.stage, record.id)) {
            Some((Stage::Adopted, _)) => Err(EdgeError::AddressTaken { address: address.clone(), name }),
            Some((Stage::Adopting, id)) => self.resume(origin, address, name, EdgeId(id)).await,
            None => {
                let adoption = Adoption::start(address).await?;
                self.adopt(origin, adoption, address, name).await
            }
        }
    }

    /// Notes which Edges have taken the identity that they were sent, and dials those of which the Core that adopted them
    /// has not found it out: it may have died.
    ///
    /// # Errors
    /// Of the store only.
    pub async fn confirm_connected(&self) -> Result<(), EdgeError> {
        let adopting = self.store.read::<_, EdgeError, _>(|tx| Box::pin(async move { Ok(tx.adopting_edges().await?) }));
        let mut is_left_behind = false;
        for (id, created_at) in adopting.await? {
            if self.reach.is_connected(EdgeId(id)) {
                self.confirm(&Origin { actor: "core".to_owned(), ..Origin::command_line() }, EdgeId(id)).await?;
            } else {
                let is_late = created_at.after(ADOPTION_MAX) <= self.store.now();
                is_left_behind |= is_late && !self.reach.statuses().iter().any(|status| status.edge == EdgeId(id));
            }
        }
        if is_left_behind { self.start_links().await } else { Ok(()) }
    }

    /// An earlier attempt did not learn how it ended; the Edge knows.
    async fn resume(
        &self,
        origin: &Origin,
        address: &EdgeAddress,
        name: String,
        id: EdgeId,
    ) -> Result<EdgeRecord, EdgeError> {
        // An attempt that was given up half-way may have left the Edge without a link.
        self.apply().await?;
        if self.reach.wait_connected(id, RESUME_PATIENCE).await {
            return self.wait_adopted(origin, address, id).await;
        }
        match Adoption::start(address).await {
            Ok(adoption) => self.adopt(origin, adoption, address, name).await,
            Err(error) if matches!(error.failure, AdoptFailure::AlreadyAdopted) => {
                self.wait_adopted(origin, address, id).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn adopt(
        &self,
        origin: &Origin,
        adoption: Adoption,
        address: &EdgeAddress,
        name: String,
    ) -> Result<EdgeRecord, EdgeError> {
        let received = adoption.csr().await?;
        let edge = self.sign(received.csr(), address, name)?;
        let bundle = Bundle {
            ca_cert: self.authority.certificate().clone(),
            edge_cert: edge.certificate.clone(),
            client_cert: edge.client.certificate.clone(),
        };
        let subject = edge.name.clone();
        let id = EdgeId(self.save(edge, Entry::done("edge_adoption_begun", origin, &subject)).await?);
        match received.send(bundle).await {
            Ok(()) => {
                self.confirm(origin, id).await?;
                self.apply().await?;
                self.find(&subject).await
            }
            Err(error) if error.failure.is_uncertain() => {
                tracing::warn!(edge = subject, error = &error as &dyn std::error::Error, "an Edge gave no answer");
                self.apply().await?;
                self.wait_adopted(origin, address, id).await
            }
            Err(error) => {
                let entry = Entry::refused("edge_adopted", origin, &subject).with_detail(error.to_string());
                self.forget(id, entry).await?;
                // An earlier attempt at the same address may have had a link.
                self.apply().await?;
                Err(error.into())
            }
        }
    }

    fn sign(&self, csr: &[u8], address: &EdgeAddress, name: String) -> Result<NewEdge, EdgeError> {
        let key = EdgePublicKey::from_csr(csr).map_err(|source| EdgeError::Csr { address: address.clone(), source })?;
        let now = OffsetDateTime::from(SystemTime::now());
        let certificate = self.authority.sign_edge(&key, &name, address.host(), now)?;
        let client = self.authority.issue_core(&name, now)?;
        Ok(NewEdge { name, address: address.clone(), certificate, client })
    }

    /// In the place of what an earlier attempt left.
    async fn save(&self, edge: NewEdge, entry: Entry) -> Result<i64, EdgeError> {
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    tx.delete_adopting_edge(&edge.address).await?;
                    tx.record(&entry).await?;
                    tx.announce(Topic::Edges).await?;
                    Ok(tx.insert_edge(&edge).await?)
                })
            })
            .await
    }

    /// The tunnel tells whether the Edge holds the identity that it was sent.
    async fn wait_adopted(&self, origin: &Origin, address: &EdgeAddress, id: EdgeId) -> Result<EdgeRecord, EdgeError> {
        if self.reach.wait_connected(id, CONFIRM_PATIENCE).await {
            self.confirm(origin, id).await?;
            return self.find(&id.to_string()).await;
        }
        Err(EdgeError::Unconfirmed { address: address.clone() })
    }

    async fn confirm(&self, origin: &Origin, id: EdgeId) -> Result<(), EdgeError> {
        let origin = origin.clone();
        let adopted = self.store.write::<_, EdgeError, _>(move |tx| {
            Box::pin(async move {
                let adopted = tx.set_edge_adopted(id.0).await?;
                if let Some(name) = &adopted {
                    tx.announce(Topic::Edges).await?;
                    tx.record(&Entry::done("edge_adopted", &origin, name)).await?;
                }
                Ok(adopted)
            })
        });
        if let Some(name) = adopted.await? {
            tracing::info!(edge = %id, name, "edge adopted");
        }
        Ok(())
    }

    async fn forget(&self, id: EdgeId, entry: Entry) -> Result<(), EdgeError> {
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    tx.delete_edge(id.0).await?;
                    tx.announce(Topic::Edges).await?;
                    Ok(tx.record(&entry).await?)
                })
            })
            .await
    }
}

/// A host name is the same in capitals.
fn canonical(address: &EdgeAddress) -> EdgeAddress {
    address.to_string().to_ascii_lowercase().parse().expect("an address stays one in small letters")
}

/// Digits only would look like an id.
fn valid_name(name: String) -> Result<String, EdgeError> {
    let length = name.chars().count();
    let digits = name.bytes().all(|byte| byte.is_ascii_digit());
    if digits || length > NAME_MAX || name.trim() != name || name.chars().any(char::is_control) {
        return Err(EdgeError::BadName(name));
    }
    Ok(name)
}
