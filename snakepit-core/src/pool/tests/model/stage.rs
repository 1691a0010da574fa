//! The stage that a script is played on.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::adapter::scripted::{self, Scripted};
use crate::adapter::{AdapterFailure, AdapterMessage, StreamWindow};
use crate::config::{PoolOptions, RestartOptions};
use crate::error::{DrainError, ExecuteError, RecycleError};
use crate::pool::message::Life;
use crate::pool::tests::bench::{Bench, options};
use crate::pool::tests::model::callers::{Call, Heard, name};
use crate::pool::tests::model::sessions::Sessions;
use crate::pool::tests::model::workers::{Production, Sent, StreamTask, Task, Worker, pick};
use crate::pool::tests::model::{Boots, End, Setting, Step, Wish};
use crate::pool::{Drained, Permit, PoolStats};
use crate::worker::WorkerPhase;

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

    /// Lets time pass, and keeps book.
    async fn let_happen(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        while let Ok(end) = self.bench.lives.try_recv() {
            self.workers.push(Worker::new(end));
        }
        let ready = self.ready_lives().await;
        self.sessions.keep(&ready);
        for worker in 0..self.workers.len() {
            while self.workers[worker].end.has_more() {
                let message = self.workers[worker].end.next().await;
                self.hear(worker, message, &ready);
            }
            let (has, most) = (self.workers[worker].has.len(), self.setting.capacity + self.setting.prefetch);
            assert!(has <= usize::from(most), "a worker for {most} has {has}");
        }
        self.hear_answers(&ready).await;
        // Whoever waited for a place has used it by now.
        let held = self.bench.pool.shared().reservations.held();
        assert_eq!(held, self.permits.len(), "a place is held by nobody, or by two");
        self.see_off();
        self.hear_drains().await;
    }

    /// A worker is told something.
    fn hear(&mut self, worker: usize, message: AdapterMessage, ready: &HashSet<Life>) {
        let worker = &mut self.workers[worker];
        let (id, request, stream) = match message {
            AdapterMessage::Execute { id, request, .. } => (id, request, None),
            AdapterMessage::ExecuteStream { id, request, chunks, .. } => {
                (id, request, Some(Production::new(chunks)))
            }
            AdapterMessage::Credit { id, chunks, bytes } => return worker.credit(id, chunks, bytes),
            AdapterMessage::Cancel { id } => {
                let has = worker.cancel(id);
                assert!(has || self.was_killed, "{id} was cancelled where nobody has it");
                return;
            }
            AdapterMessage::EndSession { .. } => return,
            other => panic!("nobody asked for {other:?}"),
        };
        let call: usize = request.command.parse().unwrap();
        worker.has.push(Task { id, call, begun: false, is_cancelled: false, stream });
        let life = worker.life();
        let Call { wish, given, task, is_shut_out, .. } = &mut self.calls[call];
        assert!(task.is_some(), "nobody waits for it, and it runs");
        assert!(!*is_shut_out, "it came to a pool that was drained");
        given.to(life, *wish);
        if let Some(session) = wish.session {
            self.sessions.given(session, life, ready);
        }
    }

    /// The lives that take requests.
    async fn ready_lives(&self) -> HashSet<Life> {
        let workers = self.bench.pool.workers().await.unwrap_or_default();
        let ready = workers.into_iter().filter(|worker| worker.phase == WorkerPhase::Ready);
        ready.map(|worker| Life { slot: worker.slot, incarnation: worker.incarnation }).collect()
    }

    /// Workers that have left as they were asked to had nothing that anybody waits for.
    fn see_off(&mut self) {
        for mut worker in std::mem::take(&mut self.workers) {
            if !worker.end.has_left() {
                self.workers.push(worker);
                continue;
            }
            for task in worker.has {
                let call = &mut self.calls[task.call];
                // A reader that takes its time has not come to the end that its pool has told it.
                let is_told = task.is_cancelled || self.was_killed;
                let is_over = call.task.is_none() || call.wish.streams && is_told;
                assert!(is_over, "a worker left with a request that somebody waits for");
                call.given.now = None;
            }
        }
    }

    /// A pool that says that it is drained has nothing left to do.
    async fn hear_drains(&mut self) {
        let (ended, waiting): (Vec<_>, _) = self.drains.drain(..).partition(JoinHandle::is_finished);
        self.drains = waiting;
        for drain in ended {
            match drain.await.expect("a drain panicked") {
                Ok(_) => assert!(self.workers.iter().all(|w| w.has.is_empty()), "a drained pool is at work"),
                Err(DrainError::Resumed { .. }) => assert!(!self.is_draining, "nobody resumed it"),
                Err(DrainError::TimedOut { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }

    async fn hear_answers(&mut self, ready: &HashSet<Life>) {
        for number in 0..self.calls.len() {
            let Some(heard) = self.calls[number].hear(number).await else { continue };
            let Call { wish, has_place, .. } = self.calls[number];
            match heard {
                Err(ExecuteError::PoolRestarted { .. }) => {
                    assert!(self.was_killed, "the pool's own actors died of themselves");
                }
                // Which may have been the answer to the wish for a place.
                Err(ExecuteError::PoolFailed { .. } | ExecuteError::PoolDraining { .. }) => {
                    self.may_not_have_asked |= has_place;
                }
                Ok(_) | Err(_) => {}
            }
            match (wish.session, &heard) {
                (Some(session), Ok(Heard::Answer(response))) => {
                    if self.calls.iter().any(|call| call.is_unread_in(session)) {
                        self.sessions.may_begin_anew(session);
                    }
                    self.sessions.answered(session, response, ready);
                }
                (Some(session), Err(error)) => self.sessions.failed(session, error),
                (Some(_), Ok(Heard::Stream(_))) | (None, _) => {}
            }
        }
    }

    /// Workers answer whatever they have, until every caller has its answer and every place is free.
    pub(super) async fn end(mut self) {
        self.permits.clear();
        self.boot(Boots::Quick);
        self.resume().await;
        self.calls.iter().for_each(Call::read_all);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.calls.iter().any(|call| call.task.is_some())
            || self.changes.iter().any(|change| !change.is_finished())
            || self.workers.iter().any(|w| !w.has.is_empty())
            || !self.drains.is_empty()
        {
            assert!(tokio::time::Instant::now() < deadline, "somebody still waits");
            self.finish_streams().await;
            for worker in 0..self.workers.len() {
                self.answer(worker, 0);
            }
            self.let_happen(Duration::from_millis(10)).await;
        }
        for change in self.changes.drain(..) {
            change.await.expect("a change panicked");
        }
        let stats = self.calm_down().await;
        assert_eq!((stats.waiting, stats.stalls), (0, 0), "{stats:?}");
        if !self.was_killed {
            let calls = self.calls.len() as u64;
            assert!(
                stats.requests == calls || self.may_not_have_asked && stats.requests < calls,
                "{stats:?}"
            );
        }
        // Nothing falls out of the books, also where the pool was restarted.
        assert_eq!(stats.requests, stats.succeeded + stats.failed, "{stats:?}");
        let lives: HashSet<_> = self.workers.iter().map(Worker::life).collect();
        assert_eq!((lives.len(), self.workers.len()), (self.size.into(), self.size.into()));
        self.leaves_nothing_behind().await;
    }

    /// Every stream that is read goes on, however slow its reader was until now.
    async fn finish_streams(&mut self) {
        for worker in 0..self.workers.len() {
            for which in 0..self.workers[worker].has.len() {
                self.produce(worker, which, u8::MAX);
            }
        }
        self.let_happen(Duration::from_millis(1)).await;
        for task in self.workers.iter().flat_map(|worker| &worker.has) {
            let is_read = self.calls[task.call].task.is_some() && !task.is_cancelled;
            let has_credit = task.stream.as_ref().is_none_or(Production::has_credit);
            assert!(!is_read || has_credit, "all was taken, and no more may be sent");
        }
    }

    /// Waits until the pool is as it is to be, with nothing to do.
    async fn calm_down(&mut self) -> PoolStats {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let size = usize::from(self.size);
        loop {
            self.let_happen(Duration::from_millis(50)).await;
            let stats = self.bench.stats().await;
            if (stats.available, stats.total, stats.running) == (size, size, 0) {
                self.let_happen(Duration::from_millis(1)).await;
                return stats;
            }
            assert!(tokio::time::Instant::now() < deadline, "the pool never got there: {stats:?}");
        }
    }

    /// As many workers as in the beginning are as many tasks: actors, timers and whatever else.
    async fn leaves_nothing_behind(&mut self) {
        self.resize(self.setting.size).await;
        self.calm_down().await;
        // Every timer that was set has rung by then.
        self.let_happen(QUIET).await;
        assert_eq!(tasks(), self.tasks_at_rest, "tasks at rest");
    }
}

/// How many tasks live on this runtime.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}
