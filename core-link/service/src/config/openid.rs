//! The settings of the OpenID provider, which only make sense together.

use super::{Layers, parse};
use crate::openid::{Issuer, Linking, Settings};

const CLIENT_ID_MAX: usize = 256;

/// `Some(None)`: no provider is set, and so nobody signs in at one.
pub(super) fn parse(layers: &mut Layers) -> Option<Option<Settings>> {
    for key in ["openid_client_id", "openid_client_secret_file", "openid_name", "openid_link_by_email"] {
        layers.requires(key, "openid_issuer");
    }
    layers.requires("openid_issuer", "openid_client_id");
    layers.requires("openid_issuer", "openid_client_secret_file");

    let issuer = layers.value("openid_issuer", issuer);
    let client_id = layers.value("openid_client_id", client_id);
    let client_secret = layers.secret_value("openid_client_secret_file", parse::secret_file);
    let display_name = layers.value("openid_name", parse::name);
    let linking = layers.value("openid_link_by_email", linking);

    let (issuer, client_id, client_secret) = (issuer?, client_id?, client_secret?);
    let (display_name, linking) = (display_name?, linking?);
    let (Some(issuer), Some(client_id), Some(client_secret)) = (issuer, client_id, client_secret) else {
        return Some(None);
    };
    Some(Some(Settings { issuer, client_id, client_secret, display_name, linking }))
}

fn issuer(text: &str) -> Result<Option<Issuer>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    let expected = "an https address without a query, as https://id.example.com (http is for this machine only)";
    Issuer::parse(text).map(Some).map_err(|_| expected)
}

fn client_id(text: &str) -> Result<Option<String>, &'static str> {
    let is_id = text.len() <= CLIENT_ID_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_id { Ok((!text.is_empty()).then(|| text.to_owned())) } else { Err("an id without spaces") }
}

fn linking(text: &str) -> Result<Linking, &'static str> {
    Ok(if parse::boolean(text)? { Linking::ByEmail } else { Linking::ByAdministrator })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::config::{Config, Flags};

    fn load(settings: &[(&'static str, &str)]) -> Result<Option<Settings>, String> {
        let flags: Flags = settings.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Config::load(&flags, []).map(|config| config.openid).map_err(|error| error.to_string())
    }

    #[test]
    fn a_provider_is_set_with_all_that_belongs_to_it_or_not_at_all() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"s3cret\n").unwrap();
        let whole = [
            ("openid_issuer", "https://id.example.org/realm"),
            ("openid_client_id", "postern"),
            ("openid_client_secret_file", file.path().to_str().unwrap()),
        ];
        let settings = load(&whole).unwrap().unwrap();
        assert_eq!(settings.issuer.as_str(), "https://id.example.org/realm");
        assert_eq!(settings.client_secret.expose(), "s3cret");
        assert_eq!(settings.linking, Linking::ByEmail);
        for left_out in 0..whole.len() {
            let mut part = whole.to_vec();
            let (key, _) = part.remove(left_out);
            let error = load(&part).unwrap_err();
            assert!(error.contains(&format!("needs {key} as well")), "{error}");
        }
        assert_eq!(load(&[]), Ok(None));
    }
}
