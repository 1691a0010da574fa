//! A picture of a supervision tree, as data and as text.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::child::{ChildId, ChildType};

/// What a child is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
#[non_exhaustive]
pub enum ChildState {
    /// Waits until fewer of its siblings are starting, or is on its way up.
    Starting,
    /// Up.
    Running,
    /// Failed, and to be started again.
    Restarting {
        /// In this time; zero if it is due.
        after: Duration,
    },
    /// Told to stop, and not gone yet.
    Stopping,
    /// Not there, and not coming by itself.
    Stopped,
}

impl fmt::Display for ChildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Running => f.write_str("running"),
            Self::Restarting { after } => write!(f, "restarting in {after:?}"),
            Self::Stopping => f.write_str("stopping"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// One supervisor or worker, with all that is below it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TreeNode {
    /// Its id within its supervisor.
    pub id: ChildId,
    /// Worker or supervisor.
    pub kind: ChildType,
    /// What it is doing.
    pub state: ChildState,
    /// The actor that it is just now.
    pub actor: Option<String>,
    /// Which of its lives this is, counted from 1; 0 before the first.
    pub incarnation: u64,
    /// How many of its lives were restarts.
    pub restarts: u64,
    /// Its children in start order.
    pub children: Vec<TreeNode>,
    /// It is a supervisor, and did not say in time what is below it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
}

impl TreeNode {
    /// The first node with this id, depth first.
    pub fn find(&self, id: &str) -> Option<&Self> {
        if self.id.as_str() == id {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(id))
    }

    fn draw(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
        for (nth, child) in self.children.iter().enumerate() {
            let last = nth + 1 == self.children.len();
            let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            writeln!(f)?;
            write!(f, "{indent}{branch}")?;
            child.line(f)?;
            child.draw(f, &format!("{indent}{below}"))?;
        }
        Ok(())
    }

    fn line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        if !matches!(self.state, ChildState::Running) {
            write!(f, " {}", self.state)?;
        }
        if let Some(actor) = &self.actor {
            write!(f, " <{actor}>")?;
        }
        match self.restarts {
            0 => {}
            1 => write!(f, " 1 restart")?,
            n => write!(f, " {n} restarts")?,
        }
        if self.silent {
            write!(f, " (silent)")?;
        }
        Ok(())
    }
}

impl fmt::Display for TreeNode {
    /// Draws the tree, one line a node, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line(f)?;
        self.draw(f, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, state: ChildState, restarts: u64, children: Vec<TreeNode>) -> TreeNode {
        let kind = if children.is_empty() { ChildType::Worker } else { ChildType::Supervisor };
        let actor = matches!(state, ChildState::Running).then(|| "0.7".to_owned());
        TreeNode { id: id.into(), kind, state, actor, incarnation: 1, restarts, children, silent: false }
    }

    #[test]
    fn a_tree_is_drawn_with_what_is_worth_knowing() {
        let waiting = ChildState::Restarting { after: Duration::from_millis(200) };
        let tree = node(
            "top",
            ChildState::Running,
            0,
            vec![
                node("sub", ChildState::Running, 1, vec![node("w", waiting, 2, vec![])]),
                node("b", ChildState::Stopped, 0, vec![]),
            ],
        );
        let drawn = "top <0.7>\n├─ sub <0.7> 1 restart\n│  └─ w restarting in 200ms 2 restarts\n└─ b stopped";
        assert_eq!(tree.to_string(), drawn);
    }
}
