//! Certificates from an ACME authority: ordered through one Edge, and again before they end.

use postern_core_link::{CertificateOrder, Edge, IssuedCertificate, OrderStep, order_certificate};
use rustls_pki_types::DnsName;

use super::{
    BadCertificate, CertificateError, Certificates, CheckedCertificate, Condition, Description, KeptCertificate,
    Origin, RENEWAL_INTERVAL, kept,
};
use crate::{
    activity::{self, Entry},
    edges::Edges,
    lease::{self, Job, Lease},
};

/// Says `core` in the records: nobody asked for it.
fn renewing() -> activity::Origin {
    activity::Origin { actor: "core".to_owned(), ..activity::Origin::command_line() }
}

impl Certificates {
    /// Has an Edge order a certificate, stores it and sends it to every Edge. Takes up to five minutes.
    ///
    /// # Errors
    /// [`CertificateError`] says what to do; what is kept is as before.
    pub async fn order(
        &self,
        actor: &activity::Origin,
        edge: &Edge,
        domain: &str,
        progress: impl FnMut(OrderStep) + Send,
    ) -> Result<Description, CertificateError> {
        let domain = valid_domain(domain)?;
        let _order = self.orders.try_acquire().map_err(|_| CertificateError::OrderRunning)?;
        let lease = lease::take(&self.store, Job::CertificateOrder).await?.ok_or(CertificateError::OrderRunning)?;
        let ordering = async {
            let certificate = self.run_order(edge, &domain, progress).await?;
            let entry = Entry::done("certificate_ordered", actor, &domain);
            let description = certificate.description.clone();
            let _change = self.changes.acquire().await.expect("the semaphore is never closed");
            let origin = Origin::OrderedFor(domain.clone());
            self.replace(certificate, origin, entry, Condition::Leased(lease)).await?;
            Ok(description)
        };
        let ordered = lease::keep(&self.store, lease, ordering).await.unwrap_or_else(|lost| Err(lost.into()));
        match &ordered {
            Ok(Description { names, .. }) => {
                tracing::info!(?names, edge = %edge.address, "edges show a certificate that was ordered");
            }
            Err(error) => {
                let entry = Entry::refused("certificate_ordered", actor, &domain).with_detail(reason(error));
                self.record(entry).await?;
            }
        }
        ordered
    }

    /// Orders another certificate where the one that is kept was ordered and ends soon; once a day, and at one Core.
    ///
    /// # Errors
    /// Those of an order; they are noted beside the certificate as well.
    pub async fn renew_if_due(&self, edges: &Edges) -> Result<(), CertificateError> {
        let Ok(_order) = self.orders.try_acquire() else { return Ok(()) };
        if self.due().await?.is_none() {
            return Ok(());
        }
        let edge = edges.to_renew_through(self.attempt()).await?.ok_or(CertificateError::NoEdge)?;
        let Some(lease) = lease::take(&self.store, Job::CertificateOrder).await? else { return Ok(()) };
        // Whoever held the lease before may have renewed it, or have tried.
        let Some((old, domain)) = self.due().await? else { return Ok(()) };
        let renewing = self.renew(&edge, domain, old, lease);
        lease::keep(&self.store, lease, renewing).await?
    }

    /// What is to be renewed now, and its domain.
    async fn due(&self) -> Result<Option<(KeptCertificate, String)>, CertificateError> {
        let Some(old) = kept(&self.store).await? else { return Ok(None) };
        let domain = old.due(self.store.now()).map(str::to_owned);
        Ok(domain.map(|domain| (old, domain)))
    }

    /// One a day, so the day counts them, also over a restart.
    fn attempt(&self) -> usize {
        let interval = i64::try_from(RENEWAL_INTERVAL.as_secs()).unwrap_or(i64::MAX);
        usize::try_from(self.store.now().as_unix().div_euclid(interval)).unwrap_or_default()
    }

    async fn renew(
        &self,
        edge: &Edge,
        domain: String,
        old: KeptCertificate,
        lease: Lease,
    ) -> Result<(), CertificateError> {
        let condition = Condition::Renews { lease, chain: old.chain };
        self.note_try(&condition).await?;
        let renewed = self.order_again(edge, &domain, condition.clone()).await;
        if let Err(error) = &renewed {
            let note = reason(error);
            let entry = Entry::refused("certificate_renewed", &renewing(), &domain).with_detail(note.clone());
            let noted = self.store.write::<_, CertificateError, _>(move |tx| {
                Box::pin(async move {
                    match condition.check(tx).await {
                        Ok(()) => tx.note_renewal(Some(&note)).await?,
                        Err(CertificateError::Overtaken) => {}
                        Err(error) => return Err(error),
                    }
                    Ok(tx.record(&entry).await?)
                })
            });
            noted.await?;
        }
        renewed
    }

    /// Before it begins: authorities count orders, also those that a restart of Core cuts short.
    async fn note_try(&self, condition: &Condition) -> Result<(), CertificateError> {
        let condition = condition.clone();
        let noted = self.store.write::<_, CertificateError, _>(move |tx| {
            Box::pin(async move {
                condition.check(tx).await?;
                Ok(tx.note_renewal(Some("it was begun, and did not come to its end")).await?)
            })
        });
        noted.await
    }

    async fn order_again(&self, edge: &Edge, domain: &str, condition: Condition) -> Result<(), CertificateError> {
        let certificate = self.run_order(edge, domain, |_| {}).await?;
        let _change = self.changes.acquire().await.expect("the semaphore is never closed");
        let not_after = certificate.description.not_after.to_rfc3339();
        let entry = Entry::done("certificate_renewed", &renewing(), domain);
        self.replace(certificate, Origin::OrderedFor(domain.to_owned()), entry, condition).await?;
        tracing::info!(domain, edge = %edge.address, not_after, "the certificate was renewed");
        Ok(())
    }

    async fn run_order(
        &self,
        edge: &Edge,
        domain: &str,
        progress: impl FnMut(OrderStep) + Send,
    ) -> Result<CheckedCertificate, CertificateError> {
        let account = self.store.read::<_, CertificateError, _>(|tx| Box::pin(async { Ok(tx.acme_account().await?) }));
        let account = account.await?.map(|account| account.to_string());
        let order = CertificateOrder { domain: domain.to_owned(), account: account.clone() };
        let failed = |source| CertificateError::Order { domain: domain.to_owned(), source: Box::new(source) };
        let issued = order_certificate(edge, order, progress).await.map_err(failed)?;
        let bad = |source: BadCertificate| CertificateError::BadOrdered { address: edge.address.clone(), source };
        let certificate = CheckedCertificate::check(&issued.cert_pem, &issued.key_pem, self.store.now())
            .and_then(|certificate| certificate.for_domain(domain))
            .map_err(bad)?;
        if account.as_deref() != Some(issued.account.as_str()) {
            self.keep_account(issued).await?;
        }
        Ok(certificate)
    }

    async fn keep_account(&self, issued: IssuedCertificate) -> Result<(), CertificateError> {
        self.store.write(move |tx| Box::pin(async move { Ok(tx.replace_acme_account(&issued.account).await?) })).await
    }

    async fn record(&self, entry: Entry) -> Result<(), CertificateError> {
        self.store.write(move |tx| Box::pin(async move { Ok(tx.record(&entry).await?) })).await
    }
}

/// With all causes, on one line.
fn reason(error: &CertificateError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// In small letters. Authorities issue for names of at least two labels, and for no address.
fn valid_domain(domain: &str) -> Result<String, CertificateError> {
    let bad = || CertificateError::Domain(domain.to_owned());
    let lower = domain.to_ascii_lowercase();
    DnsName::try_from(lower.as_str()).map_err(|_| bad())?;
    let tld_is_number = lower.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if !lower.contains('.') || lower.ends_with('.') || tld_is_number {
        return Err(bad());
    }
    Ok(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_whole_name_and_no_address() {
        assert_eq!(valid_domain("VPN.example.com").unwrap(), "vpn.example.com");
        for bad in ["", "localhost", "192.0.2.1", "::1", "a b.example", "example.com.", "https://example.com", "a/b.c"]
        {
            assert!(matches!(valid_domain(bad), Err(CertificateError::Domain(_))), "{bad}");
        }
    }
}
