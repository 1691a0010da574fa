//! A tree of real actors under a thousand random blows: never two lives of one child, and nothing left at the end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, ActorStatus};
use snakepit_supervisor::{
    Backoff, ChildSpec, DynamicSupervisorRef, DynamicSupervisorSpec, Restart, RestartIntensity,
    RestartPolicy, Shutdown, StarterSpec, Strategy, SupervisorRef, SupervisorSpec,
};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

const ROUNDS: u32 = 1_000;
const STARTERS: u64 = 6;
const FOR_EVER: Duration = Duration::from_mins(1);

/// Who lives, and who ever lived. Clones share it.
#[derive(Clone, Default)]
struct Census(Arc<Mutex<Register>>);

#[derive(Default)]
struct Register {
    living: HashMap<String, u32>,
    cells: Vec<(String, ActorCell)>,
    doubles: Vec<String>,
}

impl Census {
    fn born(&self, id: &str, cell: ActorCell) -> Birth {
        let mut register = self.0.lock().expect("nobody panics while holding it");
        let living = register.living.entry(id.to_owned()).or_default();
        *living += 1;
        if *living > 1 {
            register.doubles.push(id.to_owned());
        }
        register.cells.push((id.to_owned(), cell));
        Birth { census: self.clone(), id: id.to_owned() }
    }

    fn random_living(&self, chance: &mut Chance) -> Option<ActorCell> {
        let mut register = self.0.lock().expect("nobody panics while holding it");
        register.cells.retain(|(_, cell)| cell.get_status() < ActorStatus::Stopped);
        let cells = &register.cells;
        (!cells.is_empty()).then(|| cells[chance.below(cells.len() as u64)].1.clone())
    }

    fn doubles(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics while holding it").doubles.clone()
    }

    fn living(&self) -> u32 {
        self.0.lock().expect("nobody panics while holding it").living.values().sum()
    }
}

/// Held by an actor's handler: the life is over when that is dropped.
struct Birth {
    census: Census,
    id: String,
}

impl Drop for Birth {
    fn drop(&mut self) {
        let mut register = self.census.0.lock().expect("nobody panics while holding it");
        *register.living.get_mut(&self.id).expect("it was born") -= 1;
    }
}

/// A seeded chance: the same blows in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % end).expect("a small number")
    }
}

/// A worker that can be hurt in several ways.
struct Victim {
    id: String,
    census: Census,
    birth: Mutex<Option<Birth>>,
    stop_delay: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Blow {
    Err,
    Panic,
    Leave,
    /// Keeps its handler for a while.
    Linger,
}

#[cfg(feature = "cluster")]
impl ractor::Message for Blow {}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Victim {
    type Msg = Blow;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Blow>, (): ()) -> Result<(), ActorProcessingErr> {
        let birth = self.census.born(&self.id, myself.get_cell());
        *self.birth.lock().expect("nobody panics while holding it") = Some(birth);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Blow>,
        blow: Blow,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match blow {
            Blow::Err => return Err("a blow".into()),
            Blow::Panic => panic!("a blow"),
            Blow::Leave => myself.stop(None),
            Blow::Linger => sleep(Duration::from_millis(3)).await,
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Blow>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        sleep(self.stop_delay).await;
        Ok(())
    }
}

fn victim(id: &str, census: &Census) -> ChildSpec {
    let (id, census) = (id.to_owned(), census.clone());
    // Some stop in time, some have to be killed.
    let stop_delay = Duration::from_millis(id.len() as u64 % 3 * 3);
    ChildSpec::worker(id.clone(), move || {
        (Victim { id: id.clone(), census: census.clone(), birth: Mutex::default(), stop_delay }, ())
    })
    .shutdown(Shutdown::Timeout(Duration::from_millis(5)))
}

/// Patience without end: the tree is to live through all of it.
fn patient() -> RestartPolicy {
    let intensity = RestartIntensity { limit: u32::MAX, period: Duration::from_secs(1) };
    let backoff =
        Backoff { base: Duration::from_millis(1), max: Duration::from_millis(4), ..Backoff::default() };
    RestartPolicy { consecutive_limit: None, backoff: Some(backoff), ..RestartPolicy::otp(intensity) }
}

struct Tree {
    root: SupervisorRef,
    group: SupervisorRef,
    slots: DynamicSupervisorRef,
    census: Census,
}

impl Tree {
    async fn plant(census: &Census) -> Self {
        let group = SupervisorSpec::new("group").strategy(Strategy::OneForAll).policy(patient());
        let group = ["a", "bb", "ccc"].into_iter().fold(group, |group, id| group.child(victim(id, census)));
        let slots = DynamicSupervisorSpec::new("slots").policy(patient()).max_concurrent_starts(2);
        let (group_ref, slots_ref) = (group.handle(), slots.handle());
        let root = SupervisorSpec::new("root").strategy(Strategy::RestForOne).policy(patient());
        let root = root.child(group.into_child()).child(slots.into_child()).child(victim("last", census));
        let root = root.seed(7).start().await.expect("it starts");
        Self { root, group: group_ref, slots: slots_ref, census: census.clone() }
    }

    async fn round(&self, chance: &mut Chance) {
        let hurt = |chance: &mut Chance, blow| {
            if let Some(cell) = self.census.random_living(chance) {
                // It may have died of something else meanwhile.
                _ = ActorRef::<Blow>::from(cell).cast(blow);
            }
        };
        let id = ["a", "bb", "ccc"][chance.below(3)];
        // What a call answers depends on what was hurt before; that it answers at all is what counts.
        match chance.below(14) {
            0..=2 => {
                if let Some(cell) = self.census.random_living(chance) {
                    cell.kill();
                }
            }
            3 => hurt(chance, Blow::Err),
            4 => hurt(chance, Blow::Panic),
            5 => hurt(chance, Blow::Leave),
            6 => hurt(chance, Blow::Linger),
            7 => kill(self.group.cell()),
            8 => kill(self.slots.cell()),
            9 => _ = self.group.terminate_child(id).await,
            10 => _ = self.group.restart_child(id).await,
            11 | 12 => self.fill_a_slot(chance.below(STARTERS)).await,
            _ => {
                let slot = format!("s{}", chance.below(STARTERS));
                _ = self.slots.terminate_child(slot.as_str()).await;
            }
        }
        sleep(Duration::from_millis(chance.below(4) as u64)).await;
    }

    /// A starter for a slot that has none.
    async fn fill_a_slot(&self, nth: usize) {
        let id = format!("s{nth}");
        if let Ok(None) = self.slots.which_child(id.as_str()).await {
            let worker = victim(&format!("w{}", "x".repeat(nth)), &self.census);
            _ = self.slots.start_child(StarterSpec::new(id, worker, patient()).into_child()).await;
        }
    }

    async fn fell(self) {
        self.root.stop(None);
        self.root.wait(Some(FOR_EVER)).await.expect("it ends");
    }
}

fn kill(cell: Option<ActorCell>) {
    if let Some(cell) = cell {
        cell.kill();
    }
}

/// A thousand backtraces of panics that were asked for help nobody.
fn silence_blows() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref::<&str>() != Some(&"a blow") {
            print(panic);
        }
    }));
}

async fn storm() {
    silence_blows();
    let before = Handle::current().metrics().num_alive_tasks();
    let census = Census::default();
    let tree = Tree::plant(&census).await;
    let mut chance = Chance(0x5eed);
    for round in 0..ROUNDS {
        let ended = timeout(FOR_EVER, tree.round(&mut chance)).await;
        assert!(ended.is_ok(), "round {round} hangs: {:?}", tree.root.snapshot().await);
        assert_eq!(census.doubles(), [""; 0], "in round {round}");
        let tree = tree.root.snapshot().await.expect("the root lives through all of it");
        assert!(tree.children.len() == 3, "{tree}");
    }
    // Once the blows end, everything heals.
    sleep(Duration::from_secs(1)).await;
    let healed = tree.root.snapshot().await.expect("it runs").to_string();
    assert!(!healed.contains("starting") && !healed.contains("stopping"), "{healed}");
    tree.fell().await;
    let left = async {
        while census.living() > 0 || Handle::current().metrics().num_alive_tasks() > before {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let alive = || Handle::current().metrics().num_alive_tasks();
    assert!(
        timeout(FOR_EVER, left).await.is_ok(),
        "{} actors and {} tasks left",
        census.living(),
        alive() - before
    );
    assert_eq!(census.doubles(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_tree_survives_a_thousand_blows_in_virtual_time() {
    storm().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_survives_a_thousand_blows_on_two_threads() {
    storm().await;
}

/// An actor that leaves as soon as it is up.
struct Mayfly(Arc<AtomicU32>);

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Mayfly {
    type Msg = Blow;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Blow>, (): ()) -> Result<(), ActorProcessingErr> {
        self.0.fetch_add(1, Ordering::SeqCst);
        myself.stop(None);
        Ok(())
    }
}

/// ractor tells of a death on one way, the task of the dead actor on another, while the supervisor may be busy with
/// something else: whichever is seen first, the reason must not be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_clean_end_is_ever_taken_for_a_failure() {
    const MAYFLIES: u32 = 20_000;
    let lives = Arc::new(AtomicU32::new(0));
    let sup = DynamicSupervisorSpec::new("sup").start().await.expect("it starts");
    for _ in 0..MAYFLIES {
        let lives = Arc::clone(&lives);
        let child = ChildSpec::worker("mayfly", move || (Mayfly(Arc::clone(&lives)), ()));
        sup.start_child(child.restart(Restart::Transient)).await.expect("it starts");
    }
    let gone = async {
        while sup.count_children().await.expect("four failures would have ended it").specs > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(FOR_EVER, gone).await.is_ok(), "{:?}", sup.count_children().await);
    assert_eq!(lives.load(Ordering::SeqCst), MAYFLIES, "none was restarted");
}
