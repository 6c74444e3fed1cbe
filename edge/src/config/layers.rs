//! The sources of settings, laid over each other: defaults, file, environment, flags.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ffi::OsString,
};

use clap::ArgMatches;
use config::{Config, File, FileFormat, Map, Source, Value, ValueKind};

use super::{
    mistake::{Mistake, Origin, Remark},
    stock::{Stock, StockSetting},
    table::{SETTINGS, VARIABLE_PREFIX},
};

/// For each key its text values, the uppermost layer's only.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) values: BTreeMap<String, (Vec<String>, Origin)>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) remarks: Vec<Remark>,
}

impl Layers {
    pub(super) fn collect(flags: &ArgMatches, environment: &BTreeMap<OsString, OsString>) -> Self {
        let mut layers = Self::default();
        let variables = layers.variables(environment);
        if let Some((path, origin)) = config_file(flags, &variables) {
            layers.file(&path, origin);
        }
        for (key, (name, value)) in variables.into_iter().filter(|(key, _)| key != "config") {
            layers.values.insert(key, (vec![value], Origin::Variable(name)));
        }
        for setting in SETTINGS {
            if let Some(value) = flags.get_one::<String>(setting.key) {
                layers
                    .values
                    .insert(setting.key.to_owned(), (vec![value.clone()], Origin::Flag(setting.flag.to_owned())));
            }
        }
        layers.stock(flags, environment);
        layers
    }

    /// Below everything of ours, so that one who moves over can set ours beside them.
    fn stock(&mut self, flags: &ArgMatches, environment: &BTreeMap<OsString, OsString>) {
        let Stock { settings, ignored } = Stock::read(flags, environment);
        for StockSetting { key, name, value } in settings {
            match self.values.entry(key.to_owned()) {
                Entry::Vacant(place) => drop(place.insert((vec![value], Origin::Variable(name)))),
                Entry::Occupied(ours) => {
                    self.remarks.push(Remark::Overridden { stock: name, ours: ours.get().1.clone() });
                }
            }
        }
        if !ignored.is_empty() {
            self.remarks.push(Remark::Ignored(ignored));
        }
    }

    fn variables(&mut self, environment: &BTreeMap<OsString, OsString>) -> BTreeMap<String, (String, String)> {
        let mut found = BTreeMap::new();
        for (name, value) in environment {
            let Some(key) = name.to_str().and_then(|name| name.strip_prefix(VARIABLE_PREFIX)) else { continue };
            let name = name.to_string_lossy().into_owned();
            match value.to_str() {
                Some(value) => {
                    found.insert(key.to_lowercase(), (name, value.to_owned()));
                }
                None => self.mistakes.push(Mistake::NotText { name }),
            }
        }
        found
    }

    fn file(&mut self, path: &str, origin: Origin) {
        let file = File::new(path, FileFormat::Toml);
        let table = match read(file) {
            Ok(table) => table,
            Err(error) => {
                let reason = error.to_string().replace('\n', " ");
                return self.mistakes.push(Mistake::File { path: path.to_owned(), reason, origin });
            }
        };
        for (key, value) in table {
            self.values.insert(key, (texts(value), Origin::File(path.to_owned())));
        }
    }
}

fn read(file: impl Source + Send + Sync + 'static) -> Result<Map<String, Value>, config::ConfigError> {
    Config::builder().add_source(file).build()?.cache.into_table()
}

fn config_file(flags: &ArgMatches, variables: &BTreeMap<String, (String, String)>) -> Option<(String, Origin)> {
    if let Some(path) = flags.get_one::<String>("config") {
        return Some((path.clone(), Origin::Flag("config".to_owned())));
    }
    let (name, path) = variables.get("config")?;
    Some((path.clone(), Origin::Variable(name.clone())))
}

/// A value of the file as text, so that one parser serves every layer.
fn texts(value: Value) -> Vec<String> {
    if let ValueKind::Array(values) = value.kind {
        return values.into_iter().flat_map(texts).collect();
    }
    vec![value.to_string()]
}
