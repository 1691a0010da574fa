//! Putting lines into the order that a trace promises, where the runs themselves promise none.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::otp::trace::line::Line;
use crate::otp::trace::plant::join;

/// Sorts the parallel stops below a dynamic supervisor by the ids of its children, run by run.
pub(super) fn sort_parallel_stops(lines: &mut [Line], dynamic: &str) {
    let mut rest = lines;
    while !rest.is_empty() {
        let run = rest.iter().take_while(|line| child_below(line, dynamic).is_some()).count();
        let (stops, after) = rest.split_at_mut(run);
        stops.sort_by(|one, other| child_below(one, dynamic).cmp(&child_below(other, dynamic)));
        let skip = after.iter().take_while(|line| child_below(line, dynamic).is_none()).count();
        rest = &mut after[skip..];
    }
}

/// Which child of a supervisor an end belongs to: its own, or that of anybody below it.
fn child_below<'a>(line: &'a Line, supervisor: &str) -> Option<&'a str> {
    let below = end_of(line)?.strip_prefix(&join(supervisor, ""))?;
    let own = below.split('/').next()?;
    (!own.is_empty()).then_some(own)
}

/// Puts the ends that come with the kill of a supervisor first: everybody below it, newest first, each supervisor
/// after its children; then itself.
///
/// `started` tells when each path was last started before that. Supervisors that died with the killed one are told by nobody; `lost`
/// names them.
pub(super) fn order_kill(
    lines: Vec<Line>,
    killed: &str,
    lost: &[String],
    started: &HashMap<String, usize>,
) -> Vec<Line> {
    let told = |line: &Line| end_of(line).is_some_and(|id| id == killed || id.starts_with(&join(killed, "")));
    let (mut ends, others): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(told);
    let end = |id: &String| Line::SupervisorExit { id: id.clone(), reason: "killed".to_owned() };
    ends.extend(lost.iter().map(end));
    ends.sort_by_cached_key(|line| {
        let path = end_of(line).unwrap_or_default();
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let ages = ends.map(|end| Reverse(started.get(&path[..end]).copied().unwrap_or_default()));
        // Whoever is above ends last: nothing is older than that.
        ages.chain([Reverse(0)]).collect::<Vec<_>>()
    });
    ends.extend(others);
    ends
}

fn end_of(line: &Line) -> Option<&str> {
    match line {
        Line::Stop { id, .. } | Line::SupervisorExit { id, .. } => Some(id),
        Line::Start { .. } | Line::Reply { .. } | Line::End => None,
    }
}
