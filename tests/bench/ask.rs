//! The command line of the bench.

pub(crate) struct Ask {
    pub(crate) rounds: usize,
    /// Round trips of one latency program in one round; the others follow from it.
    pub(crate) calls: usize,
    /// Whether everything of the host runs on one thread.
    pub(crate) current_thread: bool,
    only: Vec<String>,
}

impl Ask {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut ask = Self { rounds: 7, calls: 5000, current_thread: false, only: Vec::new() };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--rounds" => ask.rounds = number(&arg, args.next())?.max(1),
                "--calls" => ask.calls = number(&arg, args.next())?.max(100),
                "--current-thread" => ask.current_thread = true,
                flag if flag.starts_with('-') => return Err(format!("unknown flag {flag}")),
                name => ask.only.push(name.to_owned()),
            }
        }
        Ok(ask)
    }

    /// Whether a program was asked for, by its name or the start of it: all of them, where none is named.
    pub(crate) fn wants(&self, program: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| program.starts_with(only))
    }
}

fn number(flag: &str, value: Option<String>) -> Result<usize, String> {
    let value = value.ok_or_else(|| format!("{flag} needs a number"))?;
    value.parse().map_err(|error| format!("{flag} {value}: {error}"))
}
