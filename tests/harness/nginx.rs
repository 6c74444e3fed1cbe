//! A real NGINX running the files of `nginx/`, with a `local/` of its own: addresses and paths, nothing else.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    process::{Launch, Process},
    programs::repository,
};

/// Which of the shipped sites runs, and where.
#[derive(Debug, Clone)]
pub enum Site {
    Http(SocketAddr),
    Tls { https: SocketAddr, redirect: SocketAddr, name: String, certificate: PathBuf, key: PathBuf },
}

/// A running NGINX.
#[derive(Debug)]
pub struct Nginx {
    pub process: Process,
    /// Where people call.
    pub public: SocketAddr,
    folder: PathBuf,
}

impl Nginx {
    /// Starts NGINX in `folder` with this site and these Edges.
    pub fn start(folder: &Path, site: impl Into<Site>, edges: &[SocketAddr]) -> Result<Self> {
        let site = site.into();
        write_configuration(folder, &site, edges)?;
        let launch = Launch {
            name: "nginx".to_owned(),
            program: PathBuf::from("nginx"),
            arguments: arguments(folder),
            environment: vec![("PATH".to_owned(), search_path())],
            log: folder.join("nginx.log"),
        };
        Ok(Self { process: Process::start_parent(launch)?, public: site.address(), folder: folder.to_path_buf() })
    }

    /// Writes a file of `local/` and starts NGINX again, so that no old worker answers.
    pub async fn restart_with(&mut self, name: &str, text: &str) -> Result<()> {
        fs::write(self.folder.join("postern/local").join(name), text)?;
        self.process.signal("TERM")?;
        self.process.ended(Duration::from_secs(5)).await?;
        self.process.start_again()
    }

    /// Every line of the access log and the error logs.
    pub fn logs(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        format!("{}{}{}", self.process.log(), read("site-error.log"), read("access.log"))
    }
}

/// Debian keeps nginx where only root looks.
fn search_path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

fn arguments(folder: &Path) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    ["-p", &path(""), "-c", &path("nginx.conf"), "-e", &path("nginx.log"), "-g", "daemon off;"]
        .map(str::to_owned)
        .to_vec()
}

/// Copies the shipped files and replaces what `local/` says about addresses and paths.
fn write_configuration(folder: &Path, site: &Site, edges: &[SocketAddr]) -> Result<()> {
    fs::create_dir_all(folder)?;
    let shipped = repository().join("nginx");
    let copied = Command::new("cp").arg("-R").arg(&shipped).arg(folder.join("postern")).status()?;
    ensure!(copied.success(), "cannot copy {}", shipped.display());
    fs::copy(shipped.join("nginx.conf"), folder.join("nginx.conf")).context("cannot copy nginx.conf")?;

    let path = |name: &str| folder.join(name).display().to_string();
    let user = if is_root()? { "user www-data;\n" } else { "" };
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};\n", path(&format!("temp-{kind}"))))
        .concat();
    let servers: String = edges.iter().map(|edge| format!("server {edge} max_fails=0;\n")).collect();
    let mut local = vec![
        ("process.conf", format!("{user}pid {};\nerror_log {} warn;\n", path("nginx.pid"), path("nginx.log"))),
        ("http.conf", temporary),
        (
            "logs.conf",
            format!("access_log {} postern;\nerror_log {} crit;\n", path("access.log"), path("site-error.log")),
        ),
        ("servers.conf", servers),
    ];
    local.extend(site.local_files());
    for (name, text) in local {
        fs::write(folder.join("postern/local").join(name), text)?;
    }
    Ok(())
}

impl From<SocketAddr> for Site {
    fn from(public: SocketAddr) -> Self {
        Self::Http(public)
    }
}

impl Site {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Http(public) => *public,
            Self::Tls { https, .. } => *https,
        }
    }

    fn local_files(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Http(public) => vec![
                ("listen-http.conf", format!("listen {public};\n")),
                ("site.conf", "include postern/site-http.conf;\n".to_owned()),
            ],
            Self::Tls { https, redirect, name, certificate, key } => vec![
                ("listen-tls.conf", format!("listen {https} ssl http2;\n")),
                (
                    "listen-redirect.conf",
                    format!("listen {redirect};\nset $postern_redirect_port :{};\n", https.port()),
                ),
                ("server-name.conf", format!("server_name {name};\n")),
                (
                    "certificate.conf",
                    format!("ssl_certificate {};\nssl_certificate_key {};\n", certificate.display(), key.display()),
                ),
                ("site.conf", "include postern/site-tls.conf;\n".to_owned()),
            ],
        }
    }
}

pub(crate) fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("cannot run id")?;
    Ok(output.stdout.starts_with(b"0\n"))
}
