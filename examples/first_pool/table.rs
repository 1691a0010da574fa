//! What the workers found, merged and printed as a table.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What a worker says of one file.
#[derive(Debug, Deserialize)]
pub(crate) struct Analysis {
    pub(crate) path: String,
    pub(crate) language: String,
    lines: u64,
    code_lines: u64,
    identifiers: u64,
    top: Vec<(String, u64)>,
}

/// The sums of one language.
#[derive(Debug, Default)]
struct Row {
    files: u64,
    lines: u64,
    code_lines: u64,
    identifiers: u64,
    names: BTreeMap<String, u64>,
}

/// The sums of all languages.
#[derive(Debug, Default)]
pub(crate) struct Table(BTreeMap<String, Row>);

impl Table {
    pub(crate) fn add(&mut self, analysis: Analysis) {
        let row = self.0.entry(analysis.language).or_default();
        row.files += 1;
        row.lines += analysis.lines;
        row.code_lines += analysis.code_lines;
        row.identifiers += analysis.identifiers;
        for (name, count) in analysis.top {
            *row.names.entry(name).or_default() += count;
        }
    }

    pub(crate) fn print(&self) {
        println!(
            "{:<10}{:>7}{:>9}{:>9}{:>13}  most frequent",
            "language", "files", "lines", "code", "identifiers"
        );
        for (language, row) in &self.0 {
            let mut names: Vec<_> = row.names.iter().collect();
            names.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            let top: Vec<_> = names.iter().take(5).map(|(name, count)| format!("{name} {count}")).collect();
            println!(
                "{language:<10}{:>7}{:>9}{:>9}{:>13}  {}",
                row.files,
                row.lines,
                row.code_lines,
                row.identifiers,
                top.join(", ")
            );
        }
    }
}
