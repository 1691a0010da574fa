//! What is asked for on the command line.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) lasts: Duration,
    pub(crate) seed: u64,
}

impl Ask {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut ask = Self { lasts: Duration::from_mins(1), seed: 1 };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or(format!("{flag} needs a value"))?;
            let number = value.parse::<u64>().map_err(|error| format!("{flag} {value}: {error}"))?;
            match flag.as_str() {
                "--seconds" => ask.lasts = Duration::from_secs(number),
                "--seed" => ask.seed = number,
                unknown => return Err(format!("unknown flag {unknown}")),
            }
        }
        Ok(ask)
    }
}
