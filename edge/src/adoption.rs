//! Takes a new Edge's identity from the Core that adopts it.
