//! The table of routes and clients in tests/README.md is whole, and every test that it names exists.

use std::collections::BTreeSet;

use crate::source::{assert_none, file};

/// A row: route, client, test.
type Row = (String, String, String);

#[test]
fn every_route_and_page_of_the_edge_has_a_row() {
    let known: BTreeSet<_> = rows().into_iter().map(|(route, _, _)| route).collect();
    let missing: Vec<_> = served().into_iter().filter(|route| !known.contains(route)).collect();

    assert_none(&missing);
}

#[test]
fn no_row_is_about_a_route_that_is_not_served() {
    let served: BTreeSet<_> = served().into_iter().collect();
    let unknown: Vec<_> =
        rows().into_iter().map(|(route, _, _)| route).filter(|route| !served.contains(route)).collect();

    assert_none(&unknown);
}

#[test]
fn every_test_of_the_table_exists() {
    let missing: Vec<_> =
        rows().into_iter().filter(|(_, _, test)| !exists(test)).map(|row| format!("{row:?}")).collect();

    assert_none(&missing);
}

#[test]
fn no_cell_of_the_table_is_empty() {
    let rows = rows();
    assert!(rows.len() > 50, "the table was not found");
    let empty = |(route, client, test): &Row| route.is_empty() || client.is_empty() || test.is_empty();
    let broken: Vec<_> = rows.into_iter().filter(empty).map(|row| format!("{row:?}")).collect();

    assert_none(&broken);
}

/// Paths of the router, and of the pages.
fn served() -> Vec<String> {
    let router = file("edge/src/http.rs").text;
    let routes = router.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let pages = file("edge/src/http/pages.rs").text;
    let pages = pages.split("page!(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let served: Vec<_> = routes.chain(pages).filter(|path| !path.is_empty()).map(str::to_owned).collect();
    assert!(served.len() > 30, "the router was not found");
    served
}

fn rows() -> Vec<Row> {
    let readme = file("tests/README.md").text;
    let rows = readme.lines().filter(|line| line.starts_with("| `/"));
    rows.map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        let mut cell = || cells.next().unwrap_or_default();
        (cell(), cell(), cell())
    })
    .collect()
}

/// `e2e::clients::dg::a_host_joins`: a function of tests/e2e/clients/dg.rs. Those of the Edge begin with `edge`.
fn exists(test: &str) -> bool {
    let Some((path, name)) = test.rsplit_once("::") else { return false };
    let folder = if path.starts_with("edge::") { "edge/tests" } else { "tests" };
    let path = path.strip_prefix("edge::").unwrap_or(path).replace("::", "/");
    let text = file(&format!("{folder}/{path}.rs")).text;
    text.contains(&format!("fn {name}()"))
}
