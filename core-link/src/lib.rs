//! Dials Edges, keeps one tunnel open to each, and hands their requests to a [`Handler`].

#![warn(missing_docs)]
