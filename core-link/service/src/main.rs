//! The program `postern-core`.

use std::process::ExitCode;

/// Takes the allocator's part of a poll from a sixth to next to nothing.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    postern_core::cli::main(std::env::args_os(), std::env::vars_os())
}
