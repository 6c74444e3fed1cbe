//! Every setting, once: its key, its flag, its default and what it means.

/// Variables of Core begin with this. The second underscore keeps apart what Kubernetes injects for a Service of
/// the same name.
pub const PREFIX: &str = "POSTERN_CORE__";

/// One setting, as `--help` and README show it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the file; in upper case after [`PREFIX`], its variable.
    pub key: &'static str,
    /// Its name on the command line, without the dashes.
    pub flag: &'static str,
    /// What `--help` puts in the place of the value.
    pub value: &'static str,
    /// The value when nobody says otherwise.
    pub default: &'static str,
    pub help: &'static str,
}

/// In the order of `--help`.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "database",
        flag: "database",
        value: "FILE|URL",
        default: "/var/lib/postern-core/core.db",
        help: "Holds everything: a file (SQLite), or postgres://user@host:port/database, which several Cores may share",
    },
    Setting {
        key: "database_password_file",
        flag: "database-password-file",
        value: "FILE",
        default: "",
        help: "File with the password for Postgres",
    },
    Setting {
        key: "master_key_file",
        flag: "master-key-file",
        value: "FILE",
        default: "/var/lib/postern-core/master.key",
        help: "Key that seals the secrets in the database; made when the database is new",
    },
    Setting {
        key: "socket",
        flag: "socket",
        value: "FILE",
        default: "/run/postern-core/core.sock",
        help: "Unix socket on which a running Core takes commands",
    },
    Setting {
        key: "metrics_listen",
        flag: "metrics-listen",
        value: "ADDR",
        default: "127.0.0.1:9465",
        help: "Loopback address of /metrics for Prometheus",
    },
    Setting {
        key: "public_url",
        flag: "public-url",
        value: "URL",
        default: "https://localhost/",
        help: "Address that people type into a client",
    },
    Setting {
        key: "instance_name",
        flag: "instance-name",
        value: "NAME",
        default: "Postern",
        help: "Name of this installation, as clients show it",
    },
    Setting {
        key: "zone",
        flag: "zone",
        value: "NAME",
        default: "",
        help: "Where this Core stands; Edges of the same zone prefer it",
    },
    Setting {
        key: "admin_contact",
        flag: "admin-contact",
        value: "CONTACT",
        default: "Administrator <admin@localhost>",
        help: "Whom clients show for questions: NAME <MAIL>[, PHONE]",
    },
    Setting {
        key: "argon2_parallel",
        flag: "argon2-parallel",
        value: "N",
        default: "cores",
        help: "Passwords hashed at the same time, or `cores`",
    },
    Setting {
        key: "grace",
        flag: "grace",
        value: "TIME",
        default: "10s",
        help: "How long requests in flight may take after SIGTERM",
    },
    Setting {
        key: "vpn_setup_optional",
        flag: "vpn-setup-optional",
        value: "BOOL",
        default: "true",
        help: "Whether a person may enroll without a device",
    },
    Setting {
        key: "mfa_required",
        flag: "mfa-required",
        value: "BOOL",
        default: "false",
        help: "Whether a person must set up a second factor to finish enrollment",
    },
    Setting {
        key: "final_text",
        flag: "final-text",
        value: "TEXT",
        default: "You are enrolled. Connect from the app whenever you need the network.",
        help: "What clients show at the end of enrollment; Markdown",
    },
    Setting {
        key: "authorisation_lifetime",
        flag: "authorisation-lifetime",
        value: "TIME",
        default: "12h",
        help: "How long a passed second factor opens a location to a device; at most 24h",
    },
    Setting {
        key: "smtp_server",
        flag: "smtp-server",
        value: "HOST:PORT",
        default: "",
        help: "Mail server that takes Core's mails; without one no mail is sent",
    },
    Setting {
        key: "smtp_encryption",
        flag: "smtp-encryption",
        value: "MODE",
        default: "tls",
        help: "tls, starttls or none",
    },
    Setting {
        key: "smtp_user",
        flag: "smtp-user",
        value: "NAME",
        default: "",
        help: "Name to log in to the mail server with",
    },
    Setting {
        key: "smtp_password_file",
        flag: "smtp-password-file",
        value: "FILE",
        default: "",
        help: "File with the password for it",
    },
    Setting {
        key: "mail_from",
        flag: "mail-from",
        value: "SENDER",
        default: "",
        help: "Who mails come from: NAME <MAIL>",
    },
    Setting {
        key: "mail_templates",
        flag: "mail-templates",
        value: "FOLDER",
        default: "",
        help: "Texts of mails in place of the built-in ones",
    },
    Setting {
        key: "mail_codes",
        flag: "mail-codes",
        value: "BOOL",
        default: "false",
        help: "Whether a code by e-mail is accepted as a second factor",
    },
    Setting {
        key: "openid_issuer",
        flag: "openid-issuer",
        value: "URL",
        default: "",
        help: "OpenID provider at which people may sign in; without one nobody does",
    },
    Setting {
        key: "openid_client_id",
        flag: "openid-client-id",
        value: "ID",
        default: "",
        help: "Who Core is at the provider",
    },
    Setting {
        key: "openid_client_secret_file",
        flag: "openid-client-secret-file",
        value: "FILE",
        default: "",
        help: "File with the secret of that client",
    },
    Setting {
        key: "openid_name",
        flag: "openid-name",
        value: "NAME",
        default: "OpenID",
        help: "Name of the provider, on buttons",
    },
    Setting {
        key: "openid_link_by_email",
        flag: "openid-link-by-email",
        value: "BOOL",
        default: "true",
        help: "Whether a first sign-in finds its person by a verified e-mail address",
    },
    Setting {
        key: "outbound_ca_file",
        flag: "outbound-ca-file",
        value: "FILE",
        default: "",
        help: "Authorities, besides the public ones, for servers that Core connects to; PEM",
    },
    Setting {
        key: "posture",
        flag: "posture",
        value: "POLICY",
        default: "off",
        help: "off, or report: devices tell about themselves, which shuts nobody out",
    },
    Setting {
        key: "log_level",
        flag: "log-level",
        value: "LEVEL",
        default: "info",
        help: "error, warn, info, debug or trace",
    },
    Setting { key: "log_format", flag: "log-format", value: "FORMAT", default: "text", help: "text or json" },
];
