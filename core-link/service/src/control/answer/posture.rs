//! What a device told about itself, as the command line prints it.

use serde::{Deserialize, Serialize};

use crate::posture::Report;

#[derive(Debug, Serialize, Deserialize)]
pub struct PostureRow {
    pub device: i64,
    /// RFC 3339. `None`: it has not reported yet.
    pub reported_at: Option<String>,
    pub report: Option<Report>,
}
