//! People who call all the time, every answer checked, and what came of it: for whatever goes wrong meanwhile.

pub mod ledger;
pub mod load;
pub mod outcome;
pub mod people;
pub mod visit;
