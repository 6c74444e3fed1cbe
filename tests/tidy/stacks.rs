//! The Compose files of two segments say what the one of a single host says.

use crate::source::{assert_none, file};

/// What stands in another folder, or may lie in another network.
const SAME: [(&str, &str); 5] = [
    ("${POSTERN_EDGES:-10.150.3}.", "${POSTERN_SUBNET:-10.150}.3."),
    ("${POSTERN_CORES:-10.150.3}.", "${POSTERN_SUBNET:-10.150}.3."),
    ("../../../nginx", "../../nginx"),
    ("../nginx-local", "./nginx-local"),
    ("../secrets", "./secrets"),
];

#[test]
fn a_segment_runs_each_service_as_a_single_host_does() {
    let whole = file("deploy/compose/compose.yaml").text;
    let (mut broken, mut services) = (Vec::new(), 0);
    for segment in ["dmz", "intranet"] {
        let text = file(&format!("deploy/compose/segmented/{segment}.yaml")).text;
        let text = SAME.iter().fold(text, |text, (here, there)| text.replace(here, there));
        let blocks = text.split("\n\n").map(|block| block.trim().trim_start_matches("services:"));
        for block in blocks.filter(|block| is_shared(block)) {
            services += block.matches("\n    networks:").count();
            if !whole.contains(block.trim()) {
                broken.push(format!("{segment}.yaml: {}", block.lines().take(2).collect::<Vec<_>>().join(" ")));
            }
        }
    }

    assert_none(&broken);
    assert_eq!(services, whole.matches("\n    networks:").count(), "a service runs in neither segment");
}

/// Not the first words of a file, and not its networks and volumes, which are its own.
fn is_shared(block: &str) -> bool {
    !["#", "networks:", "volumes:"].iter().any(|own| block.trim_start().starts_with(own))
}
