//! Adopting, listing, disabling and removing Edges, over real sockets; a crash at each step of an adoption;
//! several Cores on one store.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod adopting;
mod certificates;
mod changing;
mod core;
mod hostile;
mod proxy;
mod several;
mod stock;
