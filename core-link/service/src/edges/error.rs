//! Why something could not be done with an Edge, and what to do about it.

use postern_core_link::{AdoptError, EdgeAddress};

use crate::{
    authority::{AuthorityError, CsrError},
    store::StoreError,
};

#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error("there is no Edge {0:?}; `postern-core edge list` shows those there are")]
    NoSuchEdge(String),
    #[error("{0:?} is no name for an Edge: 1 to 64 characters, not only digits; choose one with --name")]
    BadName(String),
    #[error("there is an Edge named {0:?} already; choose another with --name")]
    NameTaken(String),
    #[error("{address} is Edge {name:?} already; remove it first: postern-core edge remove {name:?}")]
    AddressTaken { address: EdgeAddress, name: String },
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    #[error("{address} asks for an identity that cannot be given")]
    Csr { address: EdgeAddress, source: CsrError },
    #[error("cannot make an identity")]
    Authority(#[from] AuthorityError),
    #[error(
        "{address} was sent its identity, but whether it took it is not known yet; a running Core goes on dialling it. \
         See `postern-core edge list`, or repeat `postern-core edge add`"
    )]
    Unconfirmed { address: EdgeAddress },
    #[error(transparent)]
    Store(#[from] StoreError),
}
