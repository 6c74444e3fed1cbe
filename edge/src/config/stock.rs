//! The settings of a stock Edge, for whoever puts ours in its place by changing the image's name.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::{IpAddr, SocketAddr},
};

use clap::ArgMatches;

pub(super) const TIMEOUT_FLAG: &str = "stock_adoption_timeout";

const PREFIX: &str = "DEFGUARD_";
const CERT_DIR: &str = "DEFGUARD_PROXY_CERT_DIR";
const ADOPTION_TIMEOUT: &str = "DEFGUARD_ADOPTION_TIMEOUT";

/// A port with the address that goes with it.
struct Listener {
    key: &'static str,
    port: &'static str,
    address: &'static str,
    default_port: &'static str,
}

const LISTENERS: [Listener; 2] = [
    Listener {
        key: "http_listen",
        port: "DEFGUARD_PROXY_HTTP_PORT",
        address: "DEFGUARD_HTTP_BIND_ADDRESS",
        default_port: "8080",
    },
    Listener {
        key: "tunnel_listen",
        port: "DEFGUARD_PROXY_GRPC_PORT",
        address: "DEFGUARD_GRPC_BIND_ADDRESS",
        default_port: "50051",
    },
];

/// One of our settings, as a stock Edge would be told it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StockSetting {
    pub(super) key: &'static str,
    /// What was set.
    pub(super) name: String,
    pub(super) value: String,
}

/// What the surroundings say to a stock Edge.
#[derive(Debug, Default)]
pub(super) struct Stock {
    pub(super) settings: Vec<StockSetting>,
    /// Names that mean nothing here.
    pub(super) ignored: Vec<String>,
}

impl Stock {
    pub(super) fn read(flags: &ArgMatches, environment: &BTreeMap<OsString, OsString>) -> Self {
        let mut variables: BTreeMap<&str, &str> = environment
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
            // Compose files pass on what is not set as an empty text.
            .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
            .collect();
        let mut stock = Self::default();
        for listener in &LISTENERS {
            stock.settings.extend(listener.read(&mut variables));
        }
        if let Some(folder) = variables.remove(CERT_DIR) {
            stock.add("identity_dir", CERT_DIR, folder.to_owned());
        }
        let flag = flags.get_one::<String>(TIMEOUT_FLAG).map(|minutes| ("-t", minutes.as_str()));
        let variable = variables.remove(ADOPTION_TIMEOUT).map(|minutes| (ADOPTION_TIMEOUT, minutes));
        if let Some((name, minutes)) = flag.or(variable) {
            stock.add("adoption_window", name, format!("{minutes}m"));
        }
        stock.ignored = variables.into_keys().map(str::to_owned).collect();
        stock
    }

    fn add(&mut self, key: &'static str, name: &str, value: String) {
        self.settings.push(StockSetting { key, name: name.to_owned(), value });
    }
}

impl Listener {
    fn read(&self, variables: &mut BTreeMap<&str, &str>) -> Option<StockSetting> {
        // Kubernetes sets a variable of that name to `tcp://…` where a Service is called that way.
        let is_ours = variables.get(self.port).is_some_and(|port| !port.contains("://"));
        let port = if is_ours { variables.remove(self.port) } else { None };
        let address = variables.remove(self.address);
        let name = [port.map(|_| self.port), address.map(|_| self.address)];
        let name = name.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        if name.is_empty() {
            return None;
        }
        let (address, port) = (address.unwrap_or("::"), port.unwrap_or(self.default_port));
        let parsed = address.parse::<IpAddr>().ok().zip(port.parse().ok());
        // What cannot be read is shown as it is, with the name of the variable.
        let value = parsed.map_or_else(|| format!("{address}:{port}"), |pair| SocketAddr::from(pair).to_string());
        Some(StockSetting { key: self.key, name, value })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{ConfigError, Invocation, parse};

    fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Invocation, ConfigError> {
        let arguments = std::iter::once("postern-edge").chain(arguments.iter().copied()).map(Into::into);
        parse(arguments, variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    fn remarks(invocation: &Invocation) -> Vec<String> {
        invocation.remarks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_stock_edge_is_told_is_understood() {
        let started = start(
            &[],
            &[
                ("DEFGUARD_PROXY_GRPC_PORT", "50055"),
                ("DEFGUARD_GRPC_BIND_ADDRESS", "127.0.0.1"),
                ("DEFGUARD_PROXY_HTTP_PORT", "8088"),
                ("DEFGUARD_HTTP_BIND_ADDRESS", "::1"),
                ("DEFGUARD_PROXY_CERT_DIR", "/srv/certs"),
                ("DEFGUARD_ADOPTION_TIMEOUT", "25"),
            ],
        )
        .unwrap();
        let settings = &started.settings;
        assert_eq!(settings.tunnel_listen.to_string(), "127.0.0.1:50055");
        assert_eq!(settings.http_listen.to_string(), "[::1]:8088");
        assert_eq!(settings.identity_dir.to_str(), Some("/srv/certs"));
        assert_eq!(settings.adoption_window.as_secs(), 25 * 60);
        assert!(started.remarks.is_empty());
    }

    #[test]
    fn half_of_an_address_goes_with_the_default_of_the_other_half() {
        let port = start(&[], &[("DEFGUARD_PROXY_HTTP_PORT", "8088")]).unwrap().settings;
        assert_eq!(port.http_listen.to_string(), "[::]:8088");
        let address = start(&[], &[("DEFGUARD_GRPC_BIND_ADDRESS", "10.0.0.1")]).unwrap().settings;
        assert_eq!(address.tunnel_listen.to_string(), "10.0.0.1:50051");
    }

    #[test]
    fn ours_go_before_and_a_remark_names_both() {
        let ours = [("DEFGUARD_PROXY_HTTP_PORT", "8088"), ("POSTERN_EDGE__HTTP_LISTEN", "127.0.0.1:1")];
        let started = start(&[], &ours).unwrap();
        assert_eq!(started.settings.http_listen.to_string(), "127.0.0.1:1");
        let expected = "DEFGUARD_PROXY_HTTP_PORT is set too, and variable POSTERN_EDGE__HTTP_LISTEN counts";
        assert_eq!(remarks(&started), [expected]);
        let flags = start(&["-t", "3", "--adoption-window", "1h"], &[]).unwrap();
        assert_eq!(flags.settings.adoption_window.as_secs(), 3600);
        assert_eq!(remarks(&flags), ["-t is set too, and flag --adoption-window counts"]);
    }

    #[test]
    fn the_flag_goes_before_the_variable() {
        let started = start(&["-t", "3"], &[("DEFGUARD_ADOPTION_TIMEOUT", "25")]).unwrap();
        assert_eq!(started.settings.adoption_window.as_secs(), 180);
    }

    #[test]
    fn what_is_unknown_is_named_without_its_value() {
        let started = start(
            &[],
            &[
                ("DEFGUARD_LOG_LEVEL", "s3cret"),
                ("DEFGUARD_PROXY_GRPC_PORT", "tcp://10.0.0.1:50051"),
                ("DEFGUARD_PROXY_HTTP_PORT", ""),
                ("DEFGUARDIAN", "1"),
            ],
        )
        .unwrap();
        assert_eq!(started.settings.tunnel_listen.to_string(), "[::]:50051");
        assert_eq!(remarks(&started), ["not known here, and ignored: DEFGUARD_LOG_LEVEL, DEFGUARD_PROXY_GRPC_PORT"]);
    }

    #[test]
    fn a_mistake_names_the_variable() {
        let Err(ConfigError::Mistakes(mistakes)) = start(&[], &[("DEFGUARD_PROXY_HTTP_PORT", "http")]) else {
            panic!("it was taken")
        };
        let expected = "http_listen: expected an address such as [::]:8080, found \":::http\" (variable \
                        DEFGUARD_PROXY_HTTP_PORT)";
        assert_eq!(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
}
