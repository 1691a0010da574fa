//! What came of a rule.

use std::fmt;

/// Whether a worker keeps a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a broken rule that nobody reads about stays broken"]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not, and how.
    Broken(String),
    /// It does not offer what the rule needs, which is no fault.
    NotOffered(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("ok"),
            Self::Broken(what) => write!(f, "BROKEN: {what}"),
            Self::NotOffered(what) => write!(f, "not offered: {what}"),
        }
    }
}

/// Why a rule was not gone through to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Broken(String),
    NotOffered(String),
}

/// How a rule ends.
pub(super) type Findings<T = ()> = Result<T, Finding>;

/// What is found may show a payload of megabytes, and is a line for people.
const LONGEST: usize = 400;

impl Finding {
    pub(super) fn broken(what: impl fmt::Display) -> Self {
        let mut what = what.to_string();
        if let Some((at, _)) = what.char_indices().nth(LONGEST) {
            what.truncate(at);
            what.push_str(" ..");
        }
        Self::Broken(what)
    }

    pub(super) fn not_offered(what: impl fmt::Display) -> Self {
        Self::NotOffered(what.to_string())
    }
}

impl From<Findings> for Verdict {
    fn from(findings: Findings) -> Self {
        match findings {
            Ok(()) => Self::Holds,
            Err(Finding::Broken(what)) => Self::Broken(what),
            Err(Finding::NotOffered(what)) => Self::NotOffered(what),
        }
    }
}

/// Breaks the rule unless this is so.
pub(super) fn demand(holds: bool, what: impl fmt::Display) -> Findings {
    if holds { Ok(()) } else { Err(Finding::broken(what)) }
}

/// Breaks the rule unless the two are equal.
pub(super) fn demand_equal<T: PartialEq + fmt::Debug>(what: &str, found: &T, expected: &T) -> Findings {
    demand(found == expected, format_args!("{what}: {found:?}, expected {expected:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_a_line_however_large_it_is() {
        assert_eq!(Finding::broken("it hangs"), Finding::Broken("it hangs".into()));
        let Finding::Broken(what) = Finding::broken("\u{1f40d}".repeat(1 << 20)) else { unreachable!() };
        assert_eq!(what.chars().count(), LONGEST + 3);
    }
}
