//! The stage that a script is played on: callers that count their answers, workers that keep book of what they were given.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;

use crate::adapter::scripted::ScriptedLife;
use crate::adapter::{AdapterFailure, AdapterMessage};
use crate::config::{Affinity, RestartOptions};
use crate::error::ExecuteError;
use crate::id::{RequestId, SessionId};
use crate::pool::message::Life;
use crate::pool::tests::bench::{Bench, options, request};
use crate::pool::tests::model::{Setting, Step, Wish};
use crate::pool::{Permit, PoolStats, Response};
use crate::worker::WorkerPhase;

/// How long anything takes at most that nobody holds up: longer than the longest timeout and every rest.
const PATIENCE: Duration = Duration::from_mins(2);

pub(super) struct Stage {
    bench: Bench,
    setting: Setting,
    calls: Vec<Call>,
    /// Places that are reserved and not used.
    permits: Vec<Permit>,
    workers: Vec<Worker>,
    /// Which living worker the model last saw a session on.
    sessions: BTreeMap<u8, Life>,
    /// How many workers the pool is to have.
    size: u16,
    /// Those who asked for other workers.
    changes: Vec<JoinHandle<()>>,
    /// Whether one of the pool's own actors has died: then its counts begin anew.
    was_killed: bool,
    /// Whether a caller has left who may not have come to ask.
    left_in_turn: bool,
}

struct Call {
    wish: Wish,
    /// Whether it has a place, and must not be refused for want of one.
    has_place: bool,
    /// `None` once it has ended, or its caller has left.
    task: Option<JoinHandle<Result<Response, ExecuteError>>>,
    given: Given,
}

/// How often workers were given a request.
#[derive(Default)]
struct Given {
    times: usize,
    /// The worker that has it now.
    now: Option<Life>,
    /// Whether it may have run: a worker had it that was not known to have left it alone.
    may_have_run: bool,
}

struct Worker {
    end: ScriptedLife,
    has: Vec<Task>,
}

struct Task {
    id: RequestId,
    call: usize,
    begun: bool,
}

impl Worker {
    fn life(&self) -> Life {
        Life::from(&self.end.life)
    }
}

impl Stage {
    pub(super) async fn build(setting: Setting) -> Self {
        let bench = Bench::start(options(|o| {
            (o.size, o.capacity, o.prefetch) = (setting.size, setting.capacity, setting.prefetch);
            (o.queue_limit, o.affinity) = (setting.queue_limit, setting.affinity);
            // Scripted workers answer no ping, and their deaths are many.
            o.heartbeat.misses = u32::MAX;
            o.restart = RestartOptions {
                intensity: 10_000,
                consecutive: 10_000,
                // Nine deaths in a row would otherwise rest longer than the model waits.
                backoff_max: Duration::from_secs(1),
                ..RestartOptions::default()
            };
        }))
        .await;
        let mut stage = Self {
            bench,
            setting,
            calls: Vec::new(),
            permits: Vec::new(),
            workers: Vec::new(),
            sessions: BTreeMap::new(),
            size: setting.size,
            changes: Vec::new(),
            was_killed: false,
            left_in_turn: false,
        };
        stage.let_happen(Duration::from_millis(1)).await;
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
            Step::Answer { worker, which } => self.answer(worker, which),
            Step::Begin { worker } => self.begin(worker),
            Step::Crash { worker, heard_out } => self.crash(worker, heard_out),
            Step::EndSession(session) => self.end_session(session).await,
            Step::Resize(size) => {
                self.size = size;
                self.bench.pool.resize(size).await.unwrap();
            }
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
            Step::Pass { ms } => self.let_happen(Duration::from_millis(ms.into())).await,
            Step::KillPool => {
                self.bench.kill_pool().await;
                self.recover().await;
            }
            Step::KillSessionAffinity => {
                self.bench.kill_session_affinity().await;
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
        let mut asked = request(&self.calls.len().to_string());
        asked = asked.timeout(Duration::from_millis(wish.timeout_ms.into()));
        if let Some(session) = wish.session {
            asked = asked.session(name(session));
        }
        if wish.idempotent {
            asked = asked.idempotent();
        }
        let (pool, has_place) = (self.bench.pool.clone(), permit.is_some() || wish.in_turn);
        let task = tokio::spawn(async move {
            match permit {
                Some(permit) => permit.execute(asked).await,
                None if wish.in_turn => pool.reserve().await?.execute(asked).await,
                None => pool.execute(asked).await,
            }
        });
        self.calls.push(Call { wish, has_place, task: Some(task), given: Given::default() });
    }

    fn leave(&mut self, call: usize) {
        let count = self.calls.len();
        let Some(call) = call.checked_rem(count).map(|call| &mut self.calls[call]) else { return };
        let has_place = call.has_place;
        if let Some(task) = call.task.take() {
            task.abort();
            self.left_in_turn |= has_place;
        }
    }

    fn answer(&mut self, worker: usize, which: usize) {
        let Some(worker) = pick(&mut self.workers, worker) else { return };
        let Some(which) = which.checked_rem(worker.has.len()) else { return };
        let task = worker.has.remove(which);
        worker.end.answer(task.id, &json!(task.call));
        let given = &mut self.calls[task.call].given;
        (given.now, given.may_have_run) = (None, true);
    }

    fn begin(&mut self, worker: usize) {
        let Some(worker) = pick(&mut self.workers, worker) else { return };
        if let Some(task) = worker.has.iter_mut().find(|task| !task.begun) {
            task.begun = true;
            worker.end.reports.started(task.id);
        }
    }

    fn crash(&mut self, worker: usize, heard_out: bool) {
        let Some(worker) = worker.checked_rem(self.workers.len()) else { return };
        let worker = self.workers.swap_remove(worker);
        let tells = self.setting.prefetch > 0;
        for task in &worker.has {
            let given = &mut self.calls[task.call].given;
            given.now = None;
            given.may_have_run |= task.begun || !heard_out || !tells;
        }
        let gone = worker.life();
        self.sessions.retain(|_, life| *life != gone);
        if heard_out {
            worker.end.reports.heard_out();
        }
        worker.end.end(AdapterFailure::Disconnected);
    }

    fn recycle(&mut self, worker: usize) {
        let Some(worker) = pick(&mut self.workers, worker) else { return };
        let (pool, slot) = (self.bench.pool.clone(), worker.life().slot);
        self.changes.push(tokio::spawn(async move { drop(pool.recycle(slot).await) }));
    }

    async fn end_session(&mut self, session: u8) {
        self.sessions.remove(&session);
        let session_name = name(session);
        let known = self.bench.pool.end_session(&session_name);
        // Whether there is one is not the model's to say.
        let _ = tokio::time::timeout(PATIENCE, known).await.expect("ending a session hangs");
        // Requests that were on their way to its worker go on there.
        self.let_happen(Duration::from_millis(1)).await;
        self.sessions.remove(&session);
    }

    /// Lets time pass, and keeps book.
    async fn let_happen(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        while let Ok(end) = self.bench.lives.try_recv() {
            self.workers.push(Worker { end, has: Vec::new() });
        }
        let ready = self.ready_lives().await;
        // Who is to leave may still be in the middle of a session that has started afresh elsewhere.
        self.sessions.retain(|_, life| ready.contains(life));
        for worker in &mut self.workers {
            while worker.end.has_more() {
                match worker.end.next().await {
                    AdapterMessage::Execute { id, request, .. } => {
                        let call: usize = request.command.parse().unwrap();
                        worker.has.push(Task { id, call, begun: false });
                        let Call { wish, given, .. } = &mut self.calls[call];
                        given.to(Life::from(&worker.end.life), *wish);
                        if let Some(session) = wish.session
                            && ready.contains(&worker.life())
                        {
                            is_where_it_belongs(self.setting, &mut self.sessions, session, worker.life());
                        }
                    }
                    AdapterMessage::Cancel { id } => {
                        let has = worker.has.iter().any(|task| task.id == id);
                        assert!(has || self.was_killed, "{id} was cancelled where nobody has it");
                    }
                    AdapterMessage::EndSession { .. } => {}
                    other => panic!("nobody asked for {other:?}"),
                }
            }
            let most = usize::from(self.setting.capacity + self.setting.prefetch);
            assert!(worker.has.len() <= most, "a worker for {most} has {}", worker.has.len());
        }
        self.hear_answers().await;
        // Whoever waited for a place has used it by now.
        let held = self.bench.pool.shared().reservations.held();
        assert_eq!(held, self.permits.len(), "a place is held by nobody, or by two");
        self.see_off();
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
                assert!(call.task.is_none(), "a worker left with a request that somebody waits for");
                call.given.now = None;
            }
        }
    }

    async fn hear_answers(&mut self) {
        for (number, call) in self.calls.iter_mut().enumerate() {
            if call.task.as_ref().is_some_and(JoinHandle::is_finished) {
                let answer = call.task.take().unwrap().await.expect("a caller panicked");
                let refused = matches!(answer, Err(ExecuteError::Saturated { .. }));
                assert!(!(refused && call.has_place), "its place was not kept");
                if let Ok(response) = answer {
                    assert_eq!(response.payload.decode::<usize>().unwrap(), number, "somebody else's answer");
                }
            }
        }
    }

    /// Workers answer whatever they have, until every caller has its answer and every place is free.
    pub(super) async fn end(mut self) {
        self.permits.clear();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.calls.iter().any(|call| call.task.is_some())
            || self.changes.iter().any(|change| !change.is_finished())
            || self.workers.iter().any(|w| !w.has.is_empty())
        {
            assert!(tokio::time::Instant::now() < deadline, "somebody still waits");
            for worker in 0..self.workers.len() {
                self.answer(worker, 0);
            }
            self.let_happen(Duration::from_millis(10)).await;
        }
        for change in self.changes.drain(..) {
            change.await.expect("a change panicked");
        }
        let size = usize::from(self.size);
        let is_calm =
            |stats: &PoolStats| stats.available == size && stats.total == size && stats.running == 0;
        let stats = self.bench.settled(is_calm).await;
        self.let_happen(Duration::from_millis(1)).await;
        assert_eq!((stats.waiting, stats.stalls, stats.quarantined), (0, 0, 0), "{stats:?}");
        if !self.was_killed {
            let calls = self.calls.len() as u64;
            assert!(stats.requests == calls || self.left_in_turn && stats.requests < calls, "{stats:?}");
        }
        // Nothing falls out of the books, also where the pool was restarted.
        assert_eq!(stats.requests, stats.succeeded + stats.failed, "{stats:?}");
        assert_eq!(self.workers.iter().map(Worker::life).collect::<HashSet<_>>().len(), size);
    }
}

impl Given {
    fn to(&mut self, life: Life, wish: Wish) {
        assert_eq!(self.now, None, "it runs on two workers at the same time");
        assert!(self.times == 0 || wish.idempotent || !self.may_have_run, "it may have run, and runs again");
        self.times += 1;
        self.now = Some(life);
    }
}

/// A strict session is never on two living workers.
fn is_where_it_belongs(setting: Setting, sessions: &mut BTreeMap<u8, Life>, session: u8, life: Life) {
    let is_strict = matches!(setting.affinity, Affinity::StrictQueue | Affinity::StrictFailFast);
    let former = sessions.insert(session, life);
    assert!(
        !is_strict || former.is_none_or(|former| former == life),
        "{session} moved from {former:?} to {life:?}"
    );
}

fn name(session: u8) -> SessionId {
    SessionId::new(&format!("s{session}")).unwrap()
}

fn pick(workers: &mut [Worker], which: usize) -> Option<&mut Worker> {
    let count = workers.len();
    which.checked_rem(count).map(|which| &mut workers[which])
}
