//! The program's settings, seen from outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    process::{Command, Output},
};

#[test]
fn every_mistake_is_named_with_its_key_and_place_and_the_exit_code_is_78() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edge.toml");
    let text =
        "http_listen = 'nope'\ntrusted_proxies = ['10.0.0.0/8', 5]\nconnections_max = 0\nhtp = 1\nexpose_name = true\n";
    fs::write(&file, text).unwrap();
    let output = edge()
        .args(["--config", file.to_str().unwrap(), "--log-level", "loud"])
        .env("POSTERN_EDGE__GRACE", "never")
        .env("POSTERN_EDGE__FOO", "1")
        .output()
        .unwrap();
    let place = format!("(file {})", file.display());
    let expected = [
        "postern-edge: 7 mistakes in the settings:".to_owned(),
        format!("http_listen: expected an address such as [::]:8080, found \"nope\" {place}"),
        format!("trusted_proxies: expected networks such as 10.0.0.0/8,::1, found \"10.0.0.0/8,5\" {place}"),
        format!("connections_max: expected a number from 1 to 1000000, found \"0\" {place}"),
        format!("htp: no such setting {place}"),
        "grace: expected a duration such as 10m, at most a year, found \"never\" (variable POSTERN_EDGE__GRACE)"
            .to_owned(),
        "foo: no such setting (variable POSTERN_EDGE__FOO)".to_owned(),
        "log_level: expected error, warn, info, debug or trace, found \"loud\" (flag --log-level)".to_owned(),
    ];
    let mut found: Vec<_> = errors(&output).lines().map(|line| line.trim().to_owned()).collect();
    let mut expected = expected.to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn a_zone_is_one_word_or_nothing() {
    for (zone, code) in [("north", 0), ("", 0), ("up north", 78)] {
        let output = edge().args(["--check-config", "--zone", zone]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{zone}: {}", errors(&output));
    }
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_other_mistakes() {
    let output = edge().args(["--config", "/nonexistent/edge.toml", "--grace", "x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let errors = errors(&output);
    assert!(errors.contains("cannot read /nonexistent/edge.toml") && errors.contains("grace:"), "{errors}");
}

#[test]
fn flags_come_before_variables_and_variables_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edge.toml");
    fs::write(&file, "grace = 'from file'\ndrain_delay = 'from file'\nadoption_window = 'from file'\n").unwrap();
    let output = edge()
        .args(["--grace", "from flag"])
        .env("POSTERN_EDGE__CONFIG", &file)
        .env("POSTERN_EDGE__GRACE", "from variable")
        .env("POSTERN_EDGE__DRAIN_DELAY", "from variable")
        .output()
        .unwrap();
    let errors = errors(&output);
    for (key, found) in [("grace", "from flag"), ("drain_delay", "from variable"), ("adoption_window", "from file")] {
        let line = errors.lines().find(|line| line.trim().starts_with(key)).unwrap();
        assert!(line.contains(&format!("found {found:?}")), "{line}");
    }
}

#[test]
fn right_settings_are_called_right() {
    let output = edge()
        .args(["--check-config", "--public-url", "http://edge.example.org:8080", "--trusted-proxies", "127.0.0.1, ::1"])
        .env("POSTERN_EDGE__ADOPTION_FROM", "")
        .output()
        .unwrap();
    assert_eq!((output.status.code(), errors(&output).trim()), (Some(0), "postern-edge: the settings are fine"));
}

#[test]
fn a_public_url_is_http_or_https_and_at_the_root() {
    for url in ["ftp://edge.example.org/", "https://edge.example.org/vpn", "edge.example.org", "https:///"] {
        assert_eq!(edge().args(["--check-config", "--public-url", url]).status().unwrap().code(), Some(78), "{url}");
    }
}

#[test]
fn an_unknown_flag_is_wrong_use() {
    assert_eq!(edge().arg("--bogus").output().unwrap().status.code(), Some(2));
}

#[test]
fn help_has_one_line_for_each_setting() {
    let help = String::from_utf8(edge().arg("--help").output().unwrap().stdout).unwrap();
    for setting in postern_edge::config::SETTINGS {
        let lines = help.lines().filter(|line| line.trim().starts_with(&format!("--{} ", setting.flag)));
        let line: Vec<_> = lines.collect();
        assert!(matches!(line.as_slice(), [line] if line.contains("[default: ")), "{}: {line:?}", setting.key);
        assert_eq!(setting.flag, setting.key.replace('_', "-"));
    }
}

/// Without whatever the environment of the tests says.
fn edge() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern-edge"));
    command.env_clear();
    command
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
