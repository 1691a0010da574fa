//! Holds any worker program against the worker contract: a row for each rule, exit code 0 only if none is broken.
//!
//! ```text
//! cargo run -p snakepit-tests --bin check-worker -- [--stdio | --grpc | --grpc-calls] [--patience SECONDS] [--rule NAME] PROGRAM [ARGS]
//! ```
//! Start the program with what makes it offer the commands of `proto/README.md`, section 13: for the SDKs, `--conformance`.
//! Rules that need a command which it does not have say `not offered`, and are no fault. Exit code 1: a rule is broken; 2:
//! nothing could be checked.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use snakepit_adapters::contract::{Examination, RULES, Verdict};
use snakepit_adapters::{GrpcAdapter, PortAdapter};
use tokio::runtime::Builder;

const USAGE: &str =
    "usage: check-worker [--stdio | --grpc | --grpc-calls] [--patience SECONDS] [--rule NAME] PROGRAM [ARGS]";

#[derive(Clone, Copy)]
enum Wire {
    Port,
    Stdio,
    Grpc,
    /// By calls, also where Connect is offered.
    GrpcCalls,
}

/// What the command line asks for.
struct Asked {
    program: String,
    args: Vec<String>,
    wire: Wire,
    patience: Option<Duration>,
    /// One of the rules; none: all.
    rule: Option<String>,
}

fn main() -> ExitCode {
    let checked = asked(std::env::args().skip(1)).and_then(|asked| {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        Ok(runtime.block_on(check(asked))?)
    });
    match checked {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("check-worker: {error}");
            ExitCode::from(2)
        }
    }
}

fn asked(mut args: impl Iterator<Item = String>) -> Result<Asked, Box<dyn Error>> {
    let (mut wire, mut patience, mut rule) = (Wire::Port, None, None);
    let program = loop {
        match args.next().ok_or(USAGE)?.as_str() {
            "--stdio" => wire = Wire::Stdio,
            "--grpc" => wire = Wire::Grpc,
            "--grpc-calls" => wire = Wire::GrpcCalls,
            "--patience" => patience = Some(Duration::from_secs(args.next().ok_or(USAGE)?.parse()?)),
            "--rule" => rule = Some(args.next().ok_or(USAGE)?),
            flag if flag.starts_with("--") => return Err(format!("unknown flag {flag}\n{USAGE}").into()),
            program => break program.to_owned(),
        }
    };
    if rule.as_ref().is_some_and(|name| RULES.iter().all(|rule| rule.name != name)) {
        return Err(format!("there is no rule {}", rule.unwrap_or_default()).into());
    }
    Ok(Asked { program, args: args.collect(), wire, patience, rule })
}

/// Prints the rows as they come, and says how many rules are broken.
async fn check(asked: Asked) -> std::io::Result<usize> {
    let Asked { program, args, .. } = asked;
    let mut examination = match asked.wire {
        Wire::Port => Examination::of(PortAdapter::new(program).args(args)).await?,
        Wire::Stdio => Examination::of(PortAdapter::new(program).args(args).stdio()).await?,
        Wire::Grpc => Examination::of(GrpcAdapter::new(program).args(args)).await?,
        Wire::GrpcCalls => Examination::of(GrpcAdapter::new(program).args(args).by_calls()).await?,
    };
    if let Some(patience) = asked.patience {
        examination = examination.patience(patience);
    }
    let (mut holding, mut broken, mut not_offered) = (0, 0, 0);
    let is_asked_for = |name| asked.rule.as_ref().is_none_or(|rule| rule == name);
    for rule in RULES.iter().filter(|rule| is_asked_for(rule.name)) {
        let row = examination.judge(rule).await;
        println!("{:<24} {}", row.rule, row.verdict);
        match row.verdict {
            Verdict::Holds => holding += 1,
            Verdict::Broken(_) => {
                println!("{:<24} the rule: {}", "", row.says);
                broken += 1;
            }
            Verdict::NotOffered(_) => not_offered += 1,
        }
    }
    println!("{holding} hold, {broken} broken, {not_offered} not offered");
    Ok(broken)
}
