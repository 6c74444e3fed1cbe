//! Pages and what they load, byte by byte: types, policies, and nothing of the request in them.

use crate::harness::{Reply, Setting, Site};

const PATHS: [&str; 17] = [
    "/",
    "/open-desktop",
    "//open-desktop",
    "/enrollment-start",
    "/download",
    "/client-setup",
    "/password",
    "/password/sent",
    "/password-reset",
    "/password/finish",
    "/openid/mfa",
    "/openid/mfa/callback",
    "/openid/callback",
    "/openid/error",
    "/link-invalid",
    "/session-end",
    "/server-warning",
];
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      object-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

#[tokio::test]
async fn each_page_is_html_under_a_strict_policy_and_is_not_stored() {
    let site = Site::start(Setting::default()).await;
    for path in PATHS {
        let reply = site.get(&format!("{path}?token=canary&code=canary&state=canary")).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")), "{path}");
        assert_eq!(reply.all("content-security-policy").collect::<Vec<_>>(), [POLICY], "{path}");
        assert_eq!(reply.all("cache-control").collect::<Vec<_>>(), ["no-store"], "{path}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(reply.body.starts_with("<!doctype html>") && reply.body.ends_with("</html>\n"), "{path}");
        assert!(!reply.body.contains("canary") && !reply.body.contains("{{"), "{path}");
        for inline in ["<style", " style=", "<script>", " onclick", "javascript:", "http://", "https://"] {
            assert!(!reply.body.contains(inline), "{path} has {inline}");
        }
    }
}

#[tokio::test]
async fn what_pages_load_is_there_has_its_type_and_is_downloaded_once() {
    let site = Site::start(Setting::default()).await;
    let mut queue: Vec<String> = Vec::new();
    for path in PATHS {
        queue.extend(links(&site.get(path).await));
    }
    let mut seen = Vec::new();
    while let Some(path) = queue.pop() {
        if seen.contains(&path) || PATHS.contains(&path.as_str()) {
            continue;
        }
        let reply = site.get(&path).await;
        let kind = match path.rsplit('.').next().unwrap() {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(kind)), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-cache"), "{path}");
        let tag = reply.header("etag").unwrap();
        for held in [tag.to_owned(), format!("\"other\", W/{tag}")] {
            let again = site.exchange(&get(&path, &format!("if-none-match: {held}\r\n"))).await;
            assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag)), "{path}");
        }
        assert_eq!(site.exchange(&get(&path, "if-none-match: \"other\"\r\n")).await.status, 200);
        queue.extend(links(&reply));
        seen.push(path);
    }
    assert_eq!(seen.len(), 14, "every asset is used: {seen:?}");
}

#[tokio::test]
async fn an_unknown_path_is_a_page_for_browsers_and_json_for_programs() {
    let site = Site::start(Setting::default()).await;
    let browser = "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    for path in ["/nowhere-canary", "/assets/canary.js", "/openid/", "/password/canary", "//", "/index.html"] {
        let page = site.exchange(&get(path, browser)).await;
        assert_eq!((page.status, page.header("content-type")), (404, Some("text/html; charset=utf-8")), "{path}");
        assert_eq!(page.header("content-security-policy"), Some(POLICY));
        assert!(!page.body.contains("canary"));
        site.get(path).await.expect_error(404, "unknown_path", "Not found");
    }
    // Programs read what comes from below /api/, whatever they accept.
    site.exchange(&get("/api/v1/nothing", browser)).await.expect_error(404, "unknown_path", "Not found");
    site.exchange(&get("/edge/api/v1/enrollment/network_info", browser)).await.expect_error(
        501,
        "not_implemented",
        "Not implemented",
    );
}

/// Where a page, a style or a module points to, on this Edge.
fn links(reply: &Reply) -> Vec<String> {
    let quoted = reply.body.split('"').skip(1).step_by(2);
    let found = quoted.filter(|text| text.starts_with("/assets/") || text.starts_with("./"));
    found.map(|text| text.replacen("./", "/assets/", 1)).collect()
}

fn get(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n{lines}\r\n")
}
