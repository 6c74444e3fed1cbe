//! Answers for people: tables, and sentences that say what to do next.

mod certificate;
mod migrated;
mod posture;

use crate::control::{
    ActivityRow, Answer, DeviceRow, EdgeRow, Enrollment, HostInvited, LocationRemoved, LocationRow, PeerRow, UserRow,
};

/// Between two columns.
const GAP: &str = "  ";

/// What is printed without `--json`.
pub(super) fn text(answer: &Answer) -> String {
    match answer {
        Answer::UserAdded { login, .. } => {
            format!("{login} was added. Make an enrollment token with: postern-core user enroll {login}\n")
        }
        Answer::Users(rows) => users(rows),
        Answer::Enrollment(enrollment) => token(enrollment),
        Answer::InvitationMailed { login, email, expires_at } => {
            format!("A token for {login} is on its way to {email}. It is valid until {expires_at}.\n")
        }
        Answer::MailTaken { address } => format!("The mail server took a mail for {address}.\n"),
        Answer::UserDisabled { login } => format!("{login} is disabled.\n"),
        Answer::UserUnlocked { login } => format!("{login} may try codes again.\n"),
        Answer::MfaReset { login } => format!(
            "{login} has no second factor any more. For a token to set up a new one: postern-core user enroll {login}\n"
        ),
        Answer::UserLinked { login } => format!("{login} may sign in at the OpenID provider.\n"),
        Answer::UserUnlinked { login } => format!("Nobody at the OpenID provider is {login} any more.\n"),
        Answer::UserDeleted { login, devices } => {
            format!("{login} was deleted, with {}.\n", counted(*devices, "device"))
        }
        Answer::LocationAdded { name, .. } => format!("Location {name} was added.\n"),
        Answer::Locations(rows) => locations(rows),
        Answer::LocationChanged { name, .. } => {
            format!("Location {name} was changed. Clients learn it at their next poll.\n")
        }
        Answer::LocationRemoved(removed) => location_removed(removed),
        Answer::Peers(rows) => peers(rows),
        Answer::PeersConfig(config) => config.config.clone(),
        Answer::EdgeAdded { name, address, .. } => {
            format!("Edge {name} at {address} was adopted. See its tunnel with: postern-core edge list\n")
        }
        Answer::Edges(rows) => edges(rows),
        Answer::EdgeChanged(edge) => {
            format!("Edge {} is {}.\n", edge.name, if edge.enabled { "enabled" } else { "disabled" })
        }
        Answer::EdgeRemoved(edge) => match &edge.note {
            Some(note) => format!("Edge {} was removed. {note}\n", edge.name),
            None => format!("Edge {} was removed, and gave up its identity.\n", edge.name),
        },
        Answer::CertificateStored(certificate) => certificate::stored(certificate),
        Answer::Certificate(row) => certificate::shown(row.as_ref()),
        Answer::CertificateCleared => "All Edges serve plain HTTP again.\n".to_owned(),
        Answer::HostInvited(host) => host_token(host),
        Answer::HostAdded { name, location, config, .. } => host_config(name, location, config),
        Answer::Devices(rows) => devices(rows),
        Answer::Posture(row) => posture::text(row),
        Answer::DeviceRemoved { id } => format!("Device {id} was removed.\n"),
        Answer::PersonTokensRevoked { login, revoked } => format!(
            "{} of {login} ended. For a new one: postern-core user enroll {login}\n",
            counted(*revoked, "enrollment token")
        ),
        Answer::DeviceTokensRevoked { device, revoked } => {
            format!("{} of device {device} ended.\n", counted(*revoked, "token"))
        }
        Answer::Activity(rows) => activity(rows),
        Answer::Healthy {} => "Core answers.\n".to_owned(),
        Answer::Migrated(migrated) => migrated::text(migrated),
    }
}

fn token(enrollment: &Enrollment) -> String {
    format!(
        "Give these to {}. The token is not shown again, and is valid until {}.\n\n  URL    {}\n  Token  {}\n",
        enrollment.login, enrollment.expires_at, enrollment.url, enrollment.token
    )
}

fn location_removed(LocationRemoved { name, devices, hosts, .. }: &LocationRemoved) -> String {
    let lost = format!("Location {name} was removed. {} lost an address there", counted(*devices, "device"));
    match hosts {
        0 => format!("{lost}.\n"),
        hosts => format!("{lost}; {} of that location went with it.\n", counted(*hosts, "host")),
    }
}

fn counted(count: impl Into<u64>, what: &str) -> String {
    let count = count.into();
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn host_token(host: &HostInvited) -> String {
    let HostInvited { name, location, token, expires_at, url, .. } = host;
    let (name, location) = (printable(name), printable(location));
    format!(
        "Host {name} has an address in location {location}. The token is not shown again, and is valid until \
         {expires_at}.\n\n  URL    {url}\n  Token  {token}\n\nOn the host: dg enroll -u {url} -t {token}\n"
    )
}

fn host_config(name: &str, location: &str, config: &str) -> String {
    let (name, location) = (printable(name), printable(location));
    format!("Host {name} was added to location {location}. Its configuration for wg-quick:\n\n{config}\n")
}

fn users(rows: &[UserRow]) -> String {
    let cells = rows.iter().map(|row| {
        let name = format!("{} {}", row.first_name, row.last_name);
        let state = match (row.disabled, row.enrolled) {
            (true, _) => "disabled",
            (false, true) => "enrolled",
            (false, false) => "new",
        };
        let mfa = match (row.locked, row.mfa) {
            (true, _) => "locked",
            (false, true) => "yes",
            (false, false) => "-",
        };
        [
            row.id.to_string(),
            row.login.clone(),
            name.trim().into(),
            row.email.clone(),
            state.into(),
            mfa.into(),
            if row.openid { "yes" } else { "-" }.into(),
            row.devices.to_string(),
        ]
    });
    table(["ID", "LOGIN", "NAME", "MAIL", "STATE", "MFA", "OPENID", "DEVICES"], cells)
}

fn locations(rows: &[LocationRow]) -> String {
    let cells = rows.iter().map(|row| {
        let (addresses, mfa) = (row.addresses.join(","), row.mfa.clone());
        [row.id.to_string(), row.name.clone(), row.endpoint.clone(), addresses, mfa, row.devices.to_string()]
    });
    table(["ID", "NAME", "ENDPOINT", "ADDRESSES", "MFA", "DEVICES"], cells)
}

fn peers(rows: &[PeerRow]) -> String {
    let cells = rows.iter().map(|row| {
        let user = row.user.clone().unwrap_or_else(|| "-".into());
        let until = row.authorised_until.clone().unwrap_or_else(|| "-".into());
        let addresses = row.addresses.join(",");
        [row.device.to_string(), row.name.clone(), user, row.public_key.clone(), addresses, until]
    });
    table(["DEVICE", "NAME", "USER", "PUBLIC KEY", "ADDRESSES", "AUTHORISED UNTIL"], cells)
}

fn edges(rows: &[EdgeRow]) -> String {
    let cells = rows.iter().map(|row| {
        [
            row.id.to_string(),
            row.name.clone(),
            row.address.clone(),
            row.state.name().into(),
            row.since.clone().unwrap_or_default(),
            row.version.clone(),
            row.announced_version.clone().unwrap_or_else(|| "-".into()),
            row.certificate_days_left.to_string(),
            row.last_error.clone().unwrap_or_default(),
        ]
    });
    let head = ["ID", "NAME", "ADDRESS", "STATE", "SINCE", "VERSION", "ANNOUNCED", "DAYS LEFT", "LAST ERROR"];
    table(head, cells)
}

fn devices(rows: &[DeviceRow]) -> String {
    let cells = rows.iter().map(|row| {
        let addresses = row.addresses.join(",");
        let [user, key] = [&row.user, &row.public_key].map(|cell| cell.clone().unwrap_or_else(|| "-".into()));
        [row.id.to_string(), row.name.clone(), user, key, addresses, row.created_at.clone()]
    });
    table(["ID", "NAME", "USER", "PUBLIC KEY", "ADDRESSES", "CREATED"], cells)
}

fn activity(rows: &[ActivityRow]) -> String {
    let cells = rows.iter().map(|row| {
        [
            row.at.clone(),
            row.event.clone(),
            row.actor.clone(),
            row.subject.clone(),
            row.ip.clone().unwrap_or_default(),
            row.outcome.clone(),
            row.detail.clone(),
        ]
    });
    table(["AT", "EVENT", "ACTOR", "SUBJECT", "IP", "OUTCOME", "DETAIL"], cells)
}

/// Columns as wide as their widest cell. Characters that steer a terminal or turn the direction of writing, which
/// names from outside might hold, are shown and not obeyed.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> =
        std::iter::once(head.map(str::to_owned)).chain(rows.map(|row| row.map(|cell| printable(&cell)))).collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join(GAP).trim_end());
        text.push('\n');
    }
    text
}

fn printable(cell: &str) -> String {
    // Quotes and backslashes are what this escapes beyond need.
    let shown = |c: char| if matches!(c, '"' | '\'' | '\\') { vec![c] } else { c.escape_debug().collect() };
    cell.chars().flat_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_space() {
        let rows = [["1".to_owned(), "a long name".to_owned()], ["22".to_owned(), String::new()]];
        assert_eq!(table(["ID", "NAME"], rows.into_iter()), "ID  NAME\n1   a long name\n22\n");
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let rows = [["\u{1b}[2Jx\n".to_owned()], ["Zoë's \u{202e}\"\\".to_owned()]];
        assert_eq!(table(["NAME"], rows.into_iter()), "NAME\n\\u{1b}[2Jx\\n\nZoë's \\u{202e}\"\\\n");
    }
}
