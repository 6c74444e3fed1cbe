//! What stands in front of the Edges, while it runs.

use std::{net::SocketAddr, path::Path};

use anyhow::Result;
use postern_tests::{haproxy::HaProxy, nginx::Nginx};

use super::{Front, public};

/// A front that runs.
#[derive(Debug)]
pub(super) enum Proxy {
    Nginx(Nginx),
    HaProxy(HaProxy),
}

impl Proxy {
    pub(super) fn start(front: Front, folder: &Path, edges: &[SocketAddr]) -> Result<Self> {
        match front {
            Front::Nginx => Nginx::start(folder, public(), edges).map(Self::Nginx),
            Front::HaProxy => HaProxy::start(folder, public(), edges).map(Self::HaProxy),
        }
    }

    pub(super) fn logs(&self) -> String {
        match self {
            Self::Nginx(nginx) => nginx.logs(),
            Self::HaProxy(haproxy) => haproxy.process.log(),
        }
    }
}
