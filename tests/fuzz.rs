//! Random input for both ends of the port wire: nearly right, cut anywhere, and turned inside out.
//!
//! Each input comes from a seed of its own, which a failure names. No input may make either end panic, hang, answer a
//! request twice, or read differently when it arrives in other pieces.

mod codec;
mod host_end;
mod input;
mod worker_end;

use std::fmt;

use tokio::runtime::{Builder, Runtime};

use crate::fuzz::input::Input;

/// How many inputs each part has been given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The codec: frames of both sides, and every reader of a body.
    pub codec: u64,
    /// The host's end: handshake, answers, streams.
    pub host_end: u64,
    /// The worker's end in Rust.
    pub worker_end: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "codec {}, host end {}, worker end {}", self.codec, self.host_end, self.worker_end)
    }
}

/// An input that one end could not bear.
#[derive(Debug)]
pub struct Failure {
    /// What makes the same input again: `--seed SEED --inputs 1`.
    pub seed: u64,
    /// Which end, and what it did.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; again with --seed {} --inputs 1", self.what, self.seed)
    }
}

impl std::error::Error for Failure {}

/// How many inputs the codec gets for each that an end of the wire gets, which is that much slower.
const CODEC_SHARE: u64 = 50;

/// Makes inputs from `seed` on until `is_over` says so of their count.
///
/// # Errors
/// The first input that was not borne.
///
/// # Panics
/// Where a part panics over an input, or there is no runtime to be had.
pub fn run(seed: u64, mut is_over: impl FnMut(u64) -> bool) -> Result<Counts, Failure> {
    let runtime = runtime();
    let mut counts = Counts::default();
    for number in 0.. {
        if is_over(number) {
            break;
        }
        let seed = seed.wrapping_add(number);
        let failed = |what| Failure { seed, what };
        for share in 0..CODEC_SHARE {
            codec::bears(&mut Input::new(seed ^ (share << 48))).map_err(failed)?;
        }
        runtime.block_on(host_end::bears(&mut Input::new(seed))).map_err(failed)?;
        worker_end::bears(&mut Input::new(seed)).map_err(failed)?;
        counts.codec += CODEC_SHARE;
        counts.host_end += 1;
        counts.worker_end += 1;
    }
    Ok(counts)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime for one thread needs little")
}
