//! Where the store is, and the password for it. Neither is shown when it is wrong: a URL may hold a password anywhere.

use std::path::PathBuf;

use super::{Layers, parse};
use crate::{
    secret::Secret,
    store::{Address, ServerAddress},
};

const EXPECTED: &str = "a file, or postgres://user@host:port/database";

pub(super) fn parse(layers: &mut Layers) -> Option<Address> {
    const PASSWORD: &str = "database_password_file";
    let address = layers.secret_value("database", address);
    let is_set = layers.is_set(PASSWORD);
    match &address {
        Some(Address::File(_)) if is_set => {
            layers.conflict(PASSWORD, "is for Postgres, and database is a file".to_owned())
        }
        Some(Address::Server(server)) if is_set && server.has_password() => {
            layers.conflict(PASSWORD, "is one password too many: database has one in its URL".to_owned());
        }
        Some(_) | None => {}
    }
    let password = layers.secret_value(PASSWORD, parse::private_secret_file);
    Some(match (address?, password?) {
        (Address::Server(server), Some(password)) => Address::Server(server.with_password(password)),
        (address, _) => address,
    })
}

/// A path that could be a URL with a mistake in it has to begin with `/` or `.`, so that no password becomes the name of a
/// file, which is shown.
fn address(text: &str) -> Result<Address, &'static str> {
    let is_path = !text.contains("://") && !text.starts_with("//") && text.starts_with(['/', '.']);
    if is_path || !text.is_empty() && !text.contains([':', '@', '=']) {
        return Ok(Address::File(PathBuf::from(text)));
    }
    ServerAddress::parse(Secret::new(text.to_owned())).map(Address::Server).map_err(|_| EXPECTED)
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::config::{Config, Flags};

    fn load(settings: &[(&str, &str)]) -> Result<Address, String> {
        let variables = settings.iter().map(|(key, value)| {
            (OsString::from(format!("POSTERN_CORE__{}", key.to_uppercase())), OsString::from(value))
        });
        Config::load(&Flags::new(), variables).map(|config| config.database).map_err(|error| error.to_string())
    }

    fn password_file(folder: &tempfile::TempDir, mode: u32) -> String {
        let file = folder.path().join("password");
        fs::write(&file, "hunter2\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        file.display().to_string()
    }

    #[test]
    fn a_file_and_a_server_are_told_apart() {
        for text in ["core.db", "data/core.db", "/var/lib/core.db", "./a:b@c=d.db"] {
            assert_eq!(load(&[("database", text)]).unwrap(), Address::File(PathBuf::from(text)));
        }
        let server = load(&[("database", "postgres://core@db.example/postern")]).unwrap();
        assert_eq!(server.to_string(), "postgres://db.example:5432/postern");
    }

    #[test]
    fn a_url_with_a_mistake_is_refused_and_not_shown() {
        for text in [
            "postgre://core:hunter2@db/postern",
            "postgres:/core:hunter2@db/postern",
            "postgres:core:hunter2@db/postern",
            "//core:hunter2@db/postern",
            "core:hunter2@db/postern",
            "host=db user=core password=hunter2",
            "postgres://core:hunter2@db",
            "postgres://core:hunter2@db:port/postern",
            "postgres://core:12/hunter2@db/postern",
            "postgres://core@db/postern?pasword=hunter2",
            "/postgres://core:hunter2@db/postern",
        ] {
            let told = load(&[("database", text)]).unwrap_err();
            assert!(told.contains("database: ") && told.contains(EXPECTED), "{text}: {told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_as_toml_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("core.toml");
        for line in ["database = 'postgres://core:hunter2@db/postern", "database = postgres://core:hunter2@db/postern"]
        {
            fs::write(&file, format!("grace = '1s'\n{line}\n")).unwrap();
            let told = load(&[("config", file.to_str().unwrap())]).unwrap_err();
            assert!(told.contains("line 2") && told.contains("core.toml"), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn the_password_of_a_server_comes_from_a_file_of_its_own() {
        let url = "postgres://core@db.example/postern";
        let parsed = ServerAddress::parse(Secret::new(url.to_owned())).unwrap();
        let expected = Address::Server(parsed.with_password(Secret::new("hunter2".to_owned())));
        // The last two are how systemd hands out credentials.
        for mode in [0o600, 0o400, 0o440] {
            let folder = tempfile::tempdir().unwrap();
            let password = password_file(&folder, mode);
            let with = load(&[("database", url), ("database_password_file", &password)]).unwrap();
            assert_eq!(with, expected);
            assert!(!format!("{with:?} {with}").contains("hunter2"), "{with:?}");
        }
    }

    #[test]
    fn a_password_that_others_may_read_or_that_is_of_no_use_is_a_mistake() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, url, mistake) in [
            (0o644, "postgres://core@db/postern", "nobody else may read"),
            (0o600, "core.db", "database is a file"),
            (0o600, "postgres://core:x@db/postern", "one password too many"),
        ] {
            let password = password_file(&folder, mode);
            let told = load(&[("database", url), ("database_password_file", &password)]).unwrap_err();
            assert!(told.contains("1 mistake ") && told.contains(mistake), "{told}");
        }
        let told =
            load(&[("database", "postgres://core@db/postern"), ("database_password_file", "hunter2")]).unwrap_err();
        assert!(told.contains("a file that can be read") && !told.contains("hunter2"), "{told}");
    }
}
