//! The actors of a pit, found from outside: one that is linked to an actor of the test is below it in ractor's own tree.

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};

/// An actor of the test, for a pit to be linked to.
#[derive(Debug)]
pub struct Service(ActorRef<()>);

/// The actors of a pool. Their supervisor is the only child of the one that tries them again when it has given up.
#[derive(Debug)]
pub struct PoolActors {
    /// The one that the Starters are children of.
    pub starters: ActorCell,
    /// The session affinity.
    pub session_affinity: ActorCell,
    /// The pool itself.
    pub pool: ActorCell,
}

struct Idle;

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Idle {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

impl Service {
    /// Starts the actor.
    ///
    /// # Errors
    /// Where ractor cannot.
    pub async fn start() -> Result<Self, ractor::SpawnErr> {
        Ok(Self(Actor::spawn(None, Idle, ()).await?.0))
    }

    /// What a pit is linked to.
    pub fn cell(&self) -> ActorCell {
        self.0.get_cell()
    }

    /// The registry's actor; `None` between two of its lives.
    pub fn registry(&self) -> Option<ActorCell> {
        // Beside it there are only the supervisors of pools.
        self.below().into_iter().find(|child| child.get_children().is_empty())
    }

    /// The actors of the pools, in the order in which the pools were named; without one that is just being restarted.
    pub fn pools(&self) -> Vec<PoolActors> {
        self.below().iter().filter_map(pool_actors).collect()
    }

    fn below(&self) -> Vec<ActorCell> {
        in_order(&self.0.get_cell()).first().map(in_order).unwrap_or_default()
    }
}

/// Three start one after the other; whatever is started anew comes later, with all that stand after it.
fn pool_actors(supervisor: &ActorCell) -> Option<PoolActors> {
    let [starters, session_affinity, pool] = in_order(in_order(supervisor).first()?).try_into().ok()?;
    Some(PoolActors { starters, session_affinity, pool })
}

/// The children of an actor, the one that started first first.
fn in_order(parent: &ActorCell) -> Vec<ActorCell> {
    let mut children = parent.get_children();
    children.sort_by_key(ActorCell::get_id);
    children
}
