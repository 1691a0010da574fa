//! The figures of several rounds, and the table of their medians and ratios.

use std::time::Duration;

use std::fmt::Write;

/// What is measured, in the order of the table.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Row>);

#[derive(Debug)]
struct Row {
    what: &'static str,
    unit: &'static str,
    /// The row that it is compared with.
    against: Option<&'static str>,
    figures: Vec<f64>,
}

impl Figures {
    /// Adds a duration in milliseconds.
    pub(crate) fn took(&mut self, what: &'static str, against: Option<&'static str>, took: Duration) {
        self.add(what, "ms", against, took.as_secs_f64() * 1e3);
    }

    pub(crate) fn add(
        &mut self,
        what: &'static str,
        unit: &'static str,
        against: Option<&'static str>,
        figure: f64,
    ) {
        match self.0.iter_mut().find(|row| row.what == what) {
            Some(row) => row.figures.push(figure),
            None => self.0.push(Row { what, unit, against, figures: vec![figure] }),
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut table = String::from("| what | median | ratio | to |\n|---|---|---|---|\n");
        for row in &self.0 {
            let against = row.against.and_then(|name| self.0.iter().find(|other| other.what == name));
            let (ratio, name) = against.map_or((String::new(), ""), |other| {
                (format!("{:.2}", median(&row.figures) / median(&other.figures)), other.what)
            });
            // A String takes all that is written to it.
            let _ = writeln!(
                table,
                "| {} | {:.3} {} | {ratio} | {name} |",
                row.what,
                median(&row.figures),
                row.unit
            );
        }
        table
    }
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
