//! The limit of open files: enough for every worker, found out before anything starts.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::StartError;

/// What a worker costs at most: two pipes for its output, two for its wire, its socket and a second descriptor of it, the
/// handles of its shim and itself, and while it starts, the other ends of all these.
const PER_WORKER: u64 = 14;
/// What a pit needs for itself: its store, its locks, its runtime.
const FOR_THE_PIT: u64 = 32;

/// Makes sure that `workers` more can be had. `raise`: raises the soft limit as far as is needed and allowed; says what
/// it was before, for the workers to get back.
pub(super) fn ensure(workers: u64, raise: bool) -> Result<Option<Rlimit>, StartError> {
    let before = getrlimit(Resource::Nofile);
    let Some(limit) = before.current else { return Ok(None) };
    let need = open_now() + FOR_THE_PIT + workers * PER_WORKER;
    if need <= limit {
        return Ok(None);
    }
    let allowed = before.maximum.is_none_or(|maximum| need <= maximum);
    let raised = Rlimit { current: Some(need), maximum: before.maximum };
    if raise && allowed && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(Some(before));
    }
    Err(StartError::OpenFilesLimit { need, limit })
}

/// What is lacking for `workers` more, in a pit that runs: how many open files are needed, and how many are allowed.
pub(crate) fn lacking(workers: u64) -> Option<(u64, u64)> {
    let limit = getrlimit(Resource::Nofile).current?;
    let need = open_now() + workers * PER_WORKER;
    (workers > 0 && need > limit).then_some((need, limit))
}

/// How many files are open now; where the system does not say, as many as any program has.
fn open_now() -> u64 {
    let listed = std::fs::read_dir("/proc/self/fd").map_or(16, Iterator::count);
    u64::try_from(listed).unwrap_or(u64::MAX)
}
