//! The files of an identity, changed so that a crash at any byte leaves none or a whole one.
//!
//! Adoption writes into `.staging` and renames it to `.complete`: that rename is the moment of
//! adoption. A Purge makes `.purging` first: that is the moment of the purge. `recover` finishes both.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use zeroize::Zeroizing;

use super::{Bundle, Fingerprint, IdentityError};

const CERTIFICATE: &str = "proxy_grpc_cert.pem";
const KEY: &str = "proxy_grpc_key.pem";
const AUTHORITY: &str = "grpc_ca_cert.pem";
const CORE_CLIENT: &str = "core_client_cert.pem";
/// Names of a stock Edge, so that one can be replaced in place.
const FILES: [&str; 4] = [CERTIFICATE, KEY, AUTHORITY, CORE_CLIENT];

const STAGING: &str = ".staging";
const COMPLETE: &str = ".complete";
const PURGING: &str = ".purging";
/// Outlives a Purge: fingerprint of the only CA that may adopt.
const REMEMBERED: &str = "adopted_by_ca";

/// Makes the folder if there is none, and finishes or removes what a crash left behind.
pub(super) fn recover(folder: &Path) -> Result<(), IdentityError> {
    make_folder(folder)?;
    if exists(&folder.join(PURGING))? {
        delete(folder)?;
    }
    remove_folder(&folder.join(STAGING))?;
    if exists(&folder.join(COMPLETE))? {
        roll_forward(folder)?;
    }
    Ok(())
}

/// Tries what an adoption begins with, so that it does not fail when a Core is half through it.
pub(super) fn check_writable(folder: &Path) -> Result<(), IdentityError> {
    let staging = folder.join(STAGING);
    make_folder(&staging)?;
    remove_folder(&staging)
}

/// Reads the identity; `None` when no file of it is there.
pub(super) fn read(folder: &Path) -> Result<Option<Bundle>, IdentityError> {
    let mut missing = None;
    for name in FILES {
        if !exists(&folder.join(name))? {
            missing.get_or_insert(name);
        }
    }
    if let Some(missing) = missing {
        let any = FILES.iter().any(|name| folder.join(name).exists());
        return if any { Err(IdentityError::Incomplete { path: folder.to_owned(), missing }) } else { Ok(None) };
    }
    let key_path = folder.join(KEY);
    keep_from_others(&key_path)?;
    let key = PrivateKeyDer::from_pem_slice(&read_file(&key_path)?).map_err(|error| unreadable(&key_path, error))?;
    let certificate = |name: &str| {
        let path = folder.join(name);
        CertificateDer::from_pem_slice(&read_file(&path)?).map_err(|error| unreadable(&path, error))
    };
    Ok(Some(Bundle::new(certificate(CERTIFICATE)?, key, certificate(AUTHORITY)?, certificate(CORE_CLIENT)?)))
}

/// Stores an identity. On `Ok` it survives a loss of power; on `Err` there is none.
pub(super) fn write(folder: &Path, bundle: &Bundle) -> Result<(), IdentityError> {
    let staging = folder.join(STAGING);
    remove_folder(&staging)?;
    make_folder(&staging)?;
    let certificates =
        [(CERTIFICATE, bundle.component()), (AUTHORITY, bundle.authority()), (CORE_CLIENT, bundle.core_client())];
    for (name, certificate) in certificates {
        write_file(&staging.join(name), pem("CERTIFICATE", certificate).as_bytes())?;
    }
    // Adoption makes its keys itself, in this form.
    let key = Zeroizing::new(pem("PRIVATE KEY", bundle.key().secret_der()));
    write_file(&staging.join(KEY), key.as_bytes())?;
    sync_folder(&staging)?;
    let committed =
        rename(&staging, &folder.join(COMPLETE)).and_then(|()| sync_folder(folder)).and_then(|()| roll_forward(folder));
    if let Err(error) = committed {
        // Core is told that adoption failed, so the next start must not find it done.
        delete(folder)?;
        return Err(error);
    }
    Ok(())
}

/// Deletes the identity; a crash on the way is finished by `recover`.
pub(super) fn delete(folder: &Path) -> Result<(), IdentityError> {
    let purging = folder.join(PURGING);
    write_file(&purging, b"")?;
    sync_folder(folder)?;
    for name in FILES {
        remove_file(&folder.join(name))?;
    }
    remove_folder(&folder.join(COMPLETE))?;
    sync_folder(folder)?;
    remove_file(&purging)?;
    sync_folder(folder)
}

/// Deletes the identity and what is remembered of its CA.
pub(super) fn reset(folder: &Path) -> Result<(), IdentityError> {
    if !exists(folder)? {
        return Ok(());
    }
    delete(folder)?;
    remove_folder(&folder.join(STAGING))?;
    remove_file(&folder.join(REMEMBERED))?;
    sync_folder(folder)
}

/// Writes down the only CA that may adopt from now on.
pub(super) fn remember(folder: &Path, authority: Fingerprint) -> Result<(), IdentityError> {
    let path = folder.join(REMEMBERED);
    let unfinished = folder.join(".adopted_by_ca.new");
    write_file(&unfinished, format!("{authority}\n").as_bytes())?;
    rename(&unfinished, &path)?;
    sync_folder(folder)
}

/// Fingerprint of the only CA that may adopt, as text.
pub(super) fn remembered(folder: &Path) -> Result<Option<String>, IdentityError> {
    let path = folder.join(REMEMBERED);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(IdentityError::Read { path, source }),
    }
}

/// Moves what is complete into its place. Safe to repeat.
fn roll_forward(folder: &Path) -> Result<(), IdentityError> {
    let complete = folder.join(COMPLETE);
    for name in FILES {
        let from = complete.join(name);
        if exists(&from)? {
            rename(&from, &folder.join(name))?;
        }
    }
    sync_folder(folder)?;
    remove_folder(&complete)?;
    sync_folder(folder)
}

fn make_folder(path: &Path) -> Result<(), IdentityError> {
    if exists(path)? {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| IdentityError::Folder { path: path.to_owned(), source })
}

fn remove_folder(path: &Path) -> Result<(), IdentityError> {
    ignore_missing(fs::remove_dir_all(path)).map_err(|source| IdentityError::Write { path: path.to_owned(), source })
}

fn remove_file(path: &Path) -> Result<(), IdentityError> {
    ignore_missing(fs::remove_file(path)).map_err(|source| IdentityError::Write { path: path.to_owned(), source })
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), IdentityError> {
    fs::rename(from, to).map_err(|source| IdentityError::Write { path: to.to_owned(), source })
}

fn write_file(path: &Path, content: &[u8]) -> Result<(), IdentityError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(|source| IdentityError::Write { path: path.to_owned(), source })
}

/// Renames and deletions survive a loss of power only after that.
fn sync_folder(path: &Path) -> Result<(), IdentityError> {
    let sync = || File::open(path)?.sync_all();
    sync().map_err(|source| IdentityError::Folder { path: path.to_owned(), source })
}

fn read_file(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|source| IdentityError::Read { path: path.to_owned(), source })
}

fn exists(path: &Path) -> Result<bool, IdentityError> {
    path.try_exists().map_err(|source| IdentityError::Read { path: path.to_owned(), source })
}

/// Not every way to hand over a folder keeps the modes of its files. Where they cannot be put right there is no start.
fn keep_from_others(path: &Path) -> Result<(), IdentityError> {
    let metadata = fs::metadata(path).map_err(|source| IdentityError::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let tightened = fs::set_permissions(path, Permissions::from_mode(0o600));
    tightened.map_err(|source| IdentityError::ReadableByOthers { path: path.to_owned(), source })?;
    tracing::warn!(
        path = %path.display(),
        "anybody on this machine could read the key of this edge; its mode is 600 now. If somebody may have, \
         delete the edge in core and adopt it again"
    );
    Ok(())
}

fn unreadable(path: &Path, error: rustls::pki_types::pem::Error) -> IdentityError {
    IdentityError::Read { path: path.to_owned(), source: io::Error::new(io::ErrorKind::InvalidData, error) }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
