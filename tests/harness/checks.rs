//! Checks that a program plays one after another: a line for each, and at the end how many missed.

#![allow(clippy::print_stdout, reason = "the lines are what it is for")]

use std::{fmt::Display, process::ExitCode};

use anyhow::Result;

/// What was played so far.
#[derive(Debug, Default)]
pub struct Checks {
    played: usize,
    missed: usize,
}

impl Checks {
    /// Tells what came of a check, in figures or in what is wrong, and says whether it was met.
    pub fn tell(&mut self, name: &str, outcome: Result<impl Display>) -> bool {
        self.played += 1;
        match outcome {
            Ok(figures) => {
                println!("check={name} {figures}");
                true
            }
            Err(error) => {
                self.missed += 1;
                println!("check={name} {error:#} (missed)");
                false
            }
        }
    }

    /// The last line. Nothing played is a failure as well.
    pub fn end(&self) -> ExitCode {
        println!("missed: {} of {}", self.missed, self.played);
        if self.missed == 0 && self.played > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
