//! The master key and its file: 32 bytes in base64, readable by nobody but its owner.

mod draft;

use std::{
    fmt, fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::{constant_time, hkdf, rand};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

const LENGTH: usize = 32;
/// No write for the group and nothing for others; a group that may read is how systemd hands out credentials.
const FORBIDDEN_MODE: u32 = 0o027;
/// A key file is 45 bytes; anything much larger is another file.
const FILE_MAX: u64 = 1024;

pub use draft::Draft;

/// Everything secret in the store opens with this key, and with nothing else.
pub struct MasterKey(Zeroizing<[u8; LENGTH]>);

/// The master key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("there is no master key file {path}")]
    Missing { path: PathBuf },
    #[error("the master key file {path} exists already")]
    Exists { path: PathBuf },
    #[error("cannot read the master key file {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the master key file {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the master key file {path} may be used by others (mode {mode:03o}); make it 600")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the master key file {path} does not hold 32 bytes in base64")]
    Malformed { path: PathBuf },
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

impl MasterKey {
    /// A new key that is nowhere written down yet.
    pub fn random() -> Self {
        let mut key = Zeroizing::new([0; LENGTH]);
        rand::fill(&mut *key).expect("the system's random numbers are available");
        Self(key)
    }

    /// Makes a new key and its file. Never replaces a file: what it protects would be lost.
    pub fn create(path: &Path) -> Result<Self, MasterKeyError> {
        let draft = Draft::make(path)?;
        // No database can have taken it yet.
        match draft.install() {
            Ok(()) => Ok(draft.into_key()),
            Err(error) => {
                draft.discard();
                Err(error)
            }
        }
    }

    /// Reads the key from its file.
    pub fn load(path: &Path) -> Result<Self, MasterKeyError> {
        let metadata = fs::metadata(path).map_err(|source| read_error(path, source))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & FORBIDDEN_MODE != 0 {
            return Err(MasterKeyError::Exposed { path: path.to_owned(), mode });
        }
        let malformed = || MasterKeyError::Malformed { path: path.to_owned() };
        if metadata.len() > FILE_MAX {
            return Err(malformed());
        }
        let text = Zeroizing::new(fs::read(path).map_err(|source| read_error(path, source))?);
        let bytes = Zeroizing::new(STANDARD.decode(text.trim_ascii()).map_err(|_| malformed())?);
        let key: [u8; LENGTH] = bytes.as_slice().try_into().map_err(|_| malformed())?;
        Ok(Self(Zeroizing::new(key)))
    }

    fn is(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&*self.0, &*other.0).is_ok()
    }

    /// As it stands in its file.
    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}\n", &*Zeroizing::new(STANDARD.encode(*self.0))))
    }

    /// A key for one purpose; knowing it tells nothing about the others.
    pub(super) fn subkey(&self, purpose: &[u8]) -> Zeroizing<[u8; LENGTH]> {
        let mut subkey = Zeroizing::new([0; LENGTH]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"postern core")
            .extract(&*self.0)
            .expand(&[purpose], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *subkey))
            .expect("HKDF-SHA256 yields 32 bytes");
        subkey
    }
}

fn read_error(path: &Path, source: io::Error) -> MasterKeyError {
    let path = path.to_owned();
    if source.kind() == io::ErrorKind::NotFound {
        MasterKeyError::Missing { path }
    } else {
        MasterKeyError::Read { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_key_is_private_and_loads_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let created = MasterKey::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(*MasterKey::load(&path).unwrap().0, *created.0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn an_existing_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let first = MasterKey::create(&path).unwrap();
        assert!(matches!(MasterKey::create(&path), Err(MasterKeyError::Exists { .. })));
        assert_eq!(*MasterKey::load(&path).unwrap().0, *first.0);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(MasterKey::load(&path), Err(MasterKeyError::Exposed { mode: 0o644, .. })));
    }

    #[test]
    fn a_key_that_systemd_hands_out_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let created = MasterKey::create(&path).unwrap();
        for mode in [0o400, 0o440] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(*MasterKey::load(&path).unwrap().0, *created.0);
        }
    }

    #[test]
    fn a_missing_and_a_cut_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(matches!(MasterKey::load(&path), Err(MasterKeyError::Missing { .. })));
        fs::write(&path, b"AAAA").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(MasterKey::load(&path), Err(MasterKeyError::Malformed { .. })));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", MasterKey(Zeroizing::new([7; LENGTH]))), "MasterKey(***)");
    }
}
