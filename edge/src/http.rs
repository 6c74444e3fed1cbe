//! The public side: HTTP requests in, calls over a tunnel out.
