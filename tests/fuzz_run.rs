//! Random input for both ends of the wire, for as long as you like.
//!
//! `cargo run --release -p snakepit-tests --bin fuzz -- [--seconds N | --inputs N] [--seed N]`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use snakepit_tests::fuzz;
use tokio::time::Instant;

fn main() -> ExitCode {
    match fuzz(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}

fn fuzz(mut args: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let (mut seconds, mut inputs, mut seed) = (10, None, 1);
    while let Some(flag) = args.next() {
        let value: u64 = args.next().ok_or_else(|| format!("{flag} needs a number"))?.parse()?;
        match flag.as_str() {
            "--seconds" => seconds = value,
            "--inputs" => inputs = Some(value),
            "--seed" => seed = value,
            unknown => return Err(format!("unknown flag {unknown}").into()),
        }
    }
    let start = Instant::now();
    let counts = fuzz::run(seed, |number| match inputs {
        Some(inputs) => number >= inputs,
        None => start.elapsed() >= Duration::from_secs(seconds),
    })?;
    println!("{counts} inputs from seed {seed} in {:.0} s, all borne", start.elapsed().as_secs_f64());
    Ok(())
}
