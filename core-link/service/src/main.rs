//! The program `postern-core`.

use std::process::ExitCode;

fn main() -> ExitCode {
    postern_core::cli::main(std::env::args_os(), std::env::vars_os())
}
