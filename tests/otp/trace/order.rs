//! Putting lines into the order that a trace promises, where the runs themselves promise none.

use snakepit_supervisor::{ChildType, TreeNode};

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

/// Puts the ends that come with the kill of a supervisor in order: everybody below it, the last in its tree first,
/// each supervisor after its children; then itself. They come before all else that follows from the kill.
///
/// `tree` is what was below it before. The supervisors that die with it are told by nobody, and are added here.
pub(super) fn order_kill(mut lines: Vec<Line>, killed: &str, tree: &TreeNode) -> Vec<Line> {
    let below = join(killed, "");
    let is_end = |line: &&Line| end_of(line).is_some_and(|id| id == killed || id.starts_with(&below));
    let others = lines.split_off(lines.iter().take_while(is_end).count());
    let mut order = Vec::new();
    ends_below(tree, killed, &mut order);
    let lost = order.iter().filter(|(path, is_supervisor)| *is_supervisor && path != killed);
    let end = |path: &String| Line::SupervisorExit { id: path.clone(), reason: "killed".to_owned() };
    lines.extend(lost.map(|(path, _)| end(path)));
    lines.sort_by_key(|line| order.iter().position(|(path, _)| Some(path.as_str()) == end_of(line)));
    lines.extend(others);
    lines
}

/// The paths of a tree in the order of their ends, and which of them are supervisors that run.
fn ends_below(node: &TreeNode, path: &str, order: &mut Vec<(String, bool)>) {
    for child in node.children.iter().rev() {
        ends_below(child, &join(path, child.id.as_str()), order);
    }
    let runs = node.kind == ChildType::Supervisor && node.actor.is_some();
    order.push((path.to_owned(), runs));
}

fn end_of(line: &Line) -> Option<&str> {
    match line {
        Line::Stop { id, .. } | Line::SupervisorExit { id, .. } => Some(id),
        Line::Start { .. } | Line::Reply { .. } | Line::End => None,
    }
}
