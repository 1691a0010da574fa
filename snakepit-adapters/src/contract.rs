//! The worker contract as a list of rules that any adapter with any worker can be held against (feature `testkit`).
//!
//! Each [`Rule`] starts a worker of its own, through the [`Adapter`](snakepit_core::adapter::Adapter) and without a pool, and
//! ends in one row: it holds, it is broken and how, or the worker does not offer what the rule needs. The rules that need a
//! known command use those of `proto/README.md`, section 13; the SDKs offer them under `--conformance`. The rules about
//! single frames are held against workers on the `port` wire only, those about processes only where there is one.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use snakepit_adapters::PortAdapter;
//! use snakepit_adapters::contract::{Examination, Verdict};
//!
//! let worker = PortAdapter::new("perl").args(["worker.pl", "--conformance"]);
//! let rows = Examination::of(worker).await?.run().await;
//! assert!(rows.iter().all(|row| !matches!(row.verdict, Verdict::Broken(_))), "{rows:#?}");
//! # Ok(())
//! # }
//! ```

mod examination;
mod finding;

mod host;
mod raw_host;
mod sink;

mod rules;

pub use examination::{Examination, Row};
pub use finding::Verdict;
pub use rules::{RULES, Rule};
