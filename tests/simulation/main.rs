//! What waits and what is lost: every interleaving of the small parts, and many schedules of faults for the whole.
//!
//! A run follows from its seed alone. `POSTERN_SIMULATION_SEED=7` runs that one and prints what happened in it;
//! `POSTERN_SIMULATION_FIRST=1000` begins elsewhere, `POSTERN_SIMULATION_SEEDS=100000` runs more.

mod claims;
mod core_host;
mod edge_host;
mod faults;
mod half_open;
mod identities;
mod interleavings;
mod leaving;
mod long_absence;
mod memory;
mod network;
mod people;
mod returning;
mod run;
mod scene;
mod seeds;
mod storm;
mod trace;
