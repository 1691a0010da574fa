//! What supervision costs, as ratios to a bare ractor actor: `cargo bench -p snakepit-supervisor`.
//!
//! Rounds of all contestants are interleaved, and a ratio is the median of the rounds' ratios. Memory is measured in a
//! process for each contestant, as the growth of its resident set.

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use snakepit_supervisor::{
    ChildSpec, DynamicSupervisorSpec, RestartIntensity, RestartPolicy, StarterSpec, SupervisorSpec,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

/// How many children are started and stopped.
const MANY: u32 = 10_000;
const ROUNDS: usize = 7;

/// An actor that does nothing.
struct Idle;

enum Nothing {}

#[cfg(feature = "cluster")]
impl ractor::Message for Nothing {}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Idle {
    type Msg = Nothing;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Nothing>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Nothing>,
        event: ractor::SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        black_box(event);
        Ok(())
    }
}

fn idle(id: impl Into<String>) -> ChildSpec {
    ChildSpec::worker(id.into(), || (Idle, ()))
}

fn patient() -> RestartPolicy {
    RestartPolicy::otp(RestartIntensity { limit: u32::MAX, period: Duration::from_secs(1) })
}

async fn bare() -> ActorCell {
    Actor::spawn(None, Idle, ()).await.expect("it starts").0.get_cell()
}

/// Times of one round, each for `MANY` children, or for one replacement.
#[derive(Clone, Copy, Default)]
struct Times {
    start: Duration,
    stop: Duration,
}

/// Bare actors, linked to one parent, stopped one after the other and waited for.
async fn linked_round() -> Times {
    let parent = bare().await;
    let began = Instant::now();
    let mut children = Vec::new();
    for _ in 0..MANY {
        children.push(Actor::spawn_linked(None, Idle, (), parent.clone()).await.expect("it starts").0);
    }
    let start = began.elapsed();
    let began = Instant::now();
    for child in &children {
        child.stop(None);
        child.wait(None).await.expect("no limit");
    }
    let stop = began.elapsed();
    parent.stop(None);
    parent.wait(None).await.expect("no limit");
    Times { start, stop }
}

async fn dynamic_round() -> Times {
    let sup = DynamicSupervisorSpec::new("sup").start().await.expect("it starts");
    let began = Instant::now();
    for _ in 0..MANY {
        sup.start_child(idle("child")).await.expect("it starts");
    }
    let start = began.elapsed();
    let began = Instant::now();
    sup.stop(None);
    sup.wait(None).await.expect("no limit");
    Times { start, stop: began.elapsed() }
}

async fn static_round() -> Times {
    let spec = (0..MANY).fold(SupervisorSpec::new("sup"), |spec, nth| spec.child(idle(nth.to_string())));
    let began = Instant::now();
    let sup = spec.start().await.expect("it starts");
    let start = began.elapsed();
    let began = Instant::now();
    sup.stop(None);
    sup.wait(None).await.expect("no limit");
    Times { start, stop: began.elapsed() }
}

/// From a kill to the moment when a handle finds the successor; the median of many.
async fn replacement() -> Duration {
    let child = idle("child");
    let mut handle = child.handle();
    let sup = SupervisorSpec::new("sup").policy(patient()).child(child).start().await.expect("it starts");
    let mut cell = handle.up().await.expect("it is up");
    let mut times = Vec::new();
    for _ in 0..1_000 {
        let began = Instant::now();
        cell.kill();
        while handle.cell().as_ref().is_none_or(|now| *now == cell) {
            handle.changed().await;
        }
        times.push(began.elapsed());
        cell = handle.cell().expect("it is up");
    }
    sup.stop(None);
    sup.wait(None).await.expect("no limit");
    median(times)
}

/// What the same would cost with nobody to decide: a kill, a wait, a spawn.
async fn bare_replacement() -> Duration {
    let mut cell = bare().await;
    let mut times = Vec::new();
    for _ in 0..1_000 {
        let began = Instant::now();
        cell.kill();
        cell.wait(None).await.expect("no limit");
        cell = bare().await;
        times.push(began.elapsed());
    }
    median(times)
}

fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).expect("no value is not a number"));
    values[values.len() / 2]
}

fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().expect("a runtime starts")
}

fn speed(threads: usize) {
    let runtime = runtime(threads);
    let on = if threads == 1 { "one thread".to_owned() } else { format!("{threads} threads") };
    let run = |work: fn() -> std::pin::Pin<Box<dyn Future<Output = Times> + Send>>| {
        runtime.block_on(async { tokio::spawn(work()).await.expect("no panic") })
    };
    let mut rounds: Vec<[Times; 3]> = Vec::new();
    for _ in 0..ROUNDS {
        let linked = run(|| Box::pin(linked_round()));
        let dynamic = run(|| Box::pin(dynamic_round()));
        let fixed = run(|| Box::pin(static_round()));
        rounds.push([linked, dynamic, fixed]);
    }
    for (name, pick) in
        [("start", (|times| times.start) as fn(&Times) -> Duration), ("stop", |times| times.stop)]
    {
        for (nth, who) in ["linked by hand", "dynamic", "static"].into_iter().enumerate() {
            let each = median(rounds.iter().map(|round| pick(&round[nth]).as_secs_f64()).collect());
            let ratio = median(
                rounds
                    .iter()
                    .map(|round| pick(&round[nth]).as_secs_f64() / pick(&round[0]).as_secs_f64())
                    .collect(),
            );
            let micros = each / f64::from(MANY) * 1e6;
            println!("| {name} of 10,000, {who}, {on} | {micros:.2} us each | {ratio:.2} |");
        }
    }
    let pairs: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|_| {
            let time = |work: std::pin::Pin<Box<dyn Future<Output = Duration> + Send>>| {
                runtime.block_on(async { tokio::spawn(work).await.expect("no panic") }).as_secs_f64()
            };
            (time(Box::pin(bare_replacement())), time(Box::pin(replacement())))
        })
        .collect();
    let bare = median(pairs.iter().map(|pair| pair.0).collect()) * 1e6;
    let ours = median(pairs.iter().map(|pair| pair.1).collect()) * 1e6;
    let ratio = median(pairs.iter().map(|pair| pair.1 / pair.0).collect());
    println!("| kill, wait and spawn by hand, {on} | {bare:.1} us | 1.00 |");
    println!("| kill to replacement, {on} | {ours:.1} us | {ratio:.2} |");
}

/// The resident set of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}

/// One contestant's memory, in a process of its own.
async fn memory_of(who: &str) -> u64 {
    let mut kept: Vec<Box<dyn std::any::Any>> = Vec::new();
    let parent = bare().await;
    let dynamic = DynamicSupervisorSpec::new("sup").start().await.expect("it starts");
    let before = resident();
    match who {
        "linked by hand" => {
            for _ in 0..MANY {
                let child = Actor::spawn_linked(None, Idle, (), parent.clone()).await.expect("it starts").0;
                kept.push(Box::new(child));
            }
        }
        "dynamic" => {
            for _ in 0..MANY {
                dynamic.start_child(idle("child")).await.expect("it starts");
            }
        }
        "static" => {
            let spec =
                (0..MANY).fold(SupervisorSpec::new("sup"), |spec, nth| spec.child(idle(nth.to_string())));
            kept.push(Box::new(spec.start().await.expect("it starts")));
        }
        _ => {
            for _ in 0..MANY {
                let starter = StarterSpec::new("starter", idle("child"), RestartPolicy::default());
                dynamic.start_child(starter.into_child()).await.expect("it starts");
            }
        }
    }
    let grown = resident().saturating_sub(before) / u64::from(MANY);
    black_box(kept);
    grown
}

fn memory() {
    let me = std::env::current_exe().expect("the bench knows itself");
    let mut first = 0.0;
    for who in ["linked by hand", "dynamic", "static", "starter and child"] {
        let output = Command::new(&me).args(["memory-of", who]).output().expect("it runs again");
        let text = String::from_utf8(output.stdout).expect("a number");
        let bytes: f64 = text.trim().parse().expect("a number");
        first = if first == 0.0 { bytes } else { first };
        println!("| memory per child, {who} | {bytes:.0} B | {:.2} |", bytes / first);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, who] = &arguments[..]
        && command == "memory-of"
    {
        println!("{}", runtime(1).block_on(memory_of(who)));
        return;
    }
    println!("| what | figure | ratio to by hand |");
    println!("|---|---|---|");
    speed(1);
    speed(2);
    memory();
}
