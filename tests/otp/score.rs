//! The table of cases, and how one is run: on a runtime of its own, in virtual time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use tokio::runtime::{Builder, Runtime};

use crate::otp::cases;

/// One case.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its id and what is to be seen, as a name: `oc_37_one_for_all_stops_all_before_the_first_start`.
    pub name: &'static str,
    run: fn() -> Pin<Box<dyn Future<Output = ()>>>,
}

impl Case {
    /// Its id: `OC-37`.
    pub fn id(&self) -> String {
        self.name[..5].replace('_', "-").to_uppercase()
    }

    /// What is to be seen: `one for all stops all before the first start`.
    pub fn title(&self) -> String {
        self.name[6..].replace('_', " ")
    }

    /// Whether it is one of OTP's own.
    pub fn is_otp(&self) -> bool {
        self.name.starts_with("oc")
    }

    /// How this crate differs from OTP here, on purpose; the case asserts it so.
    pub fn deviation(&self) -> Option<&'static str> {
        cases::DEVIATIONS.iter().find(|(id, _)| self.name.starts_with(id)).map(|&(_, text)| text)
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All that it asserts is so.
    Passed,
    /// Something is not; this.
    Failed(String),
}

macro_rules! table {
    ($($name:ident,)*) => {
        const CASES: &[Case] = &[$(Case { name: stringify!($name), run: || Box::pin(cases::$name()) }),*];
    };
}

crate::otp_cases!(table);

/// All cases, in order.
pub fn all_cases() -> &'static [Case] {
    CASES
}

/// Runs a case.
pub fn run_case(case: &Case) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| runtime(case).block_on((case.run)()))) {
        Ok(()) => Outcome::Passed,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Outcome::Failed(text.unwrap_or_else(|| "panicked".to_owned()))
        }
    }
}

/// Runs the case of this name, for a test: a case that fails panics.
///
/// # Panics
/// When the case fails, or there is none of that name.
pub fn check_case(name: &str) {
    let case = CASES.iter().find(|case| case.name == name).expect("the case is in the table");
    runtime(case).block_on((case.run)());
}

/// SX-09 is about processes, which know no virtual time.
fn runtime(case: &Case) -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(case.id() != "SX-09");
    builder.build().expect("a runtime starts")
}
