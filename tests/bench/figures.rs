//! Figures of several rounds, and the table of their medians and ratios.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use tokio::time::Instant;

#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Micros,
    PerSecond,
}

/// One thing that is measured.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    unit: Unit,
    /// The programs that it is measured against, and the ratios that are aimed at.
    against: &'static [(&'static str, &'static str)],
}

impl Program {
    pub(crate) const fn new(
        name: &'static str,
        unit: Unit,
        against: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { name, unit, against }
    }
}

#[derive(Default)]
pub(crate) struct Figures(BTreeMap<&'static str, Vec<f64>>);

impl Figures {
    pub(crate) fn add(&mut self, name: &'static str, figure: f64) {
        self.0.entry(name).or_default().push(figure);
    }

    pub(crate) fn table(&self, programs: &[Program]) -> String {
        let mut table = String::from("| program | median | ratio | to | target |\n|---|---|---|---|---|\n");
        for program in programs {
            let Some(figures) = self.0.get(program.name) else { continue };
            let figure = match program.unit {
                Unit::Micros => format!("{:.1} us", median(figures.clone())),
                Unit::PerSecond => format!("{:.0} k/s", median(figures.clone()) / 1000.0),
            };
            // A String takes all that is written to it.
            let _ = write!(table, "| {} | {figure} ", program.name);
            if program.against.is_empty() {
                table += "| | | |\n";
            }
            for (row, (against, target)) in program.against.iter().enumerate() {
                let ratio = self.ratio(program.name, against);
                let begin = if row == 0 { "" } else { "| | " };
                let _ = writeln!(table, "{begin}| {ratio} | {against} | {target} |");
            }
        }
        table
    }

    /// The median of the ratios of each round: what disturbed a whole round disturbed both.
    fn ratio(&self, name: &str, against: &str) -> String {
        let (Some(figures), Some(references)) = (self.0.get(name), self.0.get(against)) else {
            return "-".into();
        };
        let ratios = figures.iter().zip(references).map(|(figure, reference)| figure / reference);
        format!("{:.2}", median(ratios.collect()))
    }
}

/// The times of single calls in one round.
#[derive(Default)]
pub(crate) struct Laps(Vec<f64>);

impl Laps {
    pub(crate) fn add(&mut self, since: Instant) {
        self.0.push(micros(since.elapsed()));
    }

    pub(crate) fn p50(self) -> f64 {
        median(self.0)
    }
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
