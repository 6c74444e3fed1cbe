//! Commands about locations.

use super::{Answer, CommandError, Commands};
use crate::{
    activity::Origin,
    control::{LocationCommand, LocationRow, MfaMode, NewLocation},
    location::{self, LocationForm, LocationSummary},
};

impl Commands {
    pub(super) async fn location(&self, origin: &Origin, command: LocationCommand) -> Result<Answer, CommandError> {
        match command {
            LocationCommand::Add(location) => self.add_location(origin, location).await,
            LocationCommand::List => self.list_locations().await,
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
