//! Ports of tests: one that is given back to the kernel before it is used may be another's by then.

use crate::source::{assert_none, rust};

/// In one line. Written in two parts, so that this file does not find itself.
const GIVEN_BACK: [&str; 2] = [concat!("bi", "nd("), concat!("local_", "addr()")];

#[test]
fn nobody_lets_go_of_a_port_that_is_used_later() {
    let mut broken = Vec::new();
    for source in rust() {
        let given_back = source.code().filter(|(_, text)| GIVEN_BACK.iter().all(|part| text.contains(part)));
        broken.extend(given_back.map(|(line, _)| format!("{}:{line}: take free_address()", source.path)));
    }

    assert_none(&broken);
}
