//! Figures of several rounds, and the table of their medians beside what is aimed at.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use tokio::time::Instant;

/// What one run brings: figures by their programs. Some programs are measured by one run together.
pub(crate) type Brought = Vec<(&'static str, f64)>;

#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Millis,
    Micros,
    Nanos,
    PerSecond,
    BytesPerSecond,
    Bytes,
    /// How many times something else, which is no program.
    Times,
}

impl Unit {
    fn text(self, figure: f64) -> String {
        match self {
            Self::Millis => format!("{figure:.2} ms"),
            Self::Micros => format!("{figure:.1} us"),
            Self::Nanos => format!("{figure:.0} ns"),
            Self::PerSecond => format!("{:.0} k/s", figure / 1000.0),
            Self::BytesPerSecond => format!("{:.2} GB/s", figure / 1e9),
            Self::Bytes => format!("{figure:.0} B"),
            Self::Times => format!("{figure:.2} times"),
        }
    }
}

/// How much is aimed at.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    /// The figure is there to be read.
    Open,
    AtMost(f64),
    AtLeast(f64),
}

impl Aim {
    fn verdict(self, figure: f64) -> &'static str {
        let met = match self {
            Self::Open => return "",
            Self::AtMost(most) => figure <= most,
            Self::AtLeast(least) => figure >= least,
        };
        if met { "met" } else { "missed" }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => Ok(()),
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AtLeast(least) => write!(f, ">= {least}"),
        }
    }
}

/// What a program is judged by.
#[derive(Clone, Copy)]
pub(crate) enum Judged {
    /// How many times the figure of another program it is.
    Ratio(&'static str, Aim),
    /// How much more than that of another program it is, in the unit of both.
    Excess(&'static str, Aim),
    /// Itself, in its unit.
    Itself(Aim),
}

/// One thing that is measured.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    unit: Unit,
    judged: &'static [Judged],
}

impl Program {
    pub(crate) const fn new(name: &'static str, unit: Unit, judged: &'static [Judged]) -> Self {
        Self { name, unit, judged }
    }
}

#[derive(Default)]
pub(crate) struct Figures(BTreeMap<&'static str, Vec<f64>>);

impl Figures {
    pub(crate) fn add(&mut self, name: &'static str, figure: f64) {
        self.0.entry(name).or_default().push(figure);
    }

    /// In how many rounds a program has been measured.
    pub(crate) fn rounds(&self, name: &str) -> usize {
        self.0.get(name).map_or(0, Vec::len)
    }

    pub(crate) fn table(&self, programs: &[Program]) -> String {
        let mut table = String::from("| program | median | spread | judged | by | target | |\n");
        table += "|---|---|---|---|---|---|---|\n";
        for program in programs {
            let Some(figures) = self.0.get(program.name) else { continue };
            let text = |figure| program.unit.text(figure);
            let middle = text(median(figures.clone()));
            let spread = format!("{} .. {}", text(least(figures)), text(most(figures)));
            // A String takes all that is written to it.
            let _ = write!(table, "| {} | {middle} | {spread} ", program.name);
            if program.judged.is_empty() {
                table += "| | | | |\n";
            }
            for (row, judged) in program.judged.iter().enumerate() {
                let begin = if row == 0 { "" } else { "| | | " };
                let _ = writeln!(table, "{begin}{}", self.judgement(program, figures, *judged));
            }
        }
        table
    }

    fn judgement(&self, program: &Program, figures: &[f64], judged: Judged) -> String {
        let (figure, text, by, aim) = match judged {
            Judged::Ratio(reference, aim) => {
                let ratio = self.beside(figures, reference, |figure, reference| figure / reference);
                (ratio, ratio.map(|ratio| format!("{ratio:.2}")), reference, aim)
            }
            Judged::Excess(reference, aim) => {
                let excess = self.beside(figures, reference, |figure, reference| figure - reference);
                (excess, excess.map(|excess| format!("+ {}", program.unit.text(excess))), reference, aim)
            }
            Judged::Itself(aim) => {
                let middle = median(figures.to_vec());
                (Some(middle), Some(program.unit.text(middle)), "itself", aim)
            }
        };
        let verdict = figure.map_or("not measured", |figure| aim.verdict(figure));
        format!("| {} | {by} | {aim} | {verdict} |", text.unwrap_or_else(|| "-".into()))
    }

    /// The median of what each round says: what disturbed a whole round disturbed both.
    fn beside(&self, figures: &[f64], reference: &str, of: impl Fn(f64, f64) -> f64) -> Option<f64> {
        let references = self.0.get(reference)?;
        Some(median(
            figures.iter().zip(references).map(|(figure, reference)| of(*figure, *reference)).collect(),
        ))
    }
}

/// The times of single calls in one round.
#[derive(Default)]
pub(crate) struct Laps(Vec<f64>);

impl Laps {
    pub(crate) fn add(&mut self, since: Instant) {
        self.0.push(micros(since.elapsed()));
    }

    /// The longest, in microseconds.
    pub(crate) fn worst(&self) -> f64 {
        most(&self.0)
    }

    /// The median, in microseconds.
    pub(crate) fn p50(self) -> f64 {
        median(self.0)
    }
}

fn least(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
