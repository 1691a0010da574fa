//! Exhaustive search: every order of six events in small trees of two levels.
//!
//! A model is two real cores, one below the other, and a world that may do anything that is possible at any moment:
//! a start succeeds or fails, a child dies in this way or that, an order is obeyed, time passes, somebody calls. From
//! every state that can be reached, the invariants hold; and if from there on nothing more goes wrong, everything
//! comes to rest, and a stop ends it.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::child::{ChildSettings, Restart};
use crate::core::Core;
use crate::core::child::Phase;
use crate::core::invariants::{check, is_quiet};
use crate::core::lane::{Goal, Lane, Work};
use crate::core::message::{Action, Call, Caller, ChildKey, Event, Kind, Life, Target};
use crate::core::world::{child, config, error, fixed};
use crate::error::StartFailure;
use crate::exit::{ExitReason, StoppedWith};
use crate::moment::Moment;
use crate::supervisor::Strategy;

/// How many events deep the search goes.
const DEPTH: usize = 6;

/// How it stands with a child, from the world's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mood {
    Starting,
    Up,
    /// Asked to stop; it was up.
    Asked,
    /// Killed; it was up, or still starting.
    Killed {
        was_up: bool,
    },
}

#[derive(Clone, Debug)]
struct Node {
    core: Core,
    moods: BTreeMap<Life, Mood>,
    unanswered: usize,
    ended: bool,
}

/// Which of the two supervisors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Outer,
    Inner,
}

/// The inner supervisor is the outer one's first child.
const INNER: ChildKey = ChildKey(0);

#[derive(Clone, Debug)]
struct Model {
    outer: Node,
    inner: Option<(Life, Node)>,
    inner_kind: Kind,
    now: Moment,
    calls: u64,
}

#[derive(Clone, Debug)]
enum Move {
    Comes(Level, Life),
    Fails(Level, Life),
    Dies(Level, Life, ExitReason),
    Obeys(Level, Life),
    TimePasses,
    Calls(Level, Call),
    Stops,
}

fn worker(id: &str, restart: Restart) -> ChildSettings {
    ChildSettings { restart, ..child(id) }
}

impl Node {
    fn new(kind: Kind, limit: u32, children: Vec<ChildSettings>) -> Self {
        let mut config = config(kind, limit);
        // Chance would only make more states that differ in nothing else.
        config.policy.backoff = Some(Backoff { jitter: 0.0, ..Backoff::default() });
        Self { core: Core::new(config, children), moods: BTreeMap::new(), unanswered: 0, ended: false }
    }
}

impl Model {
    /// An outer supervisor over an inner one and a worker; the inner one over two workers. All are up.
    fn up(outer_kind: Kind, inner_kind: Kind) -> Self {
        let inner = ChildSettings::supervisor("s".into());
        let children = vec![inner, worker("w", Restart::Transient)];
        let outer = Node::new(outer_kind, 1, children);
        let mut model = Self { outer, inner: None, inner_kind, now: Moment::default(), calls: 0 };
        model.happens(Level::Outer, Event::Boot);
        model.comes_to_rest(&mut HashSet::new());
        model
    }

    fn node(&mut self, level: Level) -> Option<&mut Node> {
        match level {
            Level::Outer => Some(&mut self.outer),
            Level::Inner => self.inner.as_mut().map(|(_, node)| node),
        }
    }

    fn happens(&mut self, level: Level, event: Event) {
        let now = self.now;
        let Some(node) = self.node(level) else { return };
        for action in node.core.step(event, now) {
            self.carry_out(level, action);
        }
    }

    fn carry_out(&mut self, level: Level, action: Action) {
        match action {
            Action::Start { life } if level == Level::Outer && life.key == INNER => {
                self.outer.moods.insert(life, Mood::Starting);
                let children = vec![worker("x", Restart::Permanent), worker("y", Restart::Temporary)];
                self.inner = Some((life, Node::new(self.inner_kind, 1, children)));
                self.happens(Level::Inner, Event::Boot);
            }
            Action::Stop { life } if level == Level::Outer && life.key == INNER => {
                self.happens(Level::Inner, Event::ShutdownRequested { reason: Some("shutdown".into()) });
            }
            Action::Start { life } => self.set_mood(level, life, Mood::Starting),
            Action::Stop { life } => self.set_mood(level, life, Mood::Asked),
            Action::Kill { life } => {
                if let Some(mood) = self.node(level).and_then(|node| node.moods.get_mut(&life)) {
                    *mood = Mood::Killed { was_up: !matches!(mood, Mood::Starting) };
                }
            }
            Action::Release { life } => {
                if let Some(node) = self.node(level) {
                    node.moods.remove(&life);
                }
            }
            Action::Reply { .. } => {
                if let Some(node) = self.node(level) {
                    node.unanswered -= 1;
                }
            }
            Action::Booted => self.inner_came_up(level),
            Action::BootFailed { .. } => self.inner_came_not(level),
            Action::Exit { reason } => self.ends(level, reason),
            Action::Forget { .. } | Action::Report(_) => {}
        }
    }

    fn set_mood(&mut self, level: Level, life: Life, mood: Mood) {
        if let Some(node) = self.node(level) {
            node.moods.insert(life, mood);
        }
    }

    fn inner_came_up(&mut self, level: Level) {
        if let (Level::Inner, Some((life, _))) = (level, &self.inner) {
            let life = *life;
            self.outer.moods.insert(life, Mood::Up);
            self.happens(Level::Outer, Event::Started { life });
        }
    }

    fn inner_came_not(&mut self, level: Level) {
        if let (Level::Inner, Some((life, _))) = (level, &self.inner) {
            self.outer.moods.insert(*life, Mood::Killed { was_up: false });
        }
    }

    /// A supervisor is over. The inner one's life ends with it.
    fn ends(&mut self, level: Level, reason: Option<String>) {
        match level {
            Level::Outer => self.outer.ended = true,
            Level::Inner => {
                let Some((life, _)) = self.inner.take() else { return };
                let mood = self.outer.moods.remove(&life);
                self.happens(
                    Level::Outer,
                    match mood {
                        Some(Mood::Killed { was_up: false }) => {
                            Event::StartFailed { life, failure: StartFailure::Stopped }
                        }
                        _ => Event::Exited { life, reason: reason.map(|_| ExitReason::Shutdown(None)) },
                    },
                );
            }
        }
    }

    fn make(&mut self, step: Move) {
        match step {
            Move::Comes(level, life) => {
                self.set_mood(level, life, Mood::Up);
                self.happens(level, Event::Started { life });
            }
            Move::Fails(level, life) => {
                self.forget(level, life);
                let failure = StartFailure::Failed(Arc::new(StoppedWith("plan".into())));
                self.happens(level, Event::StartFailed { life, failure });
            }
            Move::Dies(level, life, reason) => self.dies(level, life, reason),
            Move::Obeys(level, life) => self.obeys(level, life),
            Move::TimePasses => self.time_passes(),
            Move::Calls(level, call) => {
                self.calls += 1;
                let caller = Caller(self.calls);
                if let Some(node) = self.node(level) {
                    node.unanswered += 1;
                }
                self.happens(level, Event::Called { call, caller });
            }
            Move::Stops => {
                let reason = Some("shutdown".into());
                self.happens(Level::Outer, Event::ShutdownRequested { reason });
            }
        }
    }

    fn forget(&mut self, level: Level, life: Life) -> Option<Mood> {
        self.node(level)?.moods.remove(&life)
    }

    fn dies(&mut self, level: Level, life: Life, reason: ExitReason) {
        self.forget(level, life);
        if level == Level::Outer && life.key == INNER {
            // ractor kills what is below it; the outer one hears of it when all of that is gone.
            self.inner = None;
        }
        self.happens(level, Event::Exited { life, reason: Some(reason) });
    }

    fn obeys(&mut self, level: Level, life: Life) {
        let Some(mood) = self.forget(level, life) else { return };
        if level == Level::Outer && life.key == INNER {
            self.inner = None;
        }
        let event = match mood {
            Mood::Killed { was_up: false } => Event::StartFailed { life, failure: StartFailure::Stopped },
            Mood::Killed { was_up: true } => Event::Exited { life, reason: Some(ExitReason::Killed) },
            Mood::Starting | Mood::Up | Mood::Asked => {
                Event::Exited { life, reason: Some(ExitReason::Shutdown(None)) }
            }
        };
        self.happens(level, event);
    }

    fn time_passes(&mut self) {
        let inner = self.inner.as_ref().and_then(|(_, node)| node.core.next_deadline());
        let next = self.outer.core.next_deadline().into_iter().chain(inner).min();
        if let Some(next) = next {
            self.now = self.now.max(next);
            self.happens(Level::Inner, Event::Elapsed);
            self.happens(Level::Outer, Event::Elapsed);
        }
    }

    /// All that is possible.
    fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        let levels =
            [(Level::Outer, Some(&self.outer)), (Level::Inner, self.inner.as_ref().map(|(_, node)| node))];
        for (level, node) in levels {
            let Some(node) = node.filter(|node| !node.ended) else { continue };
            for (&life, &mood) in &node.moods {
                let is_inner = level == Level::Outer && life.key == INNER;
                match mood {
                    Mood::Starting if is_inner => {}
                    Mood::Starting => moves.extend([Move::Comes(level, life), Move::Fails(level, life)]),
                    Mood::Up if is_inner => moves.push(Move::Dies(level, life, ExitReason::Killed)),
                    Mood::Up => {
                        moves.push(Move::Dies(level, life, error()));
                        moves.push(Move::Dies(level, life, ExitReason::Normal));
                    }
                    Mood::Asked => {
                        moves.push(Move::Obeys(level, life));
                        moves.push(Move::Dies(level, life, error()));
                    }
                    Mood::Killed { .. } => moves.push(Move::Obeys(level, life)),
                }
            }
            for (_, child) in node.core.children() {
                let id = child.settings.id.clone();
                // A call that is refused at once changes nothing.
                if !matches!(child.phase, Phase::Down) {
                    moves.push(Move::Calls(level, Call::Terminate { target: Target::Id(id.clone()) }));
                }
                if !matches!(child.phase, Phase::Up { .. }) {
                    moves.push(Move::Calls(level, Call::Restart { id }));
                }
            }
        }
        moves.extend([Move::TimePasses, Move::Stops]);
        moves
    }

    fn check(&self) -> Result<(), String> {
        check(&self.outer.core, self.outer.moods.keys().copied()).map_err(|why| format!("outer: {why}"))?;
        match &self.inner {
            Some((_, inner)) => {
                check(&inner.core, inner.moods.keys().copied()).map_err(|why| format!("inner: {why}"))
            }
            None => Ok(()),
        }
    }

    /// From here on nothing goes wrong any more: all starts succeed, all orders are obeyed. Whether it came to its
    /// end, and not to a state of which that end is known.
    fn comes_to_rest(&mut self, known: &mut HashSet<u64>) -> bool {
        for _ in 0..200 {
            if !known.insert(self.fingerprint()) {
                return false;
            }
            match self.next_obedience() {
                Some(step) => self.make(step),
                None if self.delayed() => self.make(Move::TimePasses),
                None => return true,
            }
        }
        true
    }

    fn next_obedience(&self) -> Option<Move> {
        let outer = self.outer.moods.iter().map(|(&life, &mood)| (Level::Outer, life, mood));
        let inner = self.inner.iter().flat_map(|(_, node)| &node.moods);
        outer.chain(inner.map(|(&life, &mood)| (Level::Inner, life, mood))).find_map(|(level, life, mood)| {
            match mood {
                Mood::Starting if level == Level::Outer && life.key == INNER => None,
                Mood::Starting => Some(Move::Comes(level, life)),
                Mood::Up => None,
                Mood::Asked | Mood::Killed { .. } => Some(Move::Obeys(level, life)),
            }
        })
    }

    fn delayed(&self) -> bool {
        let nodes = [Some(&self.outer), self.inner.as_ref().map(|(_, node)| node)];
        let waits = |node: &&Node| {
            node.core.children().any(|(_, child)| matches!(child.phase, Phase::Delayed { .. }))
        };
        nodes.into_iter().flatten().any(|node| waits(&node))
    }

    fn is_at_rest(&self) -> bool {
        let quiet = |node: &Node| (node.ended || is_quiet(&node.core)) && node.unanswered == 0;
        quiet(&self.outer) && self.inner.as_ref().is_none_or(|(_, node)| quiet(node))
    }

    /// What tells two states apart, as far as anything that follows goes: not the names of callers, nor the hour.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let nodes = [Some(&self.outer), self.inner.as_ref().map(|(_, node)| node)];
        for node in nodes.into_iter().flatten() {
            let core = &node.core;
            let moods = node.moods.iter().map(|(life, mood)| (life.key, mood));
            moods.for_each(|mood| mood.hash(&mut hasher));
            (discriminant(&core.stage), core.window.ages(self.now), node.unanswered, node.ended)
                .hash(&mut hasher);
            hash_lane(&core.lane, self.now, &mut hasher);
            for (key, child) in core.children() {
                let stable = match &child.phase {
                    Phase::Up { since } => self.now - *since >= Duration::from_mins(1),
                    Phase::Stopping(stopping) => stopping.interrupted.is_some(),
                    Phase::Dead { reason, .. } => reason.is_clean(),
                    Phase::Down | Phase::Queued | Phase::Starting | Phase::Delayed { .. } => false,
                };
                let left = child.deadline.map(|deadline| deadline - self.now);
                (key, discriminant(&child.phase), stable, left, child.streak.failures()).hash(&mut hasher);
                hash_lane(&child.lane, self.now, &mut hasher);
            }
        }
        hasher.finish()
    }
}

fn hash_lane(lane: &Lane, now: Moment, hasher: &mut DefaultHasher) {
    if let Some(procedure) = &lane.procedure {
        let due = match &procedure.goal {
            Goal::Restart { due, trigger } => Some((*due - now, *trigger)),
            Goal::Boot | Goal::Start { .. } | Goal::Terminate { .. } | Goal::Close => None,
        };
        (&procedure.stops, &procedure.starts, discriminant(&procedure.goal), due).hash(hasher);
    }
    for work in &lane.waiting {
        discriminant(work).hash(hasher);
        match work {
            Work::Judge(key) | Work::Retry(key) => key.hash(hasher),
            Work::Serve { call, .. } => match call {
                Call::Start { settings, .. } => (0, &settings.id).hash(hasher),
                Call::Terminate { target: Target::Id(id) } => (1, id).hash(hasher),
                Call::Terminate { target: Target::Key(key) } => (2, key).hash(hasher),
                Call::Restart { id } => (3, id).hash(hasher),
                Call::Delete { id } => (4, id).hash(hasher),
            },
        }
    }
}

/// Searches all states within `DEPTH` events; how many there are.
fn search(outer: Strategy, inner: Strategy) -> usize {
    let start = Model::up(fixed(outer), fixed(inner));
    assert!(start.is_at_rest() && start.inner.is_some(), "it came up: {start:?}");
    let mut seen = HashSet::from([start.fingerprint()]);
    let mut proved = Proved::default();
    let mut frontier = vec![(start, Vec::new())];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for (model, before) in frontier {
            for step in model.moves() {
                let mut after = model.clone();
                after.make(step.clone());
                if !seen.insert(after.fingerprint()) {
                    continue;
                }
                let mut path: Vec<Move> = before.clone();
                path.push(step);
                after.check().unwrap_or_else(|why| panic!("{why}, after {path:#?}"));
                proved.prove(&after).unwrap_or_else(|why| panic!("{why}, after {path:#?}"));
                next.push((after, path));
            }
        }
        frontier = next;
    }
    seen.len()
}

/// States of which it is known what comes of them if nothing more goes wrong.
#[derive(Default)]
struct Proved {
    rests: HashSet<u64>,
    ends: HashSet<u64>,
}

impl Proved {
    fn prove(&mut self, model: &Model) -> Result<(), String> {
        let mut rested = model.clone();
        if rested.comes_to_rest(&mut self.rests) && !rested.is_at_rest() {
            return Err(format!("it never rests: {rested:?}"));
        }
        let mut stopped = model.clone();
        stopped.make(Move::Stops);
        let is_over =
            |model: &Model| model.outer.ended && model.outer.moods.is_empty() && model.inner.is_none();
        if stopped.comes_to_rest(&mut self.ends) && !is_over(&stopped) {
            return Err(format!("a stop does not end it: {stopped:?}"));
        }
        Ok(())
    }
}

fn search_below(outer: Strategy) {
    for inner in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let states = search(outer, inner);
        assert!(
            states > 20_000,
            "only {states} states of {outer:?} over {inner:?}: the search does not reach far"
        );
    }
}

#[test]
fn nothing_goes_wrong_in_small_trees_under_one_for_one() {
    search_below(Strategy::OneForOne);
}

#[test]
fn nothing_goes_wrong_in_small_trees_under_one_for_all() {
    search_below(Strategy::OneForAll);
}

#[test]
fn nothing_goes_wrong_in_small_trees_under_rest_for_one() {
    search_below(Strategy::RestForOne);
}
