//! Commands about people.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, clap::Subcommand)]
pub enum UserCommand {
    /// Add a person
    #[command(after_help = "Example:\n  postern-core user add joe --email joe@example.com --first-name Joe\n\n\
                            Then give the person a token: postern-core user enroll joe")]
    Add(NewUser),
    /// List people
    List,
    /// Make a token with which a person enrolls; an older unused one ends
    #[command(after_help = "Examples:\n  postern-core user enroll joe\n  postern-core user enroll joe --mail\n\n\
                            The token is valid for 24 hours. It is shown once, or mailed and not shown.")]
    Enroll {
        /// Login name
        login: String,
        /// Mail it to the person
        #[arg(long)]
        mail: bool,
    },
    /// End a person's access: clients are refused from the next request on
    Disable {
        /// Login name
        login: String,
    },
    /// Let a person try codes again after too many wrong ones
    #[command(after_help = "Example:\n  postern-core user unlock joe\n\n\
                            `user list` shows who is locked, `activity` from where the wrong codes came.")]
    Unlock {
        /// Login name
        login: String,
    },
    /// Forget a person's authenticator app and recovery codes; logins end
    #[command(after_help = "Example:\n  postern-core user reset-mfa joe\n  postern-core user enroll joe\n\n\
                            With the token of the second command the person sets up a new authenticator app.")]
    ResetMfa {
        /// Login name
        login: String,
    },
    /// Say who a person is at the OpenID provider
    #[command(after_help = "Example:\n  postern-core user link joe 248289761001\n\n\
                            The subject is the provider's own id of a person, which its administration shows.")]
    Link {
        /// Login name
        login: String,
        /// The person's subject (`sub`) at the provider
        subject: String,
    },
    /// Forget who a person is at the OpenID provider; logins and unused tokens end
    #[command(after_help = "Example:\n  postern-core user unlink joe\n\n\
                            With openid_link_by_email, the next sign-in with a verified e-mail address links again.")]
    Unlink {
        /// Login name
        login: String,
    },
    /// Remove a person with all devices; the addresses become free, the activity stays
    #[command(after_help = "Example:\n  postern-core user delete joe")]
    Delete {
        /// Login name
        login: String,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize, clap::Args)]
pub struct NewUser {
    /// Login name
    pub login: String,
    /// Mail address
    #[arg(long, value_name = "MAIL")]
    pub email: String,
    /// First name
    #[arg(long, value_name = "NAME", default_value = "")]
    pub first_name: String,
    /// Last name
    #[arg(long, value_name = "NAME", default_value = "")]
    pub last_name: String,
    /// Phone number
    #[arg(long, value_name = "NUMBER")]
    pub phone: Option<String>,
    /// The person is an administrator
    #[arg(long)]
    pub admin: bool,
}
