//! The load: callers that ask one thing after the other for as long as the storm lasts.

use std::error::Error;
use std::sync::Arc;

use snakepit_tests::chance::Chance;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::ask::Ask;
use crate::bed::{ALL, Bed};
use crate::books::Books;
use crate::calls::Caller;

/// More than the workers can hold, so that requests wait, and fewer than the line takes.
const CALLERS_EACH: u64 = 24;

pub(crate) fn start(bed: &Bed, books: &Arc<Books>, ask: &Ask) -> Result<JoinSet<()>, Box<dyn Error>> {
    let until = Instant::now() + ask.lasts;
    let mut callers = JoinSet::new();
    for kind in ALL {
        for number in 0..CALLERS_EACH {
            let chance = Chance::new(ask.seed.wrapping_mul(1000) + number);
            let mut caller = Caller::new(bed.pool(kind)?, Arc::clone(books), chance, number);
            callers.spawn(async move {
                while Instant::now() < until {
                    caller.call().await;
                }
            });
        }
    }
    Ok(callers)
}
