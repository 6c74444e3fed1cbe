//! What became of a store that was copied.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub struct Migrated {
    pub to: String,
    /// Everything was there already.
    pub was_there: bool,
    pub seconds: f64,
    /// Rows of each table.
    pub tables: BTreeMap<String, u64>,
}
