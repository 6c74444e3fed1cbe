//! The one list of settings: name, meaning, default. Flags, variables, the file's keys and `--help` come from it.

use clap::{Arg, ArgAction, Command};

use super::stock;

/// Variables are this and the key in capitals.
pub(super) const VARIABLE_PREFIX: &str = "POSTERN_EDGE__";

/// Where a stock Edge keeps its identity, so that ours takes it over.
pub(super) const STOCK_FOLDER: &str = "/etc/defguard/certs";
pub(super) const OWN_FOLDER: &str = "/var/lib/postern-edge";

#[derive(Debug)]
pub struct Setting {
    /// Key in the file; in capitals and after `POSTERN_EDGE__`, the variable.
    pub key: &'static str,
    pub flag: &'static str,
    pub value: &'static str,
    pub meaning: &'static str,
    pub default: Default,
}

#[derive(Debug)]
pub enum Default {
    Text(&'static str),
    HostName,
    IdentityFolder,
}

const fn setting(
    (key, flag): (&'static str, &'static str),
    value: &'static str,
    meaning: &'static str,
    default: &'static str,
) -> Setting {
    Setting { key, flag, value, meaning, default: Default::Text(default) }
}

pub const SETTINGS: &[Setting] = &[
    setting(
        ("http_listen", "http-listen"),
        "ADDRESS",
        "Where clients or the proxy in front reach this Edge",
        "[::]:8080",
    ),
    setting(
        ("https_listen", "https-listen"),
        "ADDRESS",
        "The same by TLS, while Core has a certificate for this Edge",
        "[::]:443",
    ),
    setting(("tunnel_listen", "tunnel-listen"), "ADDRESS", "Where Core dials in", "[::]:50051"),
    setting(("metrics_listen", "metrics-listen"), "ADDRESS", "Where Prometheus reads /metrics", "127.0.0.1:9464"),
    setting(
        ("public_url", "public-url"),
        "URL",
        "Address that people see; https makes cookies Secure",
        "https://localhost/",
    ),
    Setting {
        key: "identity_dir",
        flag: "identity-dir",
        value: "FOLDER",
        meaning: "Where key and certificates are kept",
        default: Default::IdentityFolder,
    },
    setting(("acme_allowed", "acme-allowed"), "BOOL", "Order web certificates when Core asks for it", "true"),
    setting(
        ("acme_directory", "acme-directory"),
        "URL",
        "The certificate authority",
        "https://acme-v02.api.letsencrypt.org/directory",
    ),
    setting(("acme_ca_file", "acme-ca-file"), "FILE", "PEM file with who may vouch for a private one", ""),
    setting(
        ("acme_listen", "acme-listen"),
        "ADDRESS",
        "Where the certificate authority looks, open during an order only",
        "[::]:80",
    ),
    setting(
        ("trusted_proxies", "trusted-proxies"),
        "CIDRS",
        "Proxies whose X-Forwarded-For and X-Request-Id are believed",
        "",
    ),
    setting(
        ("adoption_from", "adoption-from"),
        "CIDRS",
        "Who may adopt this Edge",
        "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7,169.254.0.0/16,fe80::/10",
    ),
    setting(
        ("adoption_window", "adoption-window"),
        "DURATION",
        "How long after the start this Edge can be adopted",
        "10m",
    ),
    Setting { key: "name", flag: "name", value: "NAME", meaning: "Name of this Edge", default: Default::HostName },
    setting(("expose_name", "expose-name"), "BOOL", "Put the name into the response header x-postern-edge", "false"),
    setting(("zone", "zone"), "NAME", "Where this Edge stands; Cores of the same zone are preferred", ""),
    setting(("drain_delay", "drain-delay"), "DURATION", "How long a stopping Edge still accepts connections", "0s"),
    setting(("grace", "grace"), "DURATION", "How long a stopping Edge may take in all", "65s"),
    setting(("connections_max", "connections-max"), "NUMBER", "HTTP connections at a time", "4096"),
    setting(
        ("connections_max_per_address", "connections-max-per-address"),
        "NUMBER",
        "The same for one address that is no trusted proxy",
        "256",
    ),
    setting(
        ("websockets_max", "websockets-max"),
        "NUMBER",
        "Desktops at a time that wait for an approval, beside the connections",
        "3000",
    ),
    setting(
        ("websockets_max_per_address", "websockets-max-per-address"),
        "NUMBER",
        "The same for one client's address",
        "1000",
    ),
    setting(("log_level", "log-level"), "LEVEL", "error, warn, info, debug or trace", "info"),
    setting(("log_format", "log-format"), "FORMAT", "text or json", "text"),
];

impl Setting {
    fn help(&self) -> String {
        match self.default {
            Default::Text("") => format!("{} [default: none]", self.meaning),
            Default::Text(default) => format!("{} [default: {default}]", self.meaning),
            Default::HostName => format!("{} [default: the host name]", self.meaning),
            Default::IdentityFolder => {
                format!("{} [default: the folder {STOCK_FOLDER} where there is one, else {OWN_FOLDER}]", self.meaning)
            }
        }
    }
}

/// The command line, one line of help for each setting.
pub fn command_line() -> Command {
    let settings = SETTINGS.iter().map(|setting| {
        Arg::new(setting.key).long(setting.flag).value_name(setting.value).help(setting.help()).global(true)
    });
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("TOML file with settings [default: none]")
        .global(true);
    let check = Arg::new("check_config")
        .long("check-config")
        .action(ArgAction::SetTrue)
        .help("Read the settings, list every mistake, and end")
        .global(true);
    let stock_timeout = Arg::new(stock::TIMEOUT_FLAG)
        .short('t')
        .value_name("MINUTES")
        .help("The adoption window as a stock Edge is told it; `adoption_window` goes before it [default: none]")
        .global(true);
    Command::new("postern-edge")
        .about("The public HTTP service in the DMZ. Core dials in; it opens no connection itself but for a certificate order.")
        .after_help(
            "Each setting is also a key of the TOML file (http_listen) and a variable (POSTERN_EDGE__HTTP_LISTEN).\n\
             Flags come before variables, variables before the file. Lists are separated by commas.\n\
             A stock Edge's variables (DEFGUARD_PROXY_HTTP_PORT …) are understood where ours say nothing.",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .term_width(0)
        .args(settings)
        .args([config, check, stock_timeout])
        .subcommand(Command::new("serve").about("Serve (the default)"))
        .subcommand(Command::new("reset").about("Forget the identity and the Core that gave it"))
        .subcommand(Command::new("health").about("Exit with 0 when the Edge of this machine answers /livez"))
}
