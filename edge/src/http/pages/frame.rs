//! The same frame around every page.

use axum::body::Bytes;

const FRAME: &str = include_str!("../../../web/frame.html");

/// One page, in parts.
pub(super) struct Page {
    pub(super) title: &'static str,
    pub(super) parts: &'static [&'static str],
    pub(super) scripts: &'static [&'static str],
}

impl Page {
    /// The whole document. All of it is ours, so nothing has to be escaped.
    pub(super) fn html(&self) -> Bytes {
        let script = |path: &&str| format!("<script type=\"module\" src=\"{path}\"></script>\n");
        let scripts: String = self.scripts.iter().map(script).collect();
        let html = FRAME
            .replace("{{title}}", self.title)
            .replace("{{script}}", &scripts)
            .replace("{{page}}\n", &self.parts.concat());
        Bytes::from(html)
    }
}
