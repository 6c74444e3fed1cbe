//! Answers about the certificate that Edges show to browsers.

use super::printable;
use crate::control::{CertificateRow, CertificateStored};

pub(super) fn stored(CertificateStored { names, issuer, expires_at, note }: &CertificateStored) -> String {
    let (names, issuer) = (printable(&names.join(", ")), printable(issuer));
    let note = note.as_ref().map_or_else(String::new, |note| format!("{note}\n"));
    format!("All Edges show the certificate for {names} from {issuer}, valid until {expires_at}.\n{note}")
}

pub(super) fn shown(row: Option<&CertificateRow>) -> String {
    let Some(row) = row else {
        return "There is no certificate; Edges serve plain HTTP.\n".to_owned();
    };
    let origin = row.ordered_for.as_ref().map_or_else(
        || "brought by an administrator, not renewed by itself".to_owned(),
        |domain| format!("ordered for {domain}, renewed by itself"),
    );
    let mut text = format!(
        "Names    {}\nIssuer   {}\nSHA-256  {}\nExpires  {} ({} days left)\nOrigin   {origin}\nStored   {}\n",
        printable(&row.names.join(", ")),
        printable(&row.issuer),
        row.sha256,
        row.expires_at,
        row.days_left,
        row.stored_at,
    );
    if let Some(at) = &row.renewal_tried_at {
        let error = row.renewal_error.as_deref().unwrap_or("-");
        text.push_str(&format!("Renewal  failed at {at}: {}\n", printable(error)));
    }
    text
}
