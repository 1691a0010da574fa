//! The guide to adapters quotes code, and quotes it as it is.

use std::fs;
use std::path::Path;

#[test]
fn the_guides_code_is_that_of_programs_that_are_compiled() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let guide = read("docs/adapters.md");
    let sources = [
        "examples/custom_adapter.rs",
        "tests/adapter_contract/in_process.rs",
        "tests/adapter_contract/subjects.rs",
    ]
    .map(read);
    let quotes: Vec<&str> =
        guide.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(quotes.len(), 5, "the guide quotes as much as this test expects");
    for quote in quotes {
        assert!(sources.iter().any(|source| source.contains(quote)), "not in any program:\n{quote}");
    }
}
