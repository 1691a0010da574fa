//! What a pit tells of itself: every event and every metric, each declared once, with its name and its meaning.

mod call_figures;
#[cfg(test)]
mod coverage;
mod declare;
#[cfg(test)]
mod document;
mod event;
mod field;
mod figures;
pub(crate) mod metric;
#[cfg(test)]
pub(crate) mod recorder;
mod sink;
mod subscription;

pub(crate) use call_figures::{CallFigure, CallFigures, PoolGauges};
pub use event::Event;
pub(crate) use figures::{contained, recovered};
pub use sink::EventRecord;
pub(crate) use sink::EventSink;
pub use subscription::{Events, Lagged};
