//! The guide to adapters quotes code, and quotes it as it is; the contract names every rule that it is checked by.

use std::fs;
use std::path::Path;

use snakepit_adapters::contract::RULES;

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

#[test]
fn the_contract_says_what_every_rule_rests_on() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let contract = fs::read_to_string(root.join("proto/README.md")).unwrap();
    let table = contract.split("What its rules rest on:").nth(1).unwrap();
    let mut named: Vec<&str> = table.split('`').skip(1).step_by(2).collect();
    let mut rules: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    named.sort_unstable();
    named.dedup();
    rules.sort_unstable();
    assert_eq!(named, rules);
}
