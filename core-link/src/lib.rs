//! Dials Edges, keeps one tunnel open to each, and hands their requests to a [`Handler`].
//!
//! An Edge never dials anybody: it listens, and Core comes to it. A [`Supervisor`] keeps one link
//! for each Edge that it was told of; a link dials until it has a tunnel, and again when it has
//! lost it. Who the people are, what is stored and how Edges are remembered is the caller's.
//!
//! A whole Core:
//!
//! ```
//! use postern_core_link::{CoreInstance, Edge, Greeting, Handler, Limits, Reply, Request, Supervisor, SupervisorConfig};
//! use postern_proto::{link::SessionKeyRing, proxy::core_request::Payload, rejection::Rejection};
//! use tonic::Code;
//!
//! struct Reception;
//!
//! impl Handler for Reception {
//!     async fn handle(&self, request: Request) -> Reply {
//!         match request.payload {
//!             Payload::EnrollmentStart(_) => Err(Rejection::new(Code::Unauthenticated, "invalid token")),
//!             other => Err(Rejection::new(Code::Unimplemented, format!("no {} here", other.kind()))),
//!         }
//!     }
//! }
//!
//! async fn run(edges: Vec<Edge>, session_keys: SessionKeyRing) -> Result<(), Box<dyn std::error::Error>> {
//!     let config = SupervisorConfig {
//!         instance: CoreInstance::random(),
//!         greeting: Greeting::new(session_keys)?,
//!         limits: Limits::default(),
//!     };
//!     let supervisor = Supervisor::start(config, Reception);
//!     supervisor.set_edges(edges);
//!     tokio::signal::ctrl_c().await?;
//!     supervisor.shutdown().await;
//!     Ok(())
//! }
//! ```
//!
//! An [`Edge`] comes out of an [`Adoption`]; a new one, in the caller's hands step by step:
//!
//! ```
//! use postern_core_link::{AdoptError, Adoption, Bundle, EdgeAddress};
//! use rustls_pki_types::CertificateSigningRequestDer;
//!
//! async fn adopt(
//!     address: &EdgeAddress,
//!     sign_and_store: impl AsyncFn(&CertificateSigningRequestDer<'_>) -> Bundle,
//! ) -> Result<(), AdoptError> {
//!     let requested = Adoption::start(address).await?.csr().await?;
//!     let bundle = sign_and_store(requested.csr()).await;
//!     requested.send(bundle).await
//! }
//! ```

#![warn(missing_docs)]

mod acme;
mod adoption;
mod backoff;
mod dialer;
mod edge;
mod error;
mod greeting;
mod handler;
mod headers;
mod instance;
mod link;
mod status;
mod supervisor;
mod surroundings;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;
mod tunnel;
mod web_certificate;

pub use acme::{CertificateOrder, IssuedCertificate, OrderError, OrderStep, order_certificate};
pub use adoption::{AdoptError, AdoptFailure, Adoption, Bundle, CsrReceived};
pub use edge::{AddressError, Edge, EdgeAddress, EdgeId, EdgeTrust};
pub use error::{DialError, PurgeError};
pub use greeting::{Greeting, GreetingError};
pub use handler::{BadOperationId, Handler, OperationId, Reply, Request};
pub use instance::{BadInstance, CoreInstance};
pub use postern_proto::version::{BadZone, Zone};
pub use status::{LinkState, LinkStatus};
pub use supervisor::{Limits, Supervisor, SupervisorConfig};
pub use surroundings::{Connect, Io, Surroundings};
pub use web_certificate::WebCertificate;
