//! Questions: answered at once from what is known, also while children are starting.

use std::time::Duration;

use ractor::{ActorCell, ActorRef, ActorStatus};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::actor::message::{Question, SupervisorMessage, is_supervisor};
use crate::actor::shell::Shell;
use crate::child::ChildType;
use crate::core::child::{Child, Phase};
use crate::core::message::{ChildKey, Kind};
use crate::explain::Explanation;
use crate::handle::{ChildCounts, ChildSummary, ChildTarget};
use crate::moment::Moment;
use crate::tree::{ChildState, TreeNode};

impl Shell {
    /// An asker may have given up waiting; that is not our failure.
    pub(super) fn answer(&self, question: Question) {
        match question {
            Question::GetSnapshot { within, reply } => self.picture(within, reply),
            Question::GetChildren { reply } => _ = reply.send(self.summaries()),
            Question::GetCounts { reply } => _ = reply.send(self.counts()),
            Question::GetChild { target, reply } => {
                let now = self.now();
                let found = self.resolve(&target);
                _ = reply.send(found.map(|(key, child)| self.summary(key, child, now)));
            }
            Question::GetExplanation { target, reply } => {
                let now = self.now();
                let recent = self.core.restarts_in_window(now);
                _ = reply.send(self.resolve(&target).map(|(_, child)| explanation(child, recent, now)));
            }
            Question::GetEffort { reply } => _ = reply.send(self.core.effort()),
            Question::GetSettings { id, reply } => {
                _ = reply.send(self.core.find(&id).map(|(_, child)| child.settings.clone()));
            }
        }
    }

    /// In OTP's order: a static supervisor's newest child first.
    fn summaries(&self) -> Vec<ChildSummary> {
        let now = self.now();
        let summaries = self.core.children().map(|(key, child)| self.summary(key, child, now));
        match self.core.kind() {
            Kind::Static(_) => summaries.rev().collect(),
            Kind::Dynamic { .. } => summaries.collect(),
        }
    }

    fn summary(&self, key: ChildKey, child: &Child, now: Moment) -> ChildSummary {
        ChildSummary {
            id: child.settings.id.clone(),
            state: state_of(child, now),
            cell: self.running_cell(key, child),
            kind: child.settings.kind,
        }
    }

    fn resolve(&self, target: &ChildTarget) -> Option<(ChildKey, &Child)> {
        match target {
            ChildTarget::Id(id) => self.core.find(id),
            ChildTarget::Cell(cell) => {
                let key = self.seats.of_actor(cell.get_id())?;
                self.core.child(key).map(|child| (key, child))
            }
        }
    }

    fn counts(&self) -> ChildCounts {
        self.core.children().fold(ChildCounts::default(), |mut counts, (_, child)| {
            counts.specs += 1;
            match child.settings.kind {
                ChildType::Worker => counts.workers += 1,
                ChildType::Supervisor => counts.supervisors += 1,
            }
            match child.phase {
                Phase::Up { .. } | Phase::Stopping(_) => counts.active += 1,
                Phase::Down
                | Phase::Queued
                | Phase::Starting
                | Phase::Dead { .. }
                | Phase::Delayed { .. } => {}
            }
            counts
        })
    }

    fn running_cell(&self, key: ChildKey, child: &Child) -> Option<ActorCell> {
        match child.phase {
            Phase::Starting | Phase::Up { .. } | Phase::Stopping(_) => self.seats.get(key)?.cell.clone(),
            Phase::Down | Phase::Queued | Phase::Dead { .. } | Phase::Delayed { .. } => None,
        }
    }

    /// Draws what is here, and asks the supervisors below in a task: no handler waits for another actor.
    fn picture(&self, within: Duration, reply: oneshot::Sender<TreeNode>) {
        let now = self.now();
        let mut below = Vec::new();
        let children = self.core.children().enumerate().map(|(place, (key, child))| {
            let cell = self.running_cell(key, child);
            below.extend(cell.clone().filter(is_supervisor).map(|cell| (place, cell)));
            node(child, now, cell.as_ref())
        });
        let tree = TreeNode {
            id: self.blueprint.id.clone(),
            kind: ChildType::Supervisor,
            state: ChildState::Running,
            actor: Some(self.myself.get_id().to_string()),
            incarnation: 1,
            restarts: 0,
            children: children.collect(),
            silent: false,
        };
        if below.is_empty() {
            _ = reply.send(tree);
        } else {
            tokio::spawn(ask_below(tree, below, within, reply));
        }
    }
}

/// Each level leaves the one above it some time to answer.
async fn ask_below(
    mut tree: TreeNode,
    below: Vec<(usize, ActorCell)>,
    within: Duration,
    reply: oneshot::Sender<TreeNode>,
) {
    let mut asked: JoinSet<_> = below
        .into_iter()
        .map(|(place, cell)| async move { (place, snapshot_of(cell, within * 3 / 4).await) })
        .collect();
    while let Some(answer) = asked.join_next().await {
        let Ok((place, answer)) = answer else { continue };
        let Some(node) = tree.children.get_mut(place) else { continue };
        match answer {
            Some(below) => node.children = below.children,
            None => node.silent = true,
        }
    }
    _ = reply.send(tree);
}

pub(crate) async fn snapshot_of(cell: ActorCell, within: Duration) -> Option<TreeNode> {
    let (reply, answer) = oneshot::channel();
    let supervisor = ActorRef::<SupervisorMessage>::from(cell);
    supervisor.cast(SupervisorMessage::Question(Question::GetSnapshot { within, reply })).ok()?;
    timeout(within, answer).await.ok()?.ok()
}

fn node(child: &Child, now: Moment, cell: Option<&ActorCell>) -> TreeNode {
    TreeNode {
        id: child.settings.id.clone(),
        kind: child.settings.kind,
        state: state_of(child, now),
        actor: cell
            .filter(|cell| cell.get_status() < ActorStatus::Stopped)
            .map(|cell| cell.get_id().to_string()),
        incarnation: child.incarnation,
        restarts: u64::from(child.restarts),
        children: Vec::new(),
        silent: false,
    }
}

fn explanation(child: &Child, restarts_in_window: u32, now: Moment) -> Explanation {
    let pending = match child.phase {
        Phase::Delayed { .. } => child.incident.clone(),
        Phase::Down
        | Phase::Queued
        | Phase::Starting
        | Phase::Up { .. }
        | Phase::Dead { .. }
        | Phase::Stopping(_) => None,
    };
    Explanation {
        id: child.settings.id.clone(),
        state: state_of(child, now),
        restarts: u64::from(child.restarts),
        lives: child.lives.clone(),
        pending,
        restarts_in_window,
        failures: child.streak.failures(),
    }
}

fn state_of(child: &Child, now: Moment) -> ChildState {
    match &child.phase {
        Phase::Down => ChildState::Stopped,
        Phase::Queued | Phase::Starting => ChildState::Starting,
        Phase::Up { .. } => ChildState::Running,
        Phase::Dead { .. } => ChildState::Restarting { after: Duration::ZERO },
        &Phase::Delayed { due } => ChildState::Restarting { after: due - now },
        Phase::Stopping(_) => ChildState::Stopping,
    }
}
