//! Tokens of every kind: good for one thing, hard to guess, and worth nothing to whoever reads the database.

mod at_rest;
mod lifetimes;
mod purposes;
mod randomness;
