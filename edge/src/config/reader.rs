//! Takes settings out of the layers one by one, and remembers what was wrong.

use std::path::Path;

use super::{
    layers::Layers,
    mistake::{Mistake, Mistakes, Origin},
    table::{Default, OWN_FOLDER, SETTINGS, STOCK_FOLDER},
    value::{Parse, host_name},
};

pub(super) struct Reader {
    layers: Layers,
}

impl Reader {
    pub(super) fn new(layers: Layers) -> Self {
        Self { layers }
    }

    /// The value of a setting; its default when it is absent, and, beside a mistake, when it is wrong.
    pub(super) fn take<T: Parse>(&mut self, key: &'static str) -> T {
        let written = self.layers.values.remove(key);
        let (texts, origin) = written.unwrap_or_else(|| (vec![default(key)], Origin::Default));
        T::parse(&texts).unwrap_or_else(|expected| {
            self.layers.mistakes.push(Mistake::Value { key, expected, found: texts.join(","), origin });
            T::parse(&[default(key)]).expect("every default is well formed, which a test checks")
        })
    }

    /// # Errors
    /// Every mistake found on the way, and each key that nobody asked for.
    pub(super) fn finish(self) -> Result<(), Mistakes> {
        let mut mistakes = self.layers.mistakes;
        mistakes.extend(self.layers.values.into_iter().map(|(key, (_, origin))| Mistake::Unknown { key, origin }));
        if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
    }
}

fn default(key: &str) -> String {
    let setting = SETTINGS.iter().find(|setting| setting.key == key).expect("only settings of the table are taken");
    match setting.default {
        Default::Text(text) => text.to_owned(),
        Default::HostName => host_name(),
        Default::IdentityFolder if Path::new(STOCK_FOLDER).is_dir() => STOCK_FOLDER.to_owned(),
        Default::IdentityFolder => OWN_FOLDER.to_owned(),
    }
}
