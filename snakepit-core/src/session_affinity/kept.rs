//! How many sessions each life of a worker keeps, counted as they come and go: nobody wants to count a million.

use std::collections::HashMap;

use crate::pool::Life;

/// The counts. A life that keeps none is not there.
#[derive(Debug, Default)]
pub(super) struct Kept(HashMap<Life, u64>);

impl Kept {
    pub(super) fn more(&mut self, life: Life) {
        *self.0.entry(life).or_default() += 1;
    }

    pub(super) fn less(&mut self, life: Life) {
        if let Some(count) = self.0.get_mut(&life) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&life);
            }
        }
    }

    pub(super) fn counts(&self) -> &HashMap<Life, u64> {
        &self.0
    }
}
