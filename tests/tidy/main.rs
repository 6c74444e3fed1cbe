//! The repository keeps its own rules: borders, sizes, words, and what README promises.

mod borders;
mod clients;
mod ports;
mod settings;
mod shape;
mod source;
mod stacks;
mod words;
