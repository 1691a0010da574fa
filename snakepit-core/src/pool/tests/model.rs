//! The pool against a simple model: whatever callers, workers and bad luck do in whatever order, every request is answered
//! exactly once, runs at most as often as it may, and nothing is left behind. A failure prints its shortest script.
//!
//! `PROPTEST_CASES=20000 cargo test -p snakepit-core --lib tests::model` plays more scripts than every run does, and
//! `PROPTEST_RNG_SEED` chooses which.

mod callers;
mod sessions;
mod stage;
mod workers;

use proptest::prelude::*;

use crate::config::Affinity;
use crate::pool::tests::model::stage::Stage;

/// One thing that happens. Numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(Wish),
    /// A caller stops waiting.
    Leave(usize),
    /// The reader of a stream takes up to so many chunks more.
    Read {
        call: usize,
        count: u8,
    },
    /// Somebody reserves a place and keeps it, if there is one.
    Reserve,
    /// A place that is kept is given back.
    GiveBack(usize),
    /// A request comes for a place that is kept.
    Use(usize, Wish),
    /// A worker answers one of the requests that it has, or ends the stream that it is.
    Answer {
        worker: usize,
        which: usize,
    },
    /// A worker declines one of the requests that it has, because it is about to leave.
    Decline {
        worker: usize,
        which: usize,
    },
    /// A worker says that it begins with the first of its requests.
    Begin {
        worker: usize,
    },
    /// A worker sends chunks of one of its streams, as far as it has credit.
    Produce {
        worker: usize,
        which: usize,
        count: u8,
    },
    Crash {
        worker: usize,
        end: End,
    },
    EndSession(u8),
    Resize(u16),
    /// Somebody asks for another worker in place of one.
    Recycle {
        worker: usize,
    },
    /// A worker asks for it itself.
    Tire {
        worker: usize,
    },
    RollingRestart,
    /// The pool takes no requests for a while.
    Drain,
    Resume,
    /// Workers boot in this way from now on.
    Boots(Boots),
    Pass {
        ms: u16,
    },
    KillPool,
    KillSessionAffinity,
    /// All Starters go at once, and every worker with them.
    KillStarters,
}

/// What a caller wants.
#[derive(Clone, Copy, Debug)]
struct Wish {
    session: Option<u8>,
    idempotent: bool,
    streams: bool,
    timeout_ms: u16,
    /// Whether the caller waits for a place first.
    in_turn: bool,
}

/// How a worker dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its wire was read to the end.
    HeardOut,
    /// What it said last may have been lost.
    Torn,
    /// The same, but it had read nothing of what it had not begun with.
    Unread,
    /// Its adapter's actor panics.
    Panic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Boots {
    Quick,
    Slow,
    Failing,
    Hanging,
}

/// The pool that a script is played on.
#[derive(Clone, Copy, Debug)]
struct Setting {
    size: u16,
    capacity: u16,
    prefetch: u16,
    queue_limit: usize,
    affinity: Affinity,
    /// The window of a stream, in chunks and in bytes.
    window: (u32, u32),
    /// Whether slots give up as they do by default, and not only after thousands of deaths.
    gives_up: bool,
}

fn wish() -> impl Strategy<Value = Wish> {
    let timeouts = prop_oneof![1 => 1u16..200, 3 => 5_000u16..30_000];
    let (in_turn, streams) = (prop::bool::weighted(0.25), prop::bool::weighted(0.3));
    (prop::option::of(0u8..3), any::<bool>(), streams, timeouts, in_turn).prop_map(
        |(session, idempotent, streams, timeout_ms, in_turn)| Wish {
            session,
            idempotent,
            streams,
            timeout_ms,
            in_turn,
        },
    )
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![3 => Just(End::HeardOut), 3 => Just(End::Torn), 3 => Just(End::Unread), 1 => Just(End::Panic)]
}

fn boots() -> impl Strategy<Value = Boots> {
    prop_oneof![4 => Just(Boots::Quick), 2 => Just(Boots::Slow), 1 => Just(Boots::Failing), 1 => Just(Boots::Hanging)]
}

fn step() -> impl Strategy<Value = Step> {
    let n = any::<usize>;
    prop_oneof![
        8 => wish().prop_map(Step::Ask),
        2 => n().prop_map(Step::Leave),
        3 => (n(), 0u8..12).prop_map(|(call, count)| Step::Read { call, count }),
        2 => Just(Step::Reserve),
        1 => n().prop_map(Step::GiveBack),
        1 => (n(), wish()).prop_map(|(which, wish)| Step::Use(which, wish)),
        6 => (n(), n()).prop_map(|(worker, which)| Step::Answer { worker, which }),
        1 => (n(), n()).prop_map(|(worker, which)| Step::Decline { worker, which }),
        4 => n().prop_map(|worker| Step::Begin { worker }),
        4 => (n(), n(), 0u8..12).prop_map(|(worker, which, count)| Step::Produce { worker, which, count }),
        2 => (n(), end()).prop_map(|(worker, end)| Step::Crash { worker, end }),
        1 => (0u8..3).prop_map(Step::EndSession),
        1 => (1u16..5).prop_map(Step::Resize),
        1 => n().prop_map(|worker| Step::Recycle { worker }),
        1 => n().prop_map(|worker| Step::Tire { worker }),
        1 => Just(Step::RollingRestart),
        1 => Just(Step::Drain),
        4 => Just(Step::Resume),
        1 => boots().prop_map(Step::Boots),
        2 => (0u16..3_000).prop_map(|ms| Step::Pass { ms }),
    ]
}

fn worse_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        18 => step(),
        1 => Just(Step::KillPool),
        1 => Just(Step::KillSessionAffinity),
        1 => Just(Step::KillStarters),
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    let affinities =
        [Affinity::Off, Affinity::Hint, Affinity::StrictQueue, Affinity::StrictFailFast].map(Just);
    let [off, hint, queue, fail_fast] = affinities;
    let affinity = prop_oneof![off, hint, queue, fail_fast];
    let window = (1u32..6, 1u32..20);
    (1u16..4, 1u16..3, 0u16..3, 0usize..6, affinity, window, prop::bool::weighted(0.3)).prop_map(
        |(size, capacity, prefetch, queue_limit, affinity, window, gives_up)| Setting {
            size,
            capacity,
            prefetch,
            queue_limit,
            affinity,
            window,
            gives_up,
        },
    )
}

fn play(setting: Setting, script: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let mut stage = Stage::build(setting).await;
        for step in script {
            stage.play(*step).await;
        }
        stage.end().await;
    });
}

/// As many scripts as every run plays, or more where that is asked for.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(300), ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn s24_every_request_is_answered_once_and_nothing_is_left(
        setting in setting(), script in prop::collection::vec(step(), 0..80),
    ) {
        play(setting, &script);
    }

    #[test]
    fn s28_the_same_holds_while_the_pools_own_actors_die(
        setting in setting(), script in prop::collection::vec(worse_step(), 0..60),
    ) {
        play(setting, &script);
    }
}
