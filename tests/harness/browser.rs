//! A real Chromium, steered through chromedriver: headless, with a profile of its own, and unable to reach anything but
//! this machine.

use std::{net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use fantoccini::{
    ClientBuilder, Locator,
    elements::Element,
    wd::{Capabilities, TimeoutConfiguration},
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Client, Process, cluster::START_LIMIT, eventually, nginx::is_root, ports::Ports, process::Launch};

/// How long a page may take on a busy machine.
const PAGE_LIMIT: Duration = Duration::from_secs(20);

const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    // Names other than this machine's do not exist.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/// One browser with one window. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    client: fantoccini::Client,
    address: SocketAddr,
    session: String,
    pid: u64,
    _driver: Process,
    _folder: TempDir,
}

/// A request that a page has made, as the browser reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub method: String,
    pub url: String,
    pub body: Option<String>,
}

impl Browser {
    pub async fn start(ports: &mut Ports) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("postern-browser-").tempdir()?;
        let address: SocketAddr = ([127, 0, 0, 1], ports.port()?).into();
        let launch = Launch {
            name: "chromedriver".to_owned(),
            program: PathBuf::from("chromedriver"),
            arguments: vec![format!("--port={}", address.port())],
            environment: Vec::new(),
            log: folder.path().join("chromedriver.log"),
        };
        let driver = Process::start_parent(launch)?;
        let own = Client::new(address);
        eventually("chromedriver answers", START_LIMIT, || async {
            own.get("/status").await.is_ok_and(|reply| reply.status == 200)
        })
        .await?;
        let profile = folder.path().join("profile").display().to_string();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(&profile)?)
            .connect(&format!("http://{address}"))
            .await
            .with_context(|| driver.log())?;
        client.update_timeouts(TimeoutConfiguration::new(Some(PAGE_LIMIT), Some(PAGE_LIMIT), None)).await?;
        let session = client.session_id().await?.context("chromedriver gave no session")?;
        let pid = client.capabilities().and_then(|all| all.get("goog:processID")).and_then(Value::as_u64);
        let pid = pid.context("chromedriver does not say which process the browser is")?;
        Ok(Self { client, address, session, pid, _driver: driver, _folder: folder })
    }

    /// Opens an address, and waits until the page and its scripts are there.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.client.goto(url).await.with_context(|| format!("cannot open {url}"))
    }

    pub async fn reload(&self) -> Result<()> {
        Ok(self.client.refresh().await?)
    }

    pub async fn back(&self) -> Result<()> {
        Ok(self.client.back().await?)
    }

    /// The first element that this CSS selector finds.
    pub async fn element(&self, selector: &str) -> Result<Element> {
        self.client.find(Locator::Css(selector)).await.with_context(|| format!("no {selector}"))
    }

    /// Waits until this element can be seen, and gives its text.
    pub async fn shown(&self, selector: &str) -> Result<String> {
        let seen = || async {
            match self.client.find(Locator::Css(selector)).await {
                Ok(element) => element.is_displayed().await.unwrap_or(false),
                Err(_) => false,
            }
        };
        let waited = eventually(&format!("{selector} is shown"), PAGE_LIMIT, seen).await;
        let text = async { anyhow::Ok(self.element(selector).await?.text().await?) };
        match waited {
            Ok(_) => text.await,
            Err(error) => Err(error.context(self.client.source().await?)),
        }
    }

    pub async fn is_shown(&self, selector: &str) -> Result<bool> {
        Ok(self.element(selector).await?.is_displayed().await?)
    }

    pub async fn click(&self, selector: &str) -> Result<()> {
        Ok(self.element(selector).await?.click().await?)
    }

    /// Types into a field; `\u{e007}` is the Enter key.
    pub async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        Ok(self.element(selector).await?.send_keys(text).await?)
    }

    /// What a script returns. It runs beside the page, whose content policy does not hold for it.
    pub async fn run(&self, script: &str) -> Result<Value> {
        Ok(self.client.execute(script, Vec::new()).await?)
    }

    /// Waits until a script returns true.
    pub async fn until(&self, script: &str) -> Result<()> {
        let holds = || async { self.run(script).await.is_ok_and(|value| value == true) };
        eventually(script, PAGE_LIMIT, holds).await.map(drop)
    }

    /// What stands in the address bar.
    pub async fn location(&self) -> Result<String> {
        self.run("return location.href").await?.as_str().map(str::to_owned).context("location.href is a text")
    }

    /// A picture of the window, as PNG.
    pub async fn screenshot(&self) -> Result<Vec<u8>> {
        Ok(self.client.screenshot().await?)
    }

    pub async fn resize(&self, width: u32, height: u32) -> Result<()> {
        Ok(self.client.set_window_size(width, height).await?)
    }

    /// Errors, warnings and violations of the content policy that the console has shown since the last call.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let messages = self.log("browser").await?;
        let bad = messages.iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        Ok(bad.map(|entry| entry["message"].to_string()).collect())
    }

    /// The requests that pages have made since the last call, in order.
    pub async fn sent(&self) -> Result<Vec<Sent>> {
        let entries = self.log("performance").await?;
        let events = entries.iter().filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok());
        let sent = events.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        Ok(sent.filter_map(|event| Sent::read(&event["message"]["params"]["request"])).collect())
    }

    async fn log(&self, kind: &str) -> Result<Vec<Value>> {
        let path = format!("/session/{}/se/log", self.session);
        let reply = Client::new(self.address).post(&path, &json!({ "type": kind })).await?;
        ensure!(reply.status == 200, "no {kind} log: {reply:?}");
        Ok(reply.json()?["value"].as_array().context("a log is a list")?.clone())
    }
}

impl Sent {
    fn read(request: &Value) -> Option<Self> {
        let text = |name: &str| request[name].as_str().map(str::to_owned);
        Some(Self { method: text("method")?, url: text("url")?, body: text("postData") })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // chromedriver may be gone before its browser is; by now there is nobody to tell an error to.
        drop(Command::new("sh").arg("-c").arg(format!("kill {} 2>/dev/null", self.pid)).status());
    }
}

fn capabilities(profile: &str) -> Result<Capabilities> {
    let mut arguments: Vec<String> = ARGUMENTS.iter().map(|&argument| argument.to_owned()).collect();
    arguments.push(format!("--user-data-dir={profile}"));
    if is_root()? {
        arguments.push("--no-sandbox".to_owned());
    }
    let wanted = json!({
        "goog:chromeOptions": { "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
    });
    wanted.as_object().cloned().context("capabilities are an object")
}
