//! Who asks, from where, and under which operation.

use std::net::IpAddr;

use postern_core_link::{EdgeId, Request};
use postern_proto::{
    proxy::{DeviceInfo, core_request::Payload},
    rejection::Rejection,
};
use tokio::time::Instant;

use super::reject;
use crate::{
    activity::{Attempt, Origin},
    mfa::Network,
    store::Operation,
};

pub(super) struct Caller {
    edge: EdgeId,
    device_info: Option<DeviceInfo>,
    kind: &'static str,
    operation: Option<Operation>,
    deadline: Instant,
}

impl Caller {
    /// Takes a request apart. The payload is what a repeat of the same operation must repeat as well.
    pub(super) fn of(request: Request) -> (Self, Payload) {
        let Request { edge, device_info, operation_id, payload, deadline } = request;
        let kind = payload.kind();
        let operation = operation_id.map(|id| {
            let mut encoded = Vec::with_capacity(payload.encoded_len());
            payload.encode(&mut encoded);
            Operation { id: id.expose().to_owned(), kind, payload: encoded }
        });
        (Self { edge, device_info, kind, operation, deadline }, payload)
    }

    /// For requests that tell nothing about a person but what their token says.
    pub(super) fn anonymous_attempt(&self) -> Attempt {
        let ip = self.device_info.as_ref().and_then(|info| info.ip_address.parse().ok());
        Attempt::new(self.kind, Origin::edge(self.edge.0, ip))
    }

    /// For requests of which the records must say where they came from.
    pub(super) fn attempt(&self) -> Result<Attempt, Rejection> {
        let info = self.device_info.as_ref().ok_or_else(reject::missing_device_info)?;
        let ip: IpAddr = info.ip_address.parse().map_err(|_| reject::invalid_ip(&info.ip_address))?;
        Ok(Attempt::new(self.kind, Origin::edge(self.edge.0, Some(ip))))
    }

    /// As far as the Edge told it.
    pub(super) fn network(&self) -> Option<Network> {
        let info = self.device_info.as_ref()?;
        info.ip_address.parse().ok().map(Network::of)
    }

    /// Nobody waits for the reply any more after this.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn operation(&self) -> Option<&Operation> {
        self.operation.as_ref()
    }

    pub(super) fn into_operation(self) -> Option<Operation> {
        self.operation
    }
}
