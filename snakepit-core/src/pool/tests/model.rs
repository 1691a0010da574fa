//! The pool against a simple model: whatever callers, workers and bad luck do in whatever order, every request is answered
//! exactly once, runs at most as often as it may, and nothing is left behind. A failure prints its shortest script.

mod stage;

use proptest::prelude::*;

use crate::config::Affinity;
use crate::pool::tests::model::stage::Stage;

/// One thing that happens. Numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(Wish),
    /// A caller stops waiting.
    Leave(usize),
    /// Somebody reserves a place and keeps it, if there is one.
    Reserve,
    /// A place that is kept is given back.
    GiveBack(usize),
    /// A request comes for a place that is kept.
    Use(usize, Wish),
    /// A worker answers one of the requests that it has.
    Answer {
        worker: usize,
        which: usize,
    },
    /// A worker says that it begins with the first of its requests.
    Begin {
        worker: usize,
    },
    /// A worker dies; `heard_out`: its wire was read to the end.
    Crash {
        worker: usize,
        heard_out: bool,
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
    Pass {
        ms: u16,
    },
    KillPool,
    KillSessionAffinity,
}

/// What a caller wants.
#[derive(Clone, Copy, Debug)]
struct Wish {
    session: Option<u8>,
    idempotent: bool,
    timeout_ms: u16,
    /// Whether the caller waits for a place first.
    in_turn: bool,
}

/// The pool that a script is played on.
#[derive(Clone, Copy, Debug)]
struct Setting {
    size: u16,
    capacity: u16,
    prefetch: u16,
    queue_limit: usize,
    affinity: Affinity,
}

fn wish() -> impl Strategy<Value = Wish> {
    let timeouts = prop_oneof![1 => 1u16..200, 3 => 5_000u16..30_000];
    let in_turn = prop::bool::weighted(0.25);
    (prop::option::of(0u8..3), any::<bool>(), timeouts, in_turn).prop_map(
        |(session, idempotent, timeout_ms, in_turn)| Wish { session, idempotent, timeout_ms, in_turn },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => wish().prop_map(Step::Ask),
        2 => any::<usize>().prop_map(Step::Leave),
        2 => Just(Step::Reserve),
        1 => any::<usize>().prop_map(Step::GiveBack),
        1 => (any::<usize>(), wish()).prop_map(|(which, wish)| Step::Use(which, wish)),
        6 => (any::<usize>(), any::<usize>()).prop_map(|(worker, which)| Step::Answer { worker, which }),
        4 => any::<usize>().prop_map(|worker| Step::Begin { worker }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(worker, heard_out)| Step::Crash { worker, heard_out }),
        1 => (0u8..3).prop_map(Step::EndSession),
        1 => (1u16..5).prop_map(Step::Resize),
        1 => any::<usize>().prop_map(|worker| Step::Recycle { worker }),
        1 => any::<usize>().prop_map(|worker| Step::Tire { worker }),
        1 => Just(Step::RollingRestart),
        2 => (0u16..3_000).prop_map(|ms| Step::Pass { ms }),
    ]
}

fn worse_step() -> impl Strategy<Value = Step> {
    prop_oneof![12 => step(), 1 => Just(Step::KillPool), 1 => Just(Step::KillSessionAffinity)]
}

fn setting() -> impl Strategy<Value = Setting> {
    let affinities =
        [Affinity::Off, Affinity::Hint, Affinity::StrictQueue, Affinity::StrictFailFast].map(Just);
    let [off, hint, queue, fail_fast] = affinities;
    let affinity = prop_oneof![off, hint, queue, fail_fast];
    (1u16..4, 1u16..3, 0u16..3, 0usize..6, affinity).prop_map(
        |(size, capacity, prefetch, queue_limit, affinity)| Setting {
            size,
            capacity,
            prefetch,
            queue_limit,
            affinity,
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

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
