//! What stands on the command line.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser};

use crate::{
    config::{Flags, SETTINGS, Setting},
    control::Command,
    secret::Secret,
};

const EXAMPLES: &str = "\
Every setting is also a key of the file that --config names (with _ for -), and a variable
(POSTERN_CORE__PUBLIC_URL for --public-url). A flag wins over a variable, that over the file.

Examples:
  postern-core serve --config /etc/postern/core.toml
  postern-core edge add edge-1.dmz.example.com:50051
  postern-core user add joe --email joe@example.com
  postern-core user enroll joe

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 78 wrong configuration.";

const MIGRATE_HELP: &str = "\
The setting `database` names the file that is copied, which is only read. All of it arrives, compared value by value, or
nothing; it can be run again at any time. Afterwards set `database` to the URL on each Core, and move the file away.

Example:
  postern-core migrate-to-postgres --to postgres://postern@db.example.org/postern --to-password-file /etc/postern/db-password";

const SETTINGS_HEADING: &str = "Settings";

/// A complete small Core: people, enrollment, devices and Edges. It dials its Edges and listens on no network.
#[derive(Debug, Parser)]
#[command(name = "postern-core", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Root {
    /// Check the configuration, and stop
    #[arg(long)]
    check_config: bool,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    task: Option<RootTask>,
}

#[derive(Debug, clap::Subcommand)]
enum RootTask {
    /// Run: take commands, keep a tunnel open to each Edge, answer their requests
    Serve {
        /// Check the configuration, and stop
        #[arg(long)]
        check_config: bool,
    },
    /// Copy everything from SQLite into an empty Postgres database, while no Core runs
    #[command(after_help = MIGRATE_HELP)]
    MigrateToPostgres(Migration),
    #[command(flatten)]
    Command(Command),
}

/// Where everything goes.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Migration {
    /// The new database, as postgres://user@host:port/database
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub(super) to: Secret,
    /// File with the password for it
    #[arg(long, value_name = "FILE")]
    pub(super) to_password_file: Option<String>,
}

/// The command line, read.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) task: Task,
    pub(super) json: bool,
    pub(super) flags: Flags,
}

#[derive(Debug)]
pub(super) enum Task {
    CheckConfig,
    Serve,
    Migrate(Migration),
    Command(Command),
}

impl Arguments {
    pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = command_line().try_get_matches_from(arguments)?;
        let root = Root::from_arg_matches(&matches)?;
        let task = match root.task {
            _ if root.check_config => Task::CheckConfig,
            Some(RootTask::Serve { check_config: true }) => Task::CheckConfig,
            Some(RootTask::Serve { check_config: false }) => Task::Serve,
            Some(RootTask::MigrateToPostgres(migration)) => Task::Migrate(migration),
            Some(RootTask::Command(command)) => Task::Command(command),
            None => return Err(command_line().error(clap::error::ErrorKind::MissingSubcommand, "a command is missing")),
        };
        let mut flags = Flags::new();
        collect(&matches, &mut flags);
        Ok(Self { task, json: root.json, flags })
    }
}

/// Never refused here, where it would be shown.
#[allow(clippy::unnecessary_wraps, reason = "clap wants a result")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// Settings may stand before or behind the command; help shows them where they matter.
pub fn command_line() -> clap::Command {
    with_settings(Root::command(), false)
}

fn with_settings(command: clap::Command, hide: bool) -> clap::Command {
    let file = Arg::new("config").long("config").value_name("FILE").help("TOML file with settings [default: none]");
    let settings = SETTINGS.iter().map(|setting| {
        let help = format!("{} [default: {}]", setting.help, shown_default(setting));
        Arg::new(setting.key).long(setting.flag).value_name(setting.value).help(help).overrides_with(setting.key)
    });
    let arguments = std::iter::once(file).chain(settings);
    let command = command.args(arguments.map(|argument| argument.hide(hide).help_heading(SETTINGS_HEADING)));
    command.mut_subcommands(|inner| {
        let hide = inner.get_name() != "serve";
        with_settings(inner, hide)
    })
}

fn shown_default(setting: &Setting) -> &'static str {
    if setting.default.is_empty() { "none" } else { setting.default }
}

/// The innermost flag wins: it was typed last.
fn collect(matches: &ArgMatches, flags: &mut Flags) {
    for key in std::iter::once("config").chain(SETTINGS.iter().map(|setting| setting.key)) {
        if let Some(value) = matches.get_one::<String>(key) {
            flags.insert(key, value.clone());
        }
    }
    if let Some((_, inner)) = matches.subcommand() {
        collect(inner, flags);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{EdgeCommand, UserCommand};

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_definition_is_sound() {
        command_line().debug_assert();
    }

    #[test]
    fn settings_may_stand_before_and_behind_the_command() {
        let before = parse("postern-core --socket /a --json user list").unwrap();
        let behind = parse("postern-core user list --socket /a --json").unwrap();
        for arguments in [before, behind] {
            assert!(matches!(arguments.task, Task::Command(Command::User(UserCommand::List))));
            assert!(arguments.json);
            assert_eq!(arguments.flags, Flags::from([("socket", "/a".to_owned())]));
        }
    }

    #[test]
    fn an_address_without_a_port_is_wrong_usage() {
        let error = parse("postern-core edge add edge-1").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(matches!(
            parse("postern-core edge add edge-1:50051").unwrap().task,
            Task::Command(Command::Edge(EdgeCommand::Add { .. }))
        ));
    }

    #[test]
    fn a_command_is_needed_except_to_check_the_configuration() {
        assert_eq!(parse("postern-core --json").unwrap_err().exit_code(), 2);
        assert!(matches!(parse("postern-core --check-config").unwrap().task, Task::CheckConfig));
        assert!(matches!(parse("postern-core serve --check-config").unwrap().task, Task::CheckConfig));
    }

    #[test]
    fn help_has_one_line_for_each_setting_with_its_default() {
        let help = command_line().term_width(200).render_help().to_string();
        for setting in SETTINGS {
            let line = help.lines().find(|line| line.contains(&format!("--{} ", setting.flag))).unwrap();
            assert!(line.ends_with(&format!("{} [default: {}]", setting.help, shown_default(setting))), "{line}");
        }
    }
}
