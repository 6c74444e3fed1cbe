//! An Edge's key and certificate, and the Core that it belongs to, on disk.
