//! The real `curl`, with a cookie jar of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

/// One person at a terminal.
#[derive(Debug, Clone)]
pub struct Curl {
    public_url: String,
    jar: PathBuf,
}

impl Curl {
    /// Calls below `public_url`, and keeps its cookies in the file `jar`.
    pub fn new(public_url: impl Into<String>, jar: &Path) -> Self {
        Self { public_url: public_url.into(), jar: jar.to_path_buf() }
    }

    /// Posts this JSON: the status, and the body as JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let output = Command::new("curl")
            // No .curlrc and no proxy of whoever runs the tests.
            .args(["-q", "--noproxy", "*", "-sS", "--max-time", "10", "-w", "\n%{http_code}"])
            .args(["-H", "Content-Type: application/json", "-d", &body.to_string()])
            .arg("-b")
            .arg(&self.jar)
            .arg("-c")
            .arg(&self.jar)
            .arg(format!("{}{path}", self.public_url))
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run curl")?;
        ensure!(output.status.success(), "curl {path}: {}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).context("curl printed no text")?;
        let (body, status) = printed.rsplit_once('\n').context("curl printed no status")?;
        let body =
            serde_json::from_str(body).with_context(|| format!("{path} answered {status} with no JSON: {body}"))?;
        Ok((status.parse()?, body))
    }

    /// What the jar holds now.
    pub fn cookies(&self) -> String {
        std::fs::read_to_string(&self.jar).unwrap_or_default()
    }
}
