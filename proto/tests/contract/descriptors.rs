//! The contract as descriptors, compiled from the same files as the crate.

use std::path::Path;

use prost_reflect::{DescriptorPool, MessageDescriptor};

const FILES: [&str; 5] = [
    "defguard/proxy.proto",
    "defguard/common.proto",
    "defguard/client_types.proto",
    "defguard/posture.proto",
    "postern/link.proto",
];

pub(crate) fn pool() -> DescriptorPool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = protox::compile(FILES, [root]).expect("the contract compiles");
    DescriptorPool::from_file_descriptor_set(files).expect("the contract is complete")
}

/// Every message of ours: not `Empty`, and not the entries of maps.
pub(crate) fn messages(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    pool.all_messages().filter(|m| !m.is_map_entry() && !m.full_name().starts_with("google.")).collect()
}

#[test]
fn every_file_of_the_contract_is_looked_at() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(&root).unwrap() {
        let folder = folder.unwrap().path();
        for file in std::fs::read_dir(folder).unwrap() {
            found.push(file.unwrap().path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    let mut listed = FILES.map(str::to_owned).to_vec();
    listed.sort();

    assert_eq!(found, listed);
}
