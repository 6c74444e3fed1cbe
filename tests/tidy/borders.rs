//! Which part may name which: the arrows of ARCHITECTURE.md.

use crate::source::{Source, assert_none, file, has_word, rust};

/// Crates of ours that a crate may depend on. Nothing else is allowed.
const CRATES: [(&str, &[&str]); 5] = [
    ("proto", &[]),
    ("edge", &["postern-proto"]),
    ("core-link", &["postern-proto"]),
    ("core-link/service", &["postern-core-link", "postern-proto"]),
    ("tests", &["postern-core", "postern-core-link", "postern-edge", "postern-proto"]),
];

/// A foreign name that only some modules of a crate may use.
#[derive(Debug)]
struct Border {
    /// The crate's sources.
    of: &'static str,
    /// The name.
    name: &'static str,
    /// Modules that may use it: `x` is x.rs and everything in x/.
    only: &'static [&'static str],
}

const BORDERS: [Border; 7] = [
    Border { of: "edge/src", name: "axum", only: &["http"] },
    // `testing` is the other end of the tunnel.
    Border { of: "edge/src", name: "tonic", only: &["tunnel", "adoption", "testing"] },
    Border { of: "core-link/service/src", name: "sqlx", only: &["store"] },
    Border { of: "core-link/service/src", name: "axum", only: &["admin"] },
    Border { of: "core-link/service/src", name: "tonic", only: &["dispatch"] },
    Border { of: "core-link/service/src", name: "postern_proto", only: &["dispatch"] },
    Border { of: "core-link/src", name: "sqlx", only: &[] },
];

/// Where a border is crossed all the same: file, name, reason.
const CROSSINGS: [(&str, &str, &str); 1] = [(
    "core-link/service/src/session_keys.rs",
    "postern_proto",
    "the length of a key and the domain of its id are numbers that both ends must agree on, not messages",
)];

/// Who may pick the status of an answer, and why that is not http/error.rs alone.
const STATUS_CODES: [(&str, &str); 5] = [
    ("edge/src/http/error.rs", "the one table of errors and their statuses"),
    ("edge/src/http/health.rs", "probes answer with a fixed text that is no error of a person's request"),
    ("edge/src/http/remote_mfa/opening.rs", "a 101 is a step of the websocket's handshake and no outcome"),
    (
        "edge/src/http/pages/assets.rs",
        "a 304 is about the copy that a browser holds, not about what a person asked for",
    ),
    ("edge/src/http/metrics.rs", "a listener of its own, on loopback, for Prometheus"),
];

#[test]
fn crates_depend_on_each_other_only_along_the_arrows() {
    let mut broken = Vec::new();
    for (folder, allowed) in CRATES {
        let manifest = file(&format!("{folder}/Cargo.toml"));
        let own = format!("postern-{}", if folder == "core-link/service" { "core" } else { folder });
        for dependency in dependencies(&manifest) {
            if dependency != own && !allowed.contains(&dependency) {
                broken.push(format!("{}: {dependency}", manifest.path));
            }
        }
    }

    assert_none(&broken);
}

#[test]
fn every_crate_is_held_to_the_workspaces_lints() {
    for (folder, _) in CRATES {
        let manifest = file(&format!("{folder}/Cargo.toml"));

        assert!(manifest.text.contains("[lints]\nworkspace = true"), "{}", manifest.path);
    }
}

#[test]
fn foreign_names_stay_behind_their_borders() {
    let mut broken = Vec::new();
    for source in rust() {
        for border in BORDERS.iter().filter(|border| border.forbids(&source.path)) {
            let crossing = source.code().find(|(_, line)| has_word(line, border.name));
            if let Some((line, _)) = crossing {
                broken.push(format!("{}:{line} names {}", source.path, border.name));
            }
        }
    }

    assert_none(&broken);
}

#[test]
fn status_codes_are_picked_in_one_place() {
    let mut broken = Vec::new();
    for source in rust().iter().filter(|source| source.path.starts_with("edge/src/")) {
        let shipped = source.code().take_while(|(_, line)| !line.contains("#[cfg(test)]"));
        let picks = shipped.filter(|(_, line)| line.contains("StatusCode::")).map(|(line, _)| line).next();
        if let Some(line) = picks.filter(|_| STATUS_CODES.iter().all(|(path, _)| *path != source.path)) {
            broken.push(format!("{}:{line} picks a status code", source.path));
        }
    }

    assert_none(&broken);
}

#[test]
fn every_crossing_is_still_one() {
    for (path, name, reason) in CROSSINGS {
        assert!(file(path).code().any(|(_, line)| has_word(line, name)), "{path} no longer names {name}");
        assert!(reason.len() > 20, "{path}: say why");
    }
}

impl Border {
    fn forbids(&self, path: &str) -> bool {
        let Some(inside) = path.strip_prefix(self.of).and_then(|rest| rest.strip_prefix('/')) else { return false };
        let module = inside.split(['/', '.']).next().unwrap_or_default();
        let crosses = CROSSINGS.iter().any(|(file, name, _)| *file == path && *name == self.name);
        !self.only.contains(&module) && !crosses
    }
}

/// Crates of ours that a manifest names as dependencies of any kind.
fn dependencies(manifest: &Source) -> Vec<&str> {
    let lines = manifest.text.lines().map(str::trim);
    lines.filter(|line| line.starts_with("postern-")).filter_map(|line| line.split(['.', ' ', '=']).next()).collect()
}

#[test]
fn a_border_holds_for_its_own_crate_and_module_only() {
    let border = &BORDERS[0];

    assert!(border.forbids("edge/src/tunnel.rs"));
    assert!(border.forbids("edge/src/tunnel/registry.rs"));
    assert!(!border.forbids("edge/src/http.rs"));
    assert!(!border.forbids("edge/src/http/error.rs"));
    assert!(!border.forbids("tests/bench/bare.rs"));
}
