//! Every metric that there is. Names follow OpenTelemetry's conventions for connection pools, with a worker for a connection.
//!
//! Labels have few values: neither requests nor sessions are among them, and commands only so many.

use metrics::Unit;

/// What a metric is, before it is measured.
#[derive(Debug)]
pub(crate) struct MetricSpec {
    pub(crate) name: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the document"))]
    pub(crate) kind: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the document"))]
    pub(crate) unit: Option<Unit>,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the document"))]
    pub(crate) labels: &'static [&'static str],
    #[cfg_attr(not(test), expect(dead_code, reason = "for the document"))]
    pub(crate) meaning: &'static [&'static str],
}

macro_rules! declare_metrics {
    ($($(#[doc = $meaning:literal])+ $constant:ident: $kind:ident $name:literal [$($label:literal),*] $($unit:ident)?;)+) => {
        $(
            $(#[doc = $meaning])+
            pub(crate) const $constant: MetricSpec = MetricSpec {
                name: $name,
                kind: stringify!($kind),
                unit: unit!($($unit)?),
                labels: &[$($label),*],
                meaning: &[$($meaning),+],
            };
        )+

        /// All of them, in the order of their declaration.
        #[cfg(test)]
        pub(crate) const ALL: &[MetricSpec] = &[$($constant),+];
    };
}

macro_rules! unit {
    () => {
        None
    };
    ($unit:ident) => {
        Some(Unit::$unit)
    };
}

declare_metrics! {
    /// Workers by what they do: `available`, `busy`, `starting`, `quarantined`, `retiring`. A second old at most.
    WORKER_COUNT: gauge "snakepit.worker.count" ["pool", "state"];
    /// How many workers the pool is to have.
    WORKER_MAX: gauge "snakepit.worker.max" ["pool"];
    /// How long a worker took from its start until it was ready.
    WORKER_CREATE_TIME: histogram "snakepit.worker.create_time" ["pool"] Seconds;
    /// Workers that ended unasked, by why.
    WORKER_RESTARTS: counter "snakepit.worker.restarts" ["pool", "cause"];
    /// Requests that wait for a worker. A second old at most.
    CALL_PENDING: gauge "snakepit.call.pending" ["pool"];
    /// Requests that a worker has. A second old at most.
    CALL_RUNNING: gauge "snakepit.call.running" ["pool"];
    /// How long requests waited for a worker, those included that waited in vain.
    CALL_WAIT_TIME: histogram "snakepit.call.wait_time" ["pool"] Seconds;
    /// How long workers had requests whose caller waited for the answer.
    CALL_RUN_TIME: histogram "snakepit.call.run_time" ["pool"] Seconds;
    /// How long callers waited for their answer, those included that were refused. `outcome` is `ok` or the error's code.
    /// `command` is `other` beyond the first 100 commands of a pool, and where a call was refused before the pool saw it and
    /// none has come to it with that command.
    CALL_DURATION: histogram "snakepit.call.duration" ["pool", "command", "outcome"] Seconds;
    /// Requests whose deadline passed, by where: `waiting` or `running`.
    CALL_TIMEOUTS: counter "snakepit.call.timeouts" ["pool", "stage"];
    /// How often a request was tried again because its worker was lost.
    CALL_RETRIES: counter "snakepit.call.retries" ["pool"];
    /// Events, by their name.
    EVENT_COUNT: counter "snakepit.event.count" ["event"];
    /// How firmly workers are held, as a number that grows with it; `in_process` is 0.
    CONTAINMENT_LEVEL: gauge "snakepit.containment.level" ["level"];
    /// Processes of earlier runs that the start found: `ended`, `survived`, `unreadable`.
    RECOVERY_PROCESSES: counter "snakepit.recovery.processes" ["outcome"];
}
