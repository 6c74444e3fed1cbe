//! Commands about the certificate that Edges show to browsers.

use postern_core_link::OrderStep;
use tokio::sync::mpsc;

use super::{Answer, CommandError, Commands};
use crate::{
    activity::Origin,
    certificate::{self, CertificateError, CertificateView, Description},
    control::{CertificateCommand, CertificateRow, CertificateStored},
};

impl Commands {
    pub(super) async fn certificate(
        &self,
        origin: &Origin,
        command: CertificateCommand,
        progress: &mpsc::Sender<String>,
    ) -> Result<Answer, CommandError> {
        let answer = match command {
            CertificateCommand::Set { cert, key } => {
                let set = self.certificates.set(origin, cert.expose(), key.expose()).await?;
                Answer::CertificateStored(self.stored(set))
            }
            CertificateCommand::Show => Answer::Certificate(self.certificates.show().await?.map(row)),
            CertificateCommand::Clear => {
                self.certificates.clear(origin).await?;
                Answer::CertificateCleared
            }
            CertificateCommand::Order { domain, edge } => {
                let edge = self.edges.to_order_through(edge.as_deref()).await?.ok_or(CertificateError::NoEdge)?;
                // Whoever asked may read slowly, or be gone.
                let tell = |step| drop(progress.try_send(sentence(step).to_owned()));
                let ordered = self.certificates.order(origin, &edge, &domain, tell).await?;
                Answer::CertificateStored(self.stored(ordered))
            }
        };
        Ok(answer)
    }

    fn stored(&self, Description { names, issuer, not_after, .. }: Description) -> CertificateStored {
        let host = host_of(&self.public_url);
        let covered = names.iter().any(|name| covers(name, host));
        let note =
            (!covered).then(|| format!("It is not for {host}, the host of public_url: browsers will refuse it."));
        CertificateStored { names, issuer, expires_at: not_after.to_rfc3339(), note }
    }
}

fn row(view: CertificateView) -> CertificateRow {
    let CertificateView { description, origin, stored_at, days_left, renewal } = view;
    let Description { names, issuer, not_after, sha256 } = description;
    let ordered_for = match origin {
        certificate::Origin::Brought => None,
        certificate::Origin::OrderedFor(domain) => Some(domain),
    };
    let (renewal_tried_at, renewal_error) =
        renewal.map_or((None, None), |renewal| (Some(renewal.tried_at.to_rfc3339()), renewal.error));
    CertificateRow {
        names,
        issuer,
        sha256,
        expires_at: not_after.to_rfc3339(),
        days_left,
        ordered_for,
        stored_at: stored_at.to_rfc3339(),
        renewal_tried_at,
        renewal_error,
    }
}

const fn sentence(step: OrderStep) -> &'static str {
    match step {
        OrderStep::CheckingDomain => "The Edge looks whether the domain leads to it",
        OrderStep::Connecting => "The Edge connects to the authority",
        OrderStep::ValidatingDomain => "The authority looks whether the domain is the Edge's",
        OrderStep::IssuingCertificate => "The authority issues the certificate",
    }
}

/// Of an absolute URL, without its port.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    let literal = authority.strip_prefix('[').and_then(|v6| v6.split_once(']')).map(|(address, _)| address);
    literal.unwrap_or_else(|| authority.rsplit_once(':').map_or(authority, |(host, _)| host))
}

/// RFC 6125: a star stands for one label.
fn covers(name: &str, host: &str) -> bool {
    let starred = name.strip_prefix("*.").zip(host.split_once('.'));
    name.eq_ignore_ascii_case(host) || starred.is_some_and(|(parent, (_, rest))| parent.eq_ignore_ascii_case(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_covers_the_public_host_by_name_or_by_star() {
        assert_eq!(host_of("https://vpn.example.com/"), "vpn.example.com");
        assert_eq!(host_of("http://localhost:8080/"), "localhost");
        assert_eq!(host_of("https://[::1]:8443/"), "::1");
        assert!(covers("*.example.com", "vpn.example.com") && covers("VPN.example.com", "vpn.example.com"));
        assert!(!covers("*.example.com", "example.com") && !covers("*.example.com", "a.b.example.com"));
    }
}
