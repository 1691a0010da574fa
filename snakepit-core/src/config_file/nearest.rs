//! Which known name somebody meant.

use strsim::{damerau_levenshtein, jaro_winkler};

/// The known name that takes the fewest slips of the finger; of several the one that looks most like it.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let slips = |known: &str| damerau_levenshtein(&name, &known.to_ascii_lowercase());
    let likeness = |known: &str| jaro_winkler(&name, &known.to_ascii_lowercase());
    let order = |a: &&str, b: &&str| slips(a).cmp(&slips(b)).then(likeness(b).total_cmp(&likeness(a)));
    known.into_iter().min_by(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let known = ["size", "timeout", "startup_timeout", "stop_grace", "kill_grace"];
        let table =
            [("siz", "size"), ("Size", "size"), ("tiemout", "timeout"), ("start_timeout", "startup_timeout")];
        for (written, meant) in table {
            assert_eq!(nearest(written, known), Some(meant));
        }
        assert_eq!(nearest("grace", []), None);
    }
}
