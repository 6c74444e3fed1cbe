//! Who was refused on the port that Cores dial, and why, for the log.
//!
//! One line a minute for each network and reason, and no more than [`LINES_MAX`] in all: strangers do not fill a disk.
//! The rest is counted. A line holds nothing that a stranger wrote.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use metrics::counter;
use postern_proto::version::PEER_MIN;
use rustls::CertificateError;
use tokio::time::Instant;

use crate::peers;

const INTERVAL: Duration = Duration::from_secs(60);
/// Enough to see an attack by; a week of these is 40 MB of log.
const LINES_MAX: usize = 20;

/// Why somebody was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    TooManyConnections,
    NotTls,
    NoCertificate,
    UnknownAuthority,
    NotYetValid,
    Expired,
    InvalidCertificate,
    OtherCertificate,
    AdoptionFrom,
    NoVersion,
    TooOld {
        /// Three numbers and nothing else that the caller chose.
        version: (u64, u64, u64),
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::TooManyConnections => "there are too many connections already",
            Self::NotTls => "this is no TLS that we speak",
            Self::NoCertificate => "no client certificate",
            Self::UnknownAuthority => "a client certificate of another CA",
            Self::NotYetValid => "a client certificate that is not valid yet; this machine's clock may be behind",
            Self::Expired => "a client certificate that has expired, unless this machine's clock is ahead",
            Self::InvalidCertificate => "a client certificate that is not valid",
            Self::OtherCertificate => "a client certificate of our CA that is not the one from adoption",
            Self::AdoptionFrom => "adoption from an address that `adoption_from` does not list",
            Self::NoVersion => {
                return write!(f, "Missing version headers: this edge needs a Core of {PEER_MIN} or later; update it");
            }
            Self::TooOld { version: (major, minor, patch) } => {
                return write!(
                    f,
                    "Version {major}.{minor}.{patch} not supported: this edge needs a Core of {PEER_MIN} or later; \
                     update Core, or keep the edge that came with it until then"
                );
            }
        };
        f.write_str(text)
    }
}

impl Refusal {
    /// Why a handshake failed; `None` when the other end gave up or was lost, which is no matter of who it is. A stock
    /// Core aborts its first handshake after an adoption.
    pub(super) fn of_handshake(error: &io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        if let rustls::Error::AlertReceived(_) = error {
            None
        } else if let rustls::Error::NoCertificatesPresented = error {
            Some(Self::NoCertificate)
        } else if let rustls::Error::InvalidCertificate(error) = error {
            Some(Self::of_certificate(error))
        } else {
            Some(Self::NotTls)
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        if let CertificateError::UnknownIssuer = error {
            Self::UnknownAuthority
        } else if let CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } = error {
            Self::NotYetValid
        } else if let CertificateError::Expired | CertificateError::ExpiredContext { .. } = error {
            Self::Expired
        } else {
            Self::InvalidCertificate
        }
    }
}

/// Logs refusals. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals {
    interval: Arc<Mutex<Interval>>,
}

/// What was said since a minute began.
#[derive(Debug, Default)]
struct Interval {
    begun: Option<Instant>,
    told: Vec<(IpAddr, Refusal)>,
    untold: u64,
}

impl Refusals {
    pub(super) fn report(&self, peer: SocketAddr, refusal: Refusal) {
        counter!("postern_edge_tunnel_refusals_total").increment(1);
        let Some(untold) = self.admit(peer.ip(), refusal, Instant::now()) else { return };
        if untold > 0 {
            tracing::warn!(untold, "more was refused on the tunnel port than was logged");
        }
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        tracing::warn!(%peer, reason = %refusal, "refused on the tunnel port");
    }

    /// `None` when nothing is to be said; else how much was not said in the minute before.
    fn admit(&self, address: IpAddr, refusal: Refusal, now: Instant) -> Option<u64> {
        let mut interval = self.interval.lock().unwrap_or_else(PoisonError::into_inner);
        let mut untold = 0;
        if interval.begun.is_none_or(|begun| now - begun >= INTERVAL) {
            untold = interval.untold;
            *interval = Interval { begun: Some(now), ..Interval::default() };
        }
        let line = (peers::network(address.to_canonical()), refusal);
        if interval.told.len() >= LINES_MAX || interval.told.contains(&line) {
            interval.untold += 1;
            return None;
        }
        interval.told.push(line);
        Some(untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_network_is_named_once_a_minute_for_each_reason() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let admit = |text, refusal, now| refusals.admit(address(text), refusal, now);
        assert_eq!(admit("2001:db8::1", Refusal::NoCertificate, now), Some(0));
        assert_eq!(admit("2001:db8::2", Refusal::NoCertificate, now), None);
        assert_eq!(admit("2001:db8::2", Refusal::NotTls, now), Some(0));
        assert_eq!(admit("192.0.2.1", Refusal::NoCertificate, now), Some(0));
        assert_eq!(admit("::ffff:192.0.2.1", Refusal::NoCertificate, now), None);
        assert_eq!(admit("2001:db8::1", Refusal::NoCertificate, now + INTERVAL), Some(2));
    }

    #[test]
    fn a_scanner_with_many_addresses_gets_a_page_a_minute_and_no_memory() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let lines = |now| {
            let admitted =
                (0..10_000_u32).filter_map(|n| refusals.admit(IpAddr::from(n.to_be_bytes()), Refusal::NotTls, now));
            admitted.collect::<Vec<_>>()
        };
        assert_eq!(lines(now), vec![0; LINES_MAX]);
        let later = lines(now + INTERVAL);
        assert_eq!((later.len(), later[0], later[1]), (LINES_MAX, 9_980, 0));
        assert_eq!(refusals.interval.lock().unwrap().told.len(), LINES_MAX);
    }

    #[test]
    fn only_a_peer_that_is_wrong_is_refused() {
        let of = |error: rustls::Error| Refusal::of_handshake(&io::Error::new(io::ErrorKind::InvalidData, error));
        let invalid = rustls::Error::InvalidCertificate;
        assert_eq!(of(rustls::Error::NoCertificatesPresented), Some(Refusal::NoCertificate));
        assert_eq!(of(invalid(CertificateError::UnknownIssuer)), Some(Refusal::UnknownAuthority));
        assert_eq!(of(invalid(CertificateError::Expired)), Some(Refusal::Expired));
        assert_eq!(of(invalid(CertificateError::NotValidYet)), Some(Refusal::NotYetValid));
        assert_eq!(of(invalid(CertificateError::BadSignature)), Some(Refusal::InvalidCertificate));
        assert_eq!(
            of(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)),
            Some(Refusal::NotTls)
        );
        assert_eq!(of(rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA)), None);
        assert_eq!(Refusal::of_handshake(&io::ErrorKind::UnexpectedEof.into()), None);
        assert_eq!(Refusal::of_handshake(&io::Error::other("gone")), None);
    }
}
