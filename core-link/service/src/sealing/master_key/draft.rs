//! A new master key, until a database has taken it.
//!
//! It lies on the disk before a database is sealed under it, so that no crash loses it, and gets its name only then, so
//! that a key which was refused never has it. What a crash left behind is tried at the next start.

use std::{
    fs::{self, DirBuilder},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{MasterKey, MasterKeyError};

/// Stands between the name that the file is to have and a random one.
const INFIX: &str = ".new-";

/// A key, and a file beside the one that it is to become.
#[derive(Debug)]
pub struct Draft {
    key: MasterKey,
    file: PathBuf,
    path: PathBuf,
}

impl Draft {
    /// A new key for this path, in a folder that is made where it is missing.
    ///
    /// # Errors
    /// [`MasterKeyError::Write`]
    pub fn make(path: &Path) -> Result<Self, MasterKeyError> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("{INFIX}{:016x}", rand::random::<u64>()));
        let draft = Self { key: MasterKey::random(), file: PathBuf::from(name), path: path.to_owned() };
        let folder = DirBuilder::new().recursive(true).mode(0o700).create(folder_of(path));
        let written = folder.and_then(|()| draft.write()).and_then(|()| sync(folder_of(path)));
        match written {
            Ok(()) => Ok(draft),
            Err(source) => {
                draft.discard();
                Err(MasterKeyError::Write { path: path.to_owned(), source })
            }
        }
    }

    /// Those that were made for this path and neither installed nor discarded. Torn ones, which no database can have
    /// taken, are removed.
    pub fn left_behind(path: &Path) -> Vec<Self> {
        let mut drafts = Vec::new();
        let Some(name) = path.file_name() else { return drafts };
        let prefix = [name.as_encoded_bytes(), INFIX.as_bytes()].concat();
        for entry in fs::read_dir(folder_of(path)).into_iter().flatten().flatten() {
            if !entry.file_name().as_encoded_bytes().starts_with(&prefix) {
                continue;
            }
            let file = entry.path();
            match MasterKey::load(&file) {
                Ok(key) => drafts.push(Self { key, file, path: path.to_owned() }),
                Err(MasterKeyError::Malformed { .. }) => drop(fs::remove_file(file)),
                Err(_not_ours) => {}
            }
        }
        drafts
    }

    /// For the database that is to take it.
    pub fn key(&self) -> MasterKey {
        MasterKey(Zeroizing::new(*self.key.0))
    }

    /// Gives it its name. Whoever was faster with the same key is welcome; with another, the draft stays where it is.
    ///
    /// # Errors
    /// [`MasterKeyError::Exists`], [`MasterKeyError::Write`]
    pub fn install(&self) -> Result<(), MasterKeyError> {
        let failed = |source| MasterKeyError::Write { path: self.path.clone(), source };
        // A link, unlike a rename, fails when the name is taken.
        let mut linked = fs::hard_link(&self.file, &self.path);
        if linked.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            // Another start took it for what a crash had left.
            self.write().map_err(failed)?;
            linked = fs::hard_link(&self.file, &self.path);
        }
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !MasterKey::load(&self.path).is_ok_and(|key| key.is(&self.key)) {
                    return Err(MasterKeyError::Exists { path: self.path.clone() });
                }
            }
            linked => linked.map_err(failed)?,
        }
        sync(folder_of(&self.path)).map_err(failed)?;
        fs::remove_file(&self.file).ok();
        Ok(())
    }

    pub(super) fn into_key(self) -> MasterKey {
        self.key
    }

    /// No database has taken it, and none will.
    pub fn discard(self) {
        // Where it cannot be removed, the next start tries it and fails as this one did.
        fs::remove_file(self.file).ok();
    }

    fn write(&self) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.file)?;
        file.write_all(self.key.text().as_bytes())?;
        file.sync_all()
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_draft_has_the_name_only_when_it_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new folder/master.key");
        let draft = Draft::make(&path).unwrap();
        assert!(!path.exists());
        draft.install().unwrap();
        assert!(MasterKey::load(&path).unwrap().is(&draft.key));
        assert_eq!(names(path.parent().unwrap()), ["master.key"]);
    }

    #[test]
    fn what_is_discarded_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        Draft::make(&folder.path().join("master.key")).unwrap().discard();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_a_crash_left_is_found_again_and_a_torn_one_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let draft = Draft::make(&path).unwrap();
        let torn = folder.path().join("master.key.new-1");
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&torn).unwrap();
        let found = Draft::left_behind(&path);
        assert_eq!(found.len(), 1);
        assert!(found[0].key.is(&draft.key) && !torn.exists());
    }

    #[test]
    fn a_draft_that_another_start_removed_is_installed_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let draft = Draft::make(&path).unwrap();
        Draft::left_behind(&path).into_iter().for_each(Draft::discard);
        draft.install().unwrap();
        assert!(MasterKey::load(&path).unwrap().is(&draft.key));
    }

    #[test]
    fn two_that_install_the_same_key_agree_and_another_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let (draft, other) = (Draft::make(&path).unwrap(), Draft::make(&path).unwrap());
        let same = Draft { key: draft.key(), file: draft.file.with_extension("same"), path: path.clone() };
        draft.install().unwrap();
        same.install().unwrap();
        assert!(matches!(other.install(), Err(MasterKeyError::Exists { .. })));
        assert!(MasterKey::load(&path).unwrap().is(&draft.key));
        assert_eq!(Draft::left_behind(&path).len(), 1, "a key that a database may have taken is not thrown away");
    }
}
