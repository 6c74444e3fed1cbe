//! What commands about the certificate answer.

use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub struct CertificateStored {
    pub names: Vec<String>,
    pub issuer: String,
    /// RFC 3339.
    pub expires_at: String,
    /// Why it may not do, if something is odd about it.
    pub note: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct CertificateRow {
    pub names: Vec<String>,
    pub issuer: String,
    /// Of the certificate in DER.
    pub sha256: String,
    /// RFC 3339.
    pub expires_at: String,
    pub days_left: i64,
    /// `None`: an administrator brought it.
    pub ordered_for: Option<String>,
    pub stored_at: String,
    /// When its renewal was last tried, without success.
    pub renewal_tried_at: Option<String>,
    pub renewal_error: Option<String>,
}
