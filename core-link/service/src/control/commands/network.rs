//! Commands about locations.

use super::{Answer, CommandError, Commands};
use crate::{
    activity::Origin,
    control::{
        LocationChange, LocationCommand, LocationRemoved, LocationRow, MfaMode, NewLocation, PeerRow, PeersConfig,
        PeersFormat,
    },
    location::{self, ChangeForm, LocationForm, LocationSummary, Peer},
};

impl Commands {
    pub(super) async fn location(&self, origin: &Origin, command: LocationCommand) -> Result<Answer, CommandError> {
        match command {
            LocationCommand::Add(location) => self.add_location(origin, location).await,
            LocationCommand::List => self.list_locations().await,
            LocationCommand::Set(change) => self.change_location(origin, change).await,
            LocationCommand::Remove { name } => self.remove_location(origin, name).await,
            LocationCommand::Peers { name, format } => self.list_peers(name, format).await,
        }
    }

    async fn add_location(&self, origin: &Origin, location: NewLocation) -> Result<Answer, CommandError> {
        let form = LocationForm {
            name: location.name,
            endpoint: location.endpoint,
            public_key: location.public_key,
            addresses: location.address,
            allowed_ips: location.allowed_ips,
            dns: location.dns,
            mfa_mode: mfa_mode(location.mfa),
            keepalive_seconds: location.keepalive,
        };
        let (new, origin) = (location::NewLocation::try_from(form)?, origin.clone());
        let added = self.store.write(move |tx| Box::pin(async move { location::add(tx, &new, &origin).await })).await?;
        Ok(Answer::LocationAdded { id: added.id.as_i64(), name: added.name })
    }

    async fn list_locations(&self) -> Result<Answer, CommandError> {
        let locations = self.store.read(|tx| Box::pin(location::list(tx))).await?;
        Ok(Answer::Locations(locations.into_iter().map(row).collect()))
    }

    async fn change_location(&self, origin: &Origin, typed: LocationChange) -> Result<Answer, CommandError> {
        let LocationChange { name, new_name, endpoint, public_key, allowed_ips, dns, mfa, keepalive } = typed;
        let form = ChangeForm {
            name: new_name,
            endpoint,
            public_key,
            allowed_ips,
            dns: dns.map(|servers| servers.0),
            mfa_mode: mfa.map(mfa_mode),
            keepalive_seconds: keepalive,
        };
        let (change, origin) = (location::LocationChange::try_from(form)?, origin.clone());
        let change =
            self.store.write(move |tx| Box::pin(async move { location::change(tx, &name, &change, &origin).await }));
        let changed = change.await?;
        Ok(Answer::LocationChanged { id: changed.id.as_i64(), name: changed.name })
    }

    async fn remove_location(&self, origin: &Origin, name: String) -> Result<Answer, CommandError> {
        let origin = origin.clone();
        let remove = self.store.write(move |tx| Box::pin(async move { location::remove(tx, &name, &origin).await }));
        let location::Removed { id, name, devices, hosts } = remove.await?;
        Ok(Answer::LocationRemoved(LocationRemoved { id: id.as_i64(), name, devices, hosts }))
    }

    async fn list_peers(&self, name: String, format: PeersFormat) -> Result<Answer, CommandError> {
        let found = self.store.read(|tx| Box::pin(async move { location::peers(tx, &name).await })).await?;
        Ok(match format {
            PeersFormat::Table | PeersFormat::Json => Answer::Peers(found.peers.into_iter().map(peer_row).collect()),
            PeersFormat::Wg => Answer::PeersConfig(PeersConfig { config: found.wg_syncconf().to_string() }),
        })
    }
}

fn row(LocationSummary { location, ranges, devices }: LocationSummary) -> LocationRow {
    LocationRow {
        id: location.id.as_i64(),
        name: location.name,
        endpoint: location.endpoint,
        addresses: ranges,
        public_key: location.public_key,
        allowed_ips: entries(&location.allowed_ips),
        dns: entries(location.dns.as_deref().unwrap_or_default()),
        mfa: location.mfa_mode.as_str().to_owned(),
        keepalive: location.keepalive_seconds,
        devices,
    }
}

fn peer_row(peer: Peer) -> PeerRow {
    PeerRow {
        device: peer.device.as_i64(),
        name: peer.name,
        user: peer.login,
        public_key: peer.public_key,
        addresses: peer.addresses.iter().map(ToString::to_string).collect(),
        authorised_until: peer.authorisation.map(|authorisation| authorisation.until.to_rfc3339()),
    }
}

fn entries(list: &str) -> Vec<String> {
    list.split(',').filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

fn mfa_mode(mode: MfaMode) -> location::MfaMode {
    match mode {
        MfaMode::Disabled => location::MfaMode::Disabled,
        MfaMode::Internal => location::MfaMode::Internal,
        MfaMode::External => location::MfaMode::External,
    }
}
