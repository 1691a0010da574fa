//! Every event that there is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{LossCause, WorkerLoss};
use crate::id::{PoolName, RequestId, SessionId, WorkerId, WorkerLife};
use crate::pool::{PoolStats, RecycleReason};
use crate::process::{ContainmentLevel, StopOutcome};
use crate::telemetry::declare::declare_events;

declare_events! {
    /// Something that happened in a pit and that an operator may want to know.
    ///
    /// Arguments and answers are in none of them. `docs/events.md` lists them all; names are stable, and fields are only
    /// added.
    pub enum Event {
        /// The pit has started: its pools are up, and their workers boot.
        PitStarted("snakepit.pit.started", INFO) {
            /// How many pools it has.
            pools: usize,
            /// How many workers they are to have, all together.
            workers: usize,
        }
        /// The pit's own actors failed too often: it is down.
        PitGaveUp("snakepit.pit.gave_up", ERROR) {
            /// By which rule, and what failed last.
            reason: String,
        }
        /// The system lets workers be held with all that they start.
        ContainmentFull("snakepit.containment.full", INFO) {
            /// How firmly they are held.
            level: ContainmentLevel,
        }
        /// Workers are not held as firmly as they could be.
        ContainmentShort("snakepit.containment.short", WARN) {
            /// How firmly they are held.
            level: ContainmentLevel,
            /// What is missing.
            shortfall: String,
        }
        /// An earlier run left records, and none of their processes ran any more.
        RecoveryRecords("snakepit.recovery.records", INFO) {
            /// How many records.
            records: usize,
            /// How long it took to see to them.
            #[serde(with = "humantime_serde")]
            took: Duration,
        }
        /// An earlier run left processes. Those that could be ended are.
        RecoveryProcesses("snakepit.recovery.processes", WARN) {
            /// How many records the run had left.
            records: usize,
            /// How many processes were ended.
            ended: usize,
            /// How many could not be ended.
            survivors: usize,
            /// How many records name a process that may be a stranger's, and was left alone.
            unreadable: usize,
            /// How long it took.
            #[serde(with = "humantime_serde")]
            took: Duration,
        }
        /// The registry's file could not be opened and was put aside. What it had recorded is found by other means.
        RegistryPutAside("snakepit.registry.put_aside", ERROR) {
            /// Where it was put.
            aside: PathBuf,
        }
        /// The registry's file was removed or replaced under a running host, and is written anew.
        RegistryLost("snakepit.registry.lost", ERROR) {
            /// Where it is.
            path: PathBuf,
        }
        /// The registry could not write. No worker starts meanwhile; those that run go on.
        RegistryNotWritten("snakepit.registry.not_written", ERROR) {
            /// What the system said.
            error: String,
            /// How many starts were refused for it.
            refused: usize,
        }
        /// The registry's writer panicked and is started again.
        RegistryWriterRestarted("snakepit.registry.writer_restarted", ERROR) {}
        /// The registry's actor was started again. No worker is harmed.
        RegistryRestarted("snakepit.registry.restarted", WARN) {}

        /// A worker boots.
        WorkerBooting("snakepit.worker.booting", DEBUG) {
            /// Which life of which worker.
            worker: WorkerLife,
        }
        /// A worker takes requests.
        WorkerReady("snakepit.worker.ready", INFO) {
            /// Which life of which worker.
            worker: WorkerLife,
            /// The number of its process, where it has one.
            os_pid: Option<i32>,
            /// What it says it is.
            agent: String,
            /// How long it took to boot.
            #[serde(with = "humantime_serde")]
            took: Duration,
        }
        /// A worker's life ended although nobody asked it to.
        WorkerLost("snakepit.worker.lost", WARN) {
            /// Which life of which worker.
            worker: WorkerLife,
            /// Why.
            cause: LossCause,
            /// What its process last wrote to stderr, oldest line first.
            stderr_tail: Vec<String>,
        }
        /// A worker was stopped, as it was asked to.
        WorkerStopped("snakepit.worker.stopped", INFO) {
            /// Which life of which worker.
            worker: WorkerLife,
            /// Whether its process left by itself.
            outcome: StopOutcome,
        }
        /// A worker that works was replaced: another has taken over, and it leaves when it has finished what it has.
        WorkerRecycled("snakepit.worker.recycled", INFO) {
            /// Which life of which worker leaves.
            worker: WorkerLife,
            /// Which has taken over.
            successor: WorkerLife,
            /// Why, where that is still known.
            reason: Option<RecycleReason>,
        }
        /// A worker that was to be replaced stays, or goes without a successor.
        WorkerNotRecycled("snakepit.worker.not_recycled", WARN) {
            /// Which worker.
            worker: WorkerId,
            /// Why it is not replaced.
            error: String,
        }
        /// A worker is to be replaced soon after it became ready, for the same kind of reason as the one before it: it goes on
        /// for a while first. A worker asks for it at every start, or `recycle.max_rss` is below what one needs.
        WorkerRestless("snakepit.worker.restless", WARN) {
            /// Which life of which worker.
            worker: WorkerLife,
            /// How often in a row that has happened.
            times: u32,
            /// How long it goes on.
            #[serde(with = "humantime_serde")]
            rest: Duration,
            /// Why it is to be replaced.
            reason: RecycleReason,
        }
        /// Something of a worker's process does not go even when killed. Its record is kept.
        WorkerUnstoppable("snakepit.worker.unstoppable", ERROR) {
            /// Which life of which worker.
            worker: WorkerLife,
        }
        /// A worker does not give up a cancelled request. Its place stays taken until it does.
        WorkerStuck("snakepit.worker.stuck", WARN) {
            /// Which life of which worker.
            worker: WorkerLife,
            /// The pool's `cancel_grace`, which has passed.
            #[serde(with = "humantime_serde")]
            grace: Duration,
        }
        /// A worker printed and logged more than is handed on; the rest was read, counted and left out. Told once a second,
        /// with its next line, and at its end.
        WorkerOutputSuppressed("snakepit.worker.output_suppressed", WARN) {
            /// Which life of which worker.
            worker: WorkerLife,
            /// How many lines were left out.
            lines: u64,
            /// The pool's `output_limit`, in lines a second for each of stdout, stderr and log.
            limit: u32,
        }
        /// A worker ended so often that its slot rests before the next try.
        SlotQuarantined("snakepit.slot.quarantined", WARN) {
            /// Which slot.
            slot: WorkerId,
            /// How often in a row that has happened.
            times: u32,
            /// How long it rests.
            #[serde(with = "humantime_serde")]
            rest: Duration,
            /// The last loss.
            last: Arc<WorkerLoss>,
        }
        /// A worker ended with one of `restart.fatal_exit_codes`: its slot is given up for good, until somebody asks for
        /// another worker with `recycle`, `rolling_restart` or a larger size.
        SlotGaveUp("snakepit.slot.gave_up", ERROR) {
            /// Which slot.
            slot: WorkerId,
            /// The loss, with what its process last wrote to stderr.
            last: Arc<WorkerLoss>,
        }
        /// A worker is ready in a slot that had been given up.
        SlotHealed("snakepit.slot.healed", INFO) {
            /// Which life of which worker.
            worker: WorkerLife,
        }

        /// A pool that had no ready worker has one.
        PoolReady("snakepit.pool.ready", INFO) {
            /// Which pool.
            pool: PoolName,
        }
        /// Every worker of a pool has given up. It refuses requests until one is ready again.
        PoolFailed("snakepit.pool.failed", ERROR) {
            /// Which pool.
            pool: PoolName,
            /// The last loss, standing for the others.
            last: Arc<WorkerLoss>,
        }
        /// A pool that had failed has a ready worker again.
        PoolRecovered("snakepit.pool.recovered", INFO) {
            /// Which pool.
            pool: PoolName,
        }
        /// A pool takes no more requests and finishes those that it has: it is drained, or the pit shuts down.
        PoolDraining("snakepit.pool.draining", INFO) {
            /// Which pool.
            pool: PoolName,
            /// How many it has.
            under_way: usize,
        }
        /// A drain is over: none of the pool's requests is under way.
        PoolDrained("snakepit.pool.drained", INFO) {
            /// Which pool.
            pool: PoolName,
            /// How many requests were answered meanwhile.
            finished: usize,
            /// How many were told that time was up.
            abandoned: usize,
        }
        /// A pool that was drained takes requests again.
        PoolResumed("snakepit.pool.resumed", INFO) {
            /// Which pool.
            pool: PoolName,
        }
        /// What a pool has done so far, every so often; see the option `telemetry`.
        PoolStatistics("snakepit.pool.statistics", DEBUG) {
            /// Which pool.
            pool: PoolName,
            /// As `PoolRef::stats` answers.
            stats: Box<PoolStats>,
        }
        /// A pool was told to have another number of workers.
        PoolResized("snakepit.pool.resized", INFO) {
            /// Which pool.
            pool: PoolName,
            /// How many it was to have before.
            from: u16,
            /// How many it is to have now.
            to: u16,
        }
        /// A pool refuses requests, because as many wait as may. Told once, not for each request: see
        /// `snakepit.pool.relieved` and the statistics for how many.
        PoolSaturated("snakepit.pool.saturated", WARN) {
            /// Which pool.
            pool: PoolName,
            /// How many requests wait.
            waiting: usize,
            /// The pool's `queue_limit`.
            limit: usize,
            /// When a caller is likely to find room.
            #[serde(with = "humantime_serde")]
            retry_after: Duration,
        }
        /// A pool that was saturated takes requests again, and has refused none for a while.
        PoolRelieved("snakepit.pool.relieved", INFO) {
            /// Which pool.
            pool: PoolName,
            /// How many requests it had refused.
            refused: u64,
        }
        /// Requests waited beside free workers. They have been served; this library is at fault.
        PoolStalled("snakepit.pool.stalled", ERROR) {
            /// Which pool.
            pool: PoolName,
            /// How many requests waited.
            waiting: usize,
        }
        /// A pool's actor was started again. Its workers live on; requests that it had are answered `PoolRestarted`.
        PoolRestarted("snakepit.pool.restarted", WARN) {
            /// Which pool.
            pool: PoolName,
        }
        /// A pool's own actors failed too often: its workers are stopped, and it refuses requests until it is tried again,
        /// after a rest that doubles each time, from 1 s to 5 min. Other pools go on.
        PoolGaveUp("snakepit.pool.gave_up", ERROR) {
            /// Which pool.
            pool: PoolName,
            /// By which rule, and what failed last.
            reason: String,
        }
        /// A pool whose own actors had failed too often is started again.
        PoolTriedAgain("snakepit.pool.tried_again", INFO) {
            /// Which pool.
            pool: PoolName,
        }
        /// A pool's session affinity was started again. No session is forgotten.
        SessionAffinityRestarted("snakepit.session_affinity.restarted", WARN) {
            /// Which pool.
            pool: PoolName,
        }

        /// A request whose worker was lost is tried again.
        RequestRetried("snakepit.request.retried", INFO) {
            /// Which request.
            request: RequestId,
            /// Its command.
            command: Arc<str>,
            /// The life that was lost.
            worker: WorkerLife,
            /// How long it rests before.
            #[serde(with = "humantime_serde")]
            rest: Duration,
        }
        /// A request is likely to crash its workers and is not tried again.
        RequestPoisoned("snakepit.request.poisoned", WARN) {
            /// Which request.
            request: RequestId,
            /// Its command.
            command: Arc<str>,
            /// The last life that it crashed.
            worker: WorkerLife,
            /// How many it crashed.
            crashes: u32,
        }

        /// A session was lost with its worker, and a caller was told so.
        SessionLost("snakepit.session.lost", INFO) {
            /// Which session.
            session: SessionId,
            /// The life that had it.
            worker: WorkerLife,
        }
        /// A session whose worker was lost goes on anew on another.
        SessionReset("snakepit.session.reset", INFO) {
            /// Which session.
            session: SessionId,
            /// The life that had it.
            worker: WorkerLife,
        }
        /// Sessions were idle for their time and are forgotten.
        SessionsExpired("snakepit.session.expired", DEBUG) {
            /// Which pool.
            pool: PoolName,
            /// How many.
            count: usize,
        }
        /// A session had to make room: the table is at the pool's `session_limit`.
        SessionEvicted("snakepit.session.evicted", DEBUG) {
            /// Which session.
            session: SessionId,
            /// The life that had it.
            worker: WorkerLife,
        }

        /// An actor of the pit was killed and still runs: something in it blocks its thread. It is no longer waited for.
        ActorUnstoppable("snakepit.actor.unstoppable", ERROR) {
            /// Its name in the supervision tree.
            actor: String,
        }
        /// The pit is told to shut down.
        ShutdownBegun("snakepit.shutdown.begun", INFO) {
            /// How long it may take.
            #[serde(with = "humantime_serde")]
            budget: Duration,
        }
        /// Worker processes outlive the shutdown: the system does not let them go.
        ShutdownLeft("snakepit.shutdown.left", ERROR) {
            /// Their process ids.
            os_pids: Vec<i32>,
        }
        /// The pit has shut down. Nothing follows.
        ShutdownEnded("snakepit.shutdown.ended", INFO) {
            /// How long it took.
            #[serde(with = "humantime_serde")]
            took: Duration,
            /// How many requests that were under way were answered.
            requests_finished: usize,
            /// How many were told that the pit shuts down.
            requests_abandoned: usize,
        }
    }
}
