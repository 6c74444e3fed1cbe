//! README's tables of settings equal `--help`.

use crate::source::file;

#[test]
fn the_table_of_the_edge_equals_its_help() {
    assert_eq!(table("postern-edge"), settings(&postern_edge::config::command_line()));
}

#[test]
fn the_table_of_core_equals_its_help() {
    assert_eq!(table("postern-core"), settings(&postern_core::cli::command_line()));
}

/// Key, meaning and default of each setting, as README prints them.
fn settings(command: &clap::Command) -> Vec<String> {
    let options = command.get_arguments().filter(|argument| argument.get_long().is_some());
    options.filter(|argument| argument.get_action().takes_values()).map(row).collect()
}

fn row(argument: &clap::Arg) -> String {
    let flag = argument.get_long().expect("a setting has a flag");
    let help = argument.get_help().expect("a setting has help").to_string();
    let (meaning, default) =
        help.strip_suffix(']').and_then(|help| help.split_once(" [default: ")).unwrap_or((&help, "none"));
    // Outside of code Markdown takes `<` for HTML.
    format!("| `{}` | {} | {} |", flag.replace('-', "_"), meaning.replace('<', "\\<"), shown(default))
}

/// Values are code; words that describe a value are not.
fn shown(default: &str) -> String {
    if default == "none" || default.starts_with("the ") { default.to_owned() } else { format!("`{default}`") }
}

/// The rows between the two marks of that program.
fn table(program: &str) -> Vec<String> {
    let readme = file("README.md").text;
    let begin = format!("<!-- settings of {program} -->");
    let (_, after) = readme.split_once(&begin).unwrap_or_else(|| panic!("README has no {begin}"));
    let (table, _) = after.split_once("<!-- end -->").expect("the table has an end");
    table.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect()
}
