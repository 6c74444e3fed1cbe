//! Two Cores on one database.

mod approvals;
mod leases;
mod operations;
