//! The stage that a script is played on: what each step does. What comes of it is heard in `hearing`, and held to account in `ending`.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::adapter::scripted::{self, Scripted};
use crate::adapter::{AdapterFailure, StreamWindow};
use crate::config::{PoolOptions, RestartOptions};
use crate::error::{DrainError, RecycleError};
use crate::pool::tests::bench::{Bench, options};
use crate::pool::tests::model::callers::{Call, name};
use crate::pool::tests::model::sessions::Sessions;
use crate::pool::tests::model::workers::{Production, Sent, StreamTask, Worker, pick};
use crate::pool::tests::model::{Boots, End, Setting, Step, Wish};
use crate::pool::{Drained, Permit};

mod ending;
mod hearing;

/// How long anything takes at most that nobody holds up: longer than the longest timeout and every rest.
const PATIENCE: Duration = Duration::from_mins(10);
/// When every timer has rung that nothing sets anew.
const QUIET: Duration = Duration::from_mins(2);
/// How many requests are declined at most: the worker that replaces one which has comes after a longer rest each time.
const DECLINES: u32 = 6;

pub(super) struct Stage {
    bench: Bench,
    boots: scripted::Boots,
    setting: Setting,
    calls: Vec<Call>,
    /// Places that are reserved and not used.
    permits: Vec<Permit>,
    workers: Vec<Worker>,
    sessions: Sessions,
    /// How many workers the pool is to have.
    size: u16,
    /// Those who asked for other workers.
    changes: Vec<JoinHandle<()>>,
    /// Those who wait until the pool has nothing left to do.
    drains: Vec<JoinHandle<Result<Drained, DrainError>>>,
    /// Whether the pool takes no requests.
    is_draining: bool,
    /// Whether one of the pool's own actors has died: then its counts begin anew.
    was_killed: bool,
    /// Whether a caller who waited for a place may not have come to ask.
    may_not_have_asked: bool,
    /// How many requests workers have declined.
    declines: u32,
    /// How many tasks there were in all when nothing had happened yet.
    tasks_at_rest: usize,
}

fn pool_options(setting: Setting) -> PoolOptions {
    options(|o| {
        (o.size, o.capacity, o.prefetch) = (setting.size, setting.capacity, setting.prefetch);
        (o.queue_limit, o.affinity) = (setting.queue_limit, setting.affinity);
        o.stream_window = StreamWindow { chunks: setting.window.0, bytes: setting.window.1 };
        // Scripted workers answer no ping, and their deaths are many.
        o.heartbeat.misses = u32::MAX;
        o.heartbeat.interval = Duration::from_mins(1);
        o.startup_timeout = Duration::from_secs(2);
        if !setting.gives_up {
            (o.restart.intensity, o.restart.consecutive) = (10_000, 10_000);
            // Nine deaths in a row would otherwise rest longer than the model waits.
            o.restart = RestartOptions { backoff_max: Duration::from_secs(1), ..o.restart.clone() };
        }
    })
}

impl Stage {
    pub(super) async fn build(setting: Setting) -> Self {
        let (adapter, boots) = Scripted::changing(setting.capacity, scripted::Boot::Ready);
        let bench = Bench::start_adapter(pool_options(setting), adapter).await;
        let mut stage = Self {
            bench,
            boots,
            setting,
            calls: Vec::new(),
            permits: Vec::new(),
            workers: Vec::new(),
            sessions: Sessions::new(setting.affinity),
            size: setting.size,
            changes: Vec::new(),
            drains: Vec::new(),
            is_draining: false,
            was_killed: false,
            may_not_have_asked: false,
            declines: 0,
            tasks_at_rest: 0,
        };
        // Every timer of the start has rung by then.
        stage.let_happen(QUIET).await;
        stage.tasks_at_rest = tasks();
        stage
    }

    pub(super) async fn play(&mut self, step: Step) {
        match step {
            Step::Ask(wish) => self.ask(wish, None),
            Step::Reserve => self.permits.extend(self.bench.pool.try_reserve()),
            Step::GiveBack(which) => drop(self.permit(which)),
            Step::Use(which, wish) => {
                if let Some(permit) = self.permit(which) {
                    self.ask(wish, Some(permit));
                }
            }
            Step::Leave(call) => self.leave(call),
            Step::Read { call, count } => {
                if let Some(call) = call.checked_rem(self.calls.len()) {
                    self.calls[call].read(count);
                }
            }
            Step::Answer { worker, which } => self.answer(worker, which),
            Step::Decline { worker, which } => self.decline(worker, which),
            Step::Begin { worker } => {
                if let Some(worker) = pick(&mut self.workers, worker) {
                    worker.begin();
                }
            }
            Step::Produce { worker, which, count } => self.produce(worker, which, count),
            Step::Crash { worker, end } => self.crash(worker, end),
            Step::EndSession(session) => self.end_session(session).await,
            Step::Resize(size) => self.resize(size).await,
            Step::Recycle { worker } => self.recycle(worker),
            Step::Tire { worker } => {
                if let Some(worker) = pick(&mut self.workers, worker) {
                    worker.end.reports.recycle("tired".to_owned());
                }
            }
            Step::RollingRestart => {
                let pool = self.bench.pool.clone();
                // What became of each worker depends on what else happens.
                self.changes.push(tokio::spawn(async move { drop(pool.rolling_restart().await) }));
            }
            Step::Drain => self.drain(),
            Step::Resume => self.resume().await,
            Step::Boots(boots) => self.boot(boots),
            Step::Pass { ms } => self.let_happen(Duration::from_millis(ms.into())).await,
            Step::KillPool => {
                self.bench.kill_pool().await;
                self.recover().await;
            }
            Step::KillSessionAffinity => {
                self.bench.kill_session_affinity().await;
                self.recover().await;
            }
            Step::KillStarters => {
                self.bench.kill_starters().await;
                self.recover().await;
            }
        }
        // Time stands still until everything that can happen has happened.
        self.let_happen(Duration::from_millis(1)).await;
    }

    /// Above the pool is a supervisor with a budget, which is not what is on trial here.
    async fn recover(&mut self) {
        self.was_killed = true;
        self.let_happen(Duration::from_secs(2)).await;
    }

    fn permit(&mut self, which: usize) -> Option<Permit> {
        which.checked_rem(self.permits.len()).map(|which| self.permits.swap_remove(which))
    }

    fn ask(&mut self, wish: Wish, permit: Option<Permit>) {
        let (pool, number) = (&self.bench.pool, self.calls.len());
        self.calls.push(Call::new(pool, number, wish, permit, self.is_draining));
    }

    fn leave(&mut self, call: usize) {
        let Some(call) = call.checked_rem(self.calls.len()).map(|call| &mut self.calls[call]) else { return };
        if call.leave() {
            self.may_not_have_asked |= call.has_place;
        }
    }

    fn answer(&mut self, worker: usize, which: usize) {
        let Some(worker) = pick(&mut self.workers, worker) else { return };
        let Some(task) = worker.answer(which) else { return };
        let given = &mut self.calls[task.call].given;
        (given.now, given.may_have_run) = (None, true);
        given.ended_after = task.stream.as_ref().map(Production::sent);
    }

    fn decline(&mut self, worker: usize, which: usize) {
        let Some(worker) = pick(&mut self.workers, worker).filter(|_| self.declines < DECLINES) else {
            return;
        };
        let Some(task) = worker.decline(which) else { return };
        self.declines += 1;
        self.calls[task.call].given.now = None;
    }

    fn produce(&mut self, worker: usize, which: usize, count: u8) {
        let Some(worker) = pick(&mut self.workers, worker) else { return };
        let Some(StreamTask { call, is_cancelled, stream }) = worker.stream(which) else { return };
        let (sent, has_sent) = (stream.produce(count), stream.sent() > 0);
        let Call { given, task, .. } = &mut self.calls[call];
        given.has_sent |= has_sent;
        // Its reader is there, and may not have read all that came before its end.
        let is_over = task.is_none() || is_cancelled || self.was_killed;
        assert!(sent == Sent::Taken || is_over, "its reader waits for more");
    }

    fn crash(&mut self, worker: usize, end: End) {
        let Some(worker) = worker.checked_rem(self.workers.len()) else { return };
        let worker = self.workers.swap_remove(worker);
        let tells = self.setting.prefetch > 0;
        for task in &worker.has {
            let given = &mut self.calls[task.call].given;
            given.now = None;
            given.may_have_run |= task.begun
                || match end {
                    End::HeardOut => !tells,
                    End::Unread => false,
                    End::Torn | End::Panic => true,
                };
        }
        self.sessions.lost(worker.life());
        worker.die(end);
    }

    fn recycle(&mut self, worker: usize) {
        let Some(worker) = pick(&mut self.workers, worker) else { return };
        let (pool, slot) = (self.bench.pool.clone(), worker.life().slot);
        self.changes.push(tokio::spawn(async move {
            // What else comes of it depends on what else happens.
            let answer = pool.recycle(slot).await;
            assert!(!matches!(answer, Err(RecycleError::NoRoom { .. })), "there are numbers enough");
        }));
    }

    fn drain(&mut self) {
        self.is_draining = true;
        let pool = self.bench.pool.clone();
        self.drains.push(tokio::spawn(async move { pool.drain(PATIENCE).await }));
    }

    async fn resume(&mut self) {
        self.is_draining = false;
        self.bench.pool.resume().await.unwrap();
    }

    async fn resize(&mut self, size: u16) {
        self.size = size;
        self.bench.pool.resize(size).await.unwrap();
    }

    fn boot(&self, boots: Boots) {
        self.boots.set(match boots {
            Boots::Quick => scripted::Boot::Ready,
            Boots::Slow => scripted::Boot::After(Duration::from_millis(700)),
            Boots::Failing => scripted::Boot::Fails(AdapterFailure::Disconnected),
            Boots::Hanging => scripted::Boot::Never,
        });
    }

    async fn end_session(&mut self, session: u8) {
        self.sessions.ended(session);
        let session_name = name(session);
        let known = self.bench.pool.end_session(&session_name);
        // Whether there is one is not the model's to say.
        let _ = tokio::time::timeout(PATIENCE, known).await.expect("ending a session hangs");
        // Requests that were on their way to its worker go on there.
        self.let_happen(Duration::from_millis(1)).await;
        self.sessions.ended(session);
    }
}

/// How many tasks live on this runtime.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}
