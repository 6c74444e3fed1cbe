//! Gathers the text of each setting from the layers, and remembers where it stood.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::PathBuf};

use config::{ConfigError, File, FileFormat, Source};

use super::{Flags, Mistake, Problem, SETTINGS, Setting, table::PREFIX};

/// Where a value stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    Variable(String),
    Flag(&'static str),
}

/// The text of each setting that was set, the highest layer's last.
pub(super) struct Layers {
    values: BTreeMap<&'static str, (String, Origin)>,
    pub(super) mistakes: Vec<Mistake>,
}

impl Layers {
    pub(super) fn gather(flags: &Flags, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut layers = Self { values: BTreeMap::new(), mistakes: Vec::new() };
        let mut file = None;
        let mut variables = Vec::new();
        for (name, value) in environment {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            let origin = Origin::Variable(name.to_owned());
            let key = name[PREFIX.len()..].to_ascii_lowercase();
            match value.into_string() {
                Ok(value) if key == "config" => file = Some((value, origin)),
                Ok(value) => variables.push((key, value, origin)),
                Err(_) => layers.mistakes.push(Mistake { key, problem: Problem::NotText, origin }),
            }
        }
        if let Some(value) = flags.get("config") {
            file = Some((value.clone(), Origin::Flag("config")));
        }
        if let Some((path, origin)) = file {
            layers.add_file(PathBuf::from(path), origin);
        }
        for (key, value, origin) in variables {
            layers.add(&key, value, origin);
        }
        for setting in SETTINGS {
            if let Some(value) = flags.get(setting.key) {
                layers.add(setting.key, value.clone(), Origin::Flag(setting.flag));
            }
        }
        layers
    }

    /// The value of a setting; `None` and one more mistake if it is not valid.
    pub(super) fn value<T>(&mut self, key: &str, parse: fn(&str) -> Result<T, &'static str>) -> Option<T> {
        self.take(key, parse, |value, expected| Problem::Invalid { value, expected })
    }

    /// The same, for what may hold a password, also where it is mistyped: it is never shown.
    pub(super) fn secret_value<T>(&mut self, key: &str, parse: fn(&str) -> Result<T, &'static str>) -> Option<T> {
        self.take(key, parse, |_, expected| Problem::InvalidSecret { expected })
    }

    fn take<T>(
        &mut self,
        key: &str,
        parse: fn(&str) -> Result<T, &'static str>,
        problem: fn(String, &'static str) -> Problem,
    ) -> Option<T> {
        let setting = known(key)?;
        let (text, origin) =
            self.values.remove(setting.key).unwrap_or_else(|| (setting.default.to_owned(), Origin::Default));
        match parse(text.trim()) {
            Ok(value) => Some(value),
            Err(expected) => {
                let problem = problem(text, expected);
                self.mistakes.push(Mistake { key: key.to_owned(), problem, origin });
                None
            }
        }
    }

    /// One mistake more if this is set, and what it needs is not.
    pub(super) fn requires(&mut self, key: &'static str, needed: &str) {
        if self.is_set(key) && !self.is_set(needed) {
            self.conflict(key, format!("needs {needed} as well"));
        }
    }

    pub(super) fn conflict(&mut self, key: &str, reason: String) {
        let origin = self.origin(key);
        self.mistakes.push(Mistake { key: key.to_owned(), problem: Problem::Conflict { reason }, origin });
    }

    /// Where the value stands, before [`Self::value`] takes it.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.values.get(key).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        let default = known(key).map_or("", |setting| setting.default);
        self.values.get(key).is_some_and(|(text, _)| text.trim() != default)
    }

    fn add_file(&mut self, path: PathBuf, named_by: Origin) {
        let read = File::from(path.as_path()).format(FileFormat::Toml).required(true).collect();
        let values = match read {
            Ok(values) => values,
            Err(error) => {
                let problem = Problem::Unreadable { reason: reason(&error) };
                self.mistakes.push(Mistake { key: "config".to_owned(), problem, origin: named_by });
                return;
            }
        };
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, value) in values {
            let origin = Origin::File(path.clone());
            match value.into_string() {
                Ok(text) => self.add(&key, text, origin),
                Err(_) => self.mistakes.push(Mistake { key, problem: Problem::NotText, origin }),
            }
        }
    }

    fn add(&mut self, key: &str, text: String, origin: Origin) {
        match known(key) {
            Some(setting) => drop(self.values.insert(setting.key, (text, origin))),
            None => self.mistakes.push(Mistake { key: key.to_owned(), problem: Problem::Unknown, origin }),
        }
    }
}

/// Where it cannot be read, without the line that stands there: it may hold a password.
fn reason(error: &ConfigError) -> String {
    if let ConfigError::FileParse { uri, cause } = error {
        let place = cause.to_string().lines().next().unwrap_or_default().to_owned();
        return format!("{place} in {}", uri.as_deref().unwrap_or("the file"));
    }
    error.to_string()
}

fn known(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}
