//! The command line: what each flag asks for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Which worker to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    Good,
    /// Ends with this code before it says anything.
    ExitAtOnce(u8),
    Raw(Breach),
    /// A gRPC server as anybody would write it.
    Plain(Plain),
}

/// Which of the unary calls a plain gRPC server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// `Execute` and `ExecuteStream`.
    Calls,
    /// `Cancel`, too.
    CallsAndCancel,
    /// `Connect`, on which it talks rubbish.
    Rubbish,
}

/// How to break the contract, frame by frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    /// Lives through SIGTERM.
    IgnoreTerm,
    /// Never says Ready.
    NeverReady,
    /// Says that it speaks the latest version of the host's, whatever that is.
    LatestVersion,
    /// Says that it tells when a request begins, whether or not it was asked to.
    FeatureUnasked,
    /// Tells when the first request begins, and has not said that it would.
    StartedUnasked,
    /// Writes text in place of the first answer.
    Rubbish,
    /// States a length of 4 GiB in place of the first answer.
    OversizeLength,
    /// Writes the first half of the first answer, and then nothing.
    HalfFrame,
    /// Writes the first half of its Ready, and then nothing.
    HalfReady,
    /// Gives the first answer, writes the first half of a Pong, and then nothing.
    HalfPong,
    /// Begins the first answer, and writes a byte of it now and then for ever.
    Drip,
    /// Writes the first half of the first answer, and kills itself.
    DieWriting,
    /// Writes the first half of the first answer, and leaves with code 0.
    LeaveWriting,
    /// Begins the first answer in one frame, and ends it in none.
    HalfBody,
    /// Sends a part of the first answer before its beginning.
    PartFirst,
    /// Begins the first answer twice.
    BeginTwice,
    /// Sets a flag that has no meaning on the first answer.
    UnknownFlag,
    /// Sends a frame of a kind that nobody knows in place of the first answer.
    UnknownKind,
    /// Answers the first request with lengths that do not add up.
    WrongLengths,
    /// Answers the first request with a content type that is no text.
    NoText,
    /// Answers the first request with an Error that is no JSON.
    NoJson,
    /// Answers the first request in the form of a stream's.
    WrongAnswer,
    /// Answers, beside the first request, one that was never asked.
    AnswerUnasked,
    /// Answers the first request twice.
    AnswerTwice,
    /// Sends chunks whether there is credit or not.
    ChunksBeyondCredit,
    /// Says Ready again at the first request.
    ReadyTwice,
    /// Stays when the host is gone.
    IgnoreEof,
}

#[derive(Clone, Debug)]
pub(crate) struct Flags {
    pub(crate) manner: Manner,
    /// `--on-demand`: the breach is not in the first answer, but in that to the command `misbehave`.
    pub(crate) on_demand: bool,
    /// `--stderr TEXT`: a line to stderr before anything else.
    pub(crate) stderr: Option<String>,
    /// `--forks-child`: a `sleep` in the worker's process group.
    pub(crate) forks_child: bool,
    /// `--slow-ready MS`: so long before Ready.
    pub(crate) slow_ready: Option<Duration>,
    /// `--crash-after N`: aborts when the request after the Nth begins.
    pub(crate) crash_after: Option<u64>,
    /// `--ignore-cancel`: `sleep` and `spin` run to their end.
    pub(crate) ignore_cancel: bool,
    /// `--print-flood BYTES`: so many bytes to stdout, and as many to stderr, before the first answer.
    pub(crate) print_flood: Option<u64>,
    /// `--threads N`: so many requests at once.
    pub(crate) threads: u16,
    /// `--capacity N`: what Ready says, if not the number of threads.
    pub(crate) capacity: Option<u16>,
}

impl Flags {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut flags = Self {
            manner: Manner::Good,
            on_demand: false,
            stderr: None,
            forks_child: false,
            slow_ready: None,
            crash_after: None,
            ignore_cancel: false,
            print_flood: None,
            threads: 1,
            capacity: None,
        };
        while let Some(flag) = args.next() {
            let args = &mut args;
            match flag.as_str() {
                "--exit-at-once" => flags.manner = Manner::ExitAtOnce(value(&flag, args)?),
                "--ignore-term" => flags.manner = Manner::Raw(Breach::IgnoreTerm),
                "--never-ready" => flags.manner = Manner::Raw(Breach::NeverReady),
                "--rubbish" => flags.manner = Manner::Raw(Breach::Rubbish),
                "--oversize-length" => flags.manner = Manner::Raw(Breach::OversizeLength),
                "--half-frame" => flags.manner = Manner::Raw(Breach::HalfFrame),
                "--half-ready" => flags.manner = Manner::Raw(Breach::HalfReady),
                "--half-pong" => flags.manner = Manner::Raw(Breach::HalfPong),
                "--drip" => flags.manner = Manner::Raw(Breach::Drip),
                "--on-demand" => flags.on_demand = true,
                "--half-body" => flags.manner = Manner::Raw(Breach::HalfBody),
                "--part-first" => flags.manner = Manner::Raw(Breach::PartFirst),
                "--begin-twice" => flags.manner = Manner::Raw(Breach::BeginTwice),
                "--unknown-flag" => flags.manner = Manner::Raw(Breach::UnknownFlag),
                "--unknown-kind" => flags.manner = Manner::Raw(Breach::UnknownKind),
                "--wrong-lengths" => flags.manner = Manner::Raw(Breach::WrongLengths),
                "--no-text" => flags.manner = Manner::Raw(Breach::NoText),
                "--no-json" => flags.manner = Manner::Raw(Breach::NoJson),
                "--wrong-answer" => flags.manner = Manner::Raw(Breach::WrongAnswer),
                "--die-writing" => flags.manner = Manner::Raw(Breach::DieWriting),
                "--leave-writing" => flags.manner = Manner::Raw(Breach::LeaveWriting),
                "--answer-unasked" => flags.manner = Manner::Raw(Breach::AnswerUnasked),
                "--answer-twice" => flags.manner = Manner::Raw(Breach::AnswerTwice),
                "--chunks-beyond-credit" => flags.manner = Manner::Raw(Breach::ChunksBeyondCredit),
                "--latest-version" => flags.manner = Manner::Raw(Breach::LatestVersion),
                "--feature-unasked" => flags.manner = Manner::Raw(Breach::FeatureUnasked),
                "--started-unasked" => flags.manner = Manner::Raw(Breach::StartedUnasked),
                "--ready-twice" => flags.manner = Manner::Raw(Breach::ReadyTwice),
                "--plain-grpc" => flags.manner = Manner::Plain(Plain::Calls),
                "--plain-grpc-cancel" => flags.manner = Manner::Plain(Plain::CallsAndCancel),
                "--grpc-rubbish" => flags.manner = Manner::Plain(Plain::Rubbish),
                "--ignore-eof" => flags.manner = Manner::Raw(Breach::IgnoreEof),
                // Heard by the worker itself.
                "--conformance" => {}
                "--forks-child" => flags.forks_child = true,
                "--ignore-cancel" => flags.ignore_cancel = true,
                "--stderr" => flags.stderr = Some(value(&flag, args)?),
                "--slow-ready" => flags.slow_ready = Some(Duration::from_millis(value(&flag, args)?)),
                "--crash-after" => flags.crash_after = Some(value(&flag, args)?),
                "--print-flood" => flags.print_flood = Some(value(&flag, args)?),
                "--threads" => flags.threads = value(&flag, args)?,
                "--capacity" => flags.capacity = Some(value(&flag, args)?),
                unknown => return Err(format!("unknown flag {unknown}")),
            }
        }
        Ok(flags)
    }
}

fn value<T: FromStr<Err: fmt::Display>>(
    flag: &str,
    args: &mut impl Iterator<Item = String>,
) -> Result<T, String> {
    let text = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
    text.parse().map_err(|error| format!("{flag} {text}: {error}"))
}
