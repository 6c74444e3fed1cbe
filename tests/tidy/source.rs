//! The files of the repository, as text.

use std::{
    fs,
    path::{Path, PathBuf},
};

use postern_tests::programs::repository;

/// Folders with nothing that a person wrote.
const SKIPPED: [&str; 5] = [".git", "target", ".state", "node_modules", "__pycache__"];

/// One file, with its path from the root.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Lines with their numbers, without those that are only a comment.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Every Rust file.
pub(crate) fn rust() -> Vec<Source> {
    let files = files(&["rs"]);
    assert!(files.len() > 50, "the repository was not found");
    files
}

/// Every file with one of these extensions.
pub(crate) fn files(extensions: &[&str]) -> Vec<Source> {
    let root = repository();
    let mut found = Vec::new();
    collect(&root, &mut found);
    found.sort();
    found
        .iter()
        .filter(|path| path.extension().is_some_and(|own| extensions.iter().any(|wanted| own == *wanted)))
        .map(|path| Source { path: from_root(&root, path), text: fs::read_to_string(path).expect("a readable file") })
        .collect()
}

/// One file, which must exist.
pub(crate) fn file(path: &str) -> Source {
    let text = fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Source { path: path.to_owned(), text }
}

/// Fails with every line of `broken`, unless there is none.
pub(crate) fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// Whether `name` stands in `text` as a whole word.
pub(crate) fn has_word(text: &str, name: &str) -> bool {
    let part_of_a_name = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    text.match_indices(name).any(|(at, _)| {
        !part_of_a_name(text[..at].chars().next_back()) && !part_of_a_name(text[at + name.len()..].chars().next())
    })
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        let skipped = SKIPPED.iter().any(|name| entry.file_name() == *name);
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !skipped => collect(&entry.path(), found),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

fn from_root(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).expect("below the root").to_str().expect("a path in ASCII").to_owned()
}

#[test]
fn a_word_is_found_only_as_a_whole() {
    assert!(has_word("use axum::Router;", "axum"));
    assert!(!has_word("use axum_extra::Router;", "axum"));
    assert!(!has_word("let my_axum = 1;", "axum"));
}
