//! Two Cores on one database.

mod approvals;
mod bursts;
mod leases;
mod operations;
