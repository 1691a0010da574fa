//! What is asked for on the command line.

use std::time::Duration;

use crate::strike::Strike;

/// What kind of chaos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One way to hit a host in mid-churn, round after round.
    Strike(Strike),
    /// The example `pit` under load, killed and started again on the same directory.
    Pit,
    /// All strikes at random, for some minutes.
    Soak,
    /// A pit that is started and stopped so many times.
    Cycles,
    /// Workers started from threads that end: 15 s later they still run.
    Threads,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Strike(strike) => strike.word(),
            Self::Pit => "pit",
            Self::Soak => "soak",
            Self::Cycles => "cycles",
            Self::Threads => "threads",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) kind: Kind,
    pub(crate) rounds: u32,
    pub(crate) seed: u64,
    /// How long a soak lasts.
    pub(crate) lasts: Duration,
}

impl Ask {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut ask =
            Self { kind: Kind::Strike(Strike::Kill9), rounds: 100, seed: 1, lasts: Duration::from_hours(1) };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or(format!("{flag} needs a value"))?;
            let number = || value.parse::<u64>().map_err(|error| format!("{flag} {value}: {error}"));
            match flag.as_str() {
                "--kind" => ask.kind = kind(&value)?,
                "--rounds" => ask.rounds = u32::try_from(number()?).map_err(|error| error.to_string())?,
                "--seed" => ask.seed = number()?,
                "--minutes" => ask.lasts = Duration::from_mins(number()?),
                unknown => return Err(format!("unknown flag {unknown}")),
            }
        }
        Ok(ask)
    }
}

fn kind(word: &str) -> Result<Kind, String> {
    let others = [Kind::Pit, Kind::Soak, Kind::Cycles, Kind::Threads];
    let all: Vec<Kind> = Strike::ALL.map(Kind::Strike).into_iter().chain(others).collect();
    let found = all.iter().find(|kind| kind.word() == word);
    let words = || all.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", ");
    found.copied().ok_or_else(|| format!("no kind {word}; there are {}", words()))
}
