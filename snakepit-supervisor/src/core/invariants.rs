//! What holds of a core after every step, whatever has happened.

use std::collections::BTreeSet;

use crate::core::child::{Child, Phase};
use crate::core::decision::{Group, group};
use crate::core::lane::{Goal, Lane, Procedure};
use crate::core::message::{ChildKey, Kind, Life};
use crate::core::step::{Core, Stage};
use crate::explain::LifeCause;

/// Checks a core against the lives that the world holds for it.
pub(super) fn check(core: &Core, live: impl IntoIterator<Item = Life>) -> Result<(), String> {
    let live: Vec<Life> = live.into_iter().collect();
    one_life_each(core, &live)?;
    ids_are_unique(core)?;
    window_is_bounded(core)?;
    stops_are_one_by_one(core)?;
    every_start_has_a_cause(core)?;
    for (key, child) in core.children() {
        phase_has_a_way_out(core, key, child, &live)?;
    }
    lanes_have_a_way_out(core)
}

/// Never two live incarnations of one child.
fn one_life_each(core: &Core, live: &[Life]) -> Result<(), String> {
    let mut keys = BTreeSet::new();
    for life in live {
        ensure(keys.insert(life.key), || format!("two lives of {:?}", life.key))?;
        let child = core.child(life.key).ok_or_else(|| format!("{life:?} lives, and is nobody's child"))?;
        ensure(child.incarnation == life.incarnation, || format!("{life:?} lives, but is a former life"))?;
    }
    Ok(())
}

fn ids_are_unique(core: &Core) -> Result<(), String> {
    let mut ids = BTreeSet::new();
    let is_static = matches!(core.kind(), Kind::Static(_));
    core.children().try_for_each(|(_, child)| {
        ensure(!is_static || ids.insert(child.settings.id.clone()), || {
            format!("two of {}", child.settings.id)
        })
    })
}

/// At most one more than the intensity is ever counted, and then the supervisor ends.
fn window_is_bounded(core: &Core) -> Result<(), String> {
    let (counted, limit) = (core.window.counted(), core.config.policy.intensity.limit as usize);
    let over = counted > limit;
    ensure(counted <= limit + 1, || format!("{counted} counted, with {limit} allowed"))?;
    ensure(!over || core.is_closing(), || format!("{counted} counted, with {limit} allowed, and it goes on"))
}

/// Children that are tied together are stopped one after the other.
fn stops_are_one_by_one(core: &Core) -> Result<(), String> {
    if group(core.kind()) == Group::Alone {
        return Ok(());
    }
    let stopping = core.children().filter(|(_, child)| matches!(child.phase, Phase::Stopping(_))).count();
    ensure(stopping <= 1, || format!("{stopping} are being stopped at once"))
}

fn every_start_has_a_cause(core: &Core) -> Result<(), String> {
    for (key, child) in core.children() {
        for life in &child.lives {
            let caused = match &life.cause {
                LifeCause::Boot => life.incarnation == 1,
                LifeCause::Request => true,
                LifeCause::Restart(incident) => {
                    incident.trigger == child.settings.id || group(core.kind()) != Group::Alone
                }
            };
            ensure(caused, || format!("life {} of {key:?} has no cause", life.incarnation))?;
        }
        let last = child.lives.last().map_or(0, |life| life.incarnation);
        ensure(last == child.incarnation, || format!("{key:?} has a life that is not recorded"))?;
    }
    Ok(())
}

fn phase_has_a_way_out(core: &Core, key: ChildKey, child: &Child, live: &[Life]) -> Result<(), String> {
    let lives = live.contains(&child.life(key));
    let way_out = match &child.phase {
        // A call, or a group that it belongs to.
        Phase::Down => !lives,
        Phase::Queued => !lives && core.slots.is_full(core.config.max_concurrent_starts),
        Phase::Starting | Phase::Up { .. } => lives,
        // Judged by its lane.
        Phase::Dead { .. } => !lives && (core.is_closing() || is_busy(core, key)),
        Phase::Delayed { due } => !lives && child.deadline == Some(*due) || is_busy(core, key),
        Phase::Stopping(_) => lives,
    };
    ensure(way_out, || format!("{key:?} is stuck in {:?}", child.phase))
}

fn is_busy(core: &Core, key: ChildKey) -> bool {
    let busy = |lane: &Lane| lane.procedure.is_some() || !lane.waiting.is_empty();
    busy(&core.lane) || core.child(key).is_some_and(|child| busy(&child.lane))
}

/// A lane that is not empty waits for a child that is on its way.
fn lanes_have_a_way_out(core: &Core) -> Result<(), String> {
    let lanes = core.children().map(|(_, child)| &child.lane).chain([&core.lane]);
    for lane in lanes {
        match &lane.procedure {
            Some(procedure) => {
                let waits = waits_for(core, procedure);
                ensure(waits, || format!("a procedure waits for nothing: {procedure:?}"))?;
            }
            None => {
                ensure(lane.waiting.is_empty(), || "work waits in a lane where nothing goes on".to_owned())?;
            }
        }
    }
    match core.stage {
        Stage::Ended => {
            ensure(core.lane.procedure.is_none(), || "it ended in the middle of something".to_owned())
        }
        Stage::Closing(_) => {
            let closing = core.lane.procedure.as_ref().is_some_and(|p| matches!(p.goal, Goal::Close));
            ensure(closing, || "it closes, and does nothing about it".to_owned())
        }
        Stage::New | Stage::Booting | Stage::Open => Ok(()),
    }
}

fn waits_for(core: &Core, procedure: &Procedure) -> bool {
    let next = procedure.stops.last().or(procedure.starts.front());
    let phase = next.and_then(|&key| core.child(key)).map(|child| &child.phase);
    matches!(phase, Some(Phase::Queued | Phase::Starting | Phase::Stopping(_)))
}

/// Whether nothing more will happen by itself: what the world owes the core is all delivered.
pub(super) fn is_quiet(core: &Core) -> bool {
    core.children().all(|(key, child)| {
        matches!(child.phase, Phase::Down | Phase::Up { .. } | Phase::Delayed { .. }) && !is_busy(core, key)
    })
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
