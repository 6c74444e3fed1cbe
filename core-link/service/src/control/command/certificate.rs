//! Commands about the certificate that Edges show to browsers.

use std::{fmt, fs::File, io::Read as _, path::Path};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Of a chain or a key; both together fit into a command.
const FILE_MAX: u64 = 24 * 1024;

#[derive(Debug, Clone, Serialize, Deserialize, clap::Subcommand)]
pub enum CertificateCommand {
    /// Let all Edges serve HTTPS with this certificate, from now on
    #[command(after_help = "Example:\n  postern-core certificate set --cert fullchain.pem --key privkey.pem\n\n\
                            Both are stored, the key sealed, and sent to every Edge at once and whenever a tunnel to\n\
                            it is opened. An Edge keeps nothing on its disk. Where NGINX stands in front of the Edges\n\
                            and ends TLS itself, no certificate is needed here.")]
    Set {
        /// The certificate in PEM, followed by those that lead to the authority
        #[arg(long, value_name = "FILE", value_parser = PemFile::read)]
        cert: PemFile,
        /// Its private key in PEM, without a password
        #[arg(long, value_name = "FILE", value_parser = PemFile::read)]
        key: PemFile,
    },
    /// Show the certificate, and how its renewal goes
    Show,
    /// Forget the certificate; all Edges go back to plain HTTP
    Clear,
    /// Let an Edge order a certificate from an ACME authority such as Let's Encrypt
    #[command(after_help = "Example:\n  postern-core certificate order --domain vpn.example.com\n\n\
                            The domain must lead to port 80 of that Edge, and the Edge must allow it (its setting\n\
                            acme_allowed). What is issued goes to every Edge, and is renewed when 14 days are left.")]
    Order {
        /// The name that people type
        #[arg(long, value_name = "DOMAIN")]
        domain: String,
        /// Name or id [default: the first that is connected]
        #[arg(long, value_name = "EDGE")]
        edge: Option<String>,
    },
}

/// What a file in PEM holds. It is read where the command is typed: Core may not see that file.
#[derive(Clone, Serialize, Deserialize)]
pub struct PemFile(String);

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PemFileError {
    #[error("cannot be read")]
    Io(#[from] std::io::Error),
    #[error("has more than {FILE_MAX} bytes")]
    TooLarge,
    #[error("is no text in PEM")]
    NoPem,
}

impl PemFile {
    /// # Errors
    /// [`PemFileError`]
    pub fn read(path: &str) -> Result<Self, PemFileError> {
        let mut text = Zeroizing::new(Vec::new());
        File::open(Path::new(path))?.take(FILE_MAX + 1).read_to_end(&mut text)?;
        if text.len() as u64 > FILE_MAX {
            return Err(PemFileError::TooLarge);
        }
        match str::from_utf8(&text) {
            Ok(text) if text.contains("-----BEGIN ") => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(PemFileError::NoPem),
        }
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PemFile(***)")
    }
}
