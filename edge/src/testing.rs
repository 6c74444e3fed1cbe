//! A Core for tests and benchmarks, over real sockets.
