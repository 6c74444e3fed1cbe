//! The shape of files: short, introduced, and where a reader looks for them.

use std::{collections::BTreeSet, fs};

use postern_tests::programs::repository;

use crate::source::{Source, assert_none, rust};

/// A file tells one story.
const LINES_MAX: usize = 300;

/// Longer files, each with the reason why it is still one story.
const LONGER: [(&str, &str); 0] = [];

/// Everything that lies in the root. Dotfiles and git's own folder aside, nothing may be added without saying so here.
const TOP_LEVEL: [&str; 17] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "core-link",
    "deny.toml",
    "deploy",
    "edge",
    "nginx",
    "proto",
    "rustfmt.toml",
    "target",
    "tests",
];

#[test]
fn no_file_has_more_lines_than_a_reader_can_hold() {
    let long = |source: &Source| source.text.lines().count() > LINES_MAX;
    let excused = |source: &Source| LONGER.iter().any(|(path, _)| *path == source.path);
    let broken: Vec<_> = rust()
        .into_iter()
        .filter(|source| long(source) && !excused(source))
        .map(|source| format!("{}: {} lines", source.path, source.text.lines().count()))
        .collect();

    assert_none(&broken);
}

#[test]
fn every_module_says_what_it_is_for_in_one_to_five_lines() {
    let mut broken = Vec::new();
    for source in rust() {
        let lines = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        // A crate's own page may be as long as it needs; its modules may not.
        let most = if source.path.ends_with("src/lib.rs") { LINES_MAX } else { 5 };
        if lines == 0 || lines > most {
            broken.push(format!("{}: {lines} lines of //!", source.path));
        }
    }

    assert_none(&broken);
}

#[test]
fn a_module_with_parts_is_a_file_beside_its_folder() {
    let broken: Vec<_> =
        rust().into_iter().map(|source| source.path).filter(|path| path.ends_with("/mod.rs")).collect();

    assert_none(&broken);
}

#[test]
fn the_root_holds_what_it_should_and_nothing_else() {
    let known: BTreeSet<_> = TOP_LEVEL.into_iter().collect();
    let mut broken = Vec::new();
    for entry in fs::read_dir(repository()).expect("the root") {
        let name = entry.expect("the root").file_name().into_string().expect("a name in ASCII");
        if !name.starts_with('.') && !known.contains(name.as_str()) {
            broken.push(name);
        }
    }

    assert_none(&broken);
}
