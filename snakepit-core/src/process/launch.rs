//! The way from a spec to a running process: shim, hello, and once the intent is written down, go.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Rlimit;
use tokio::task::spawn_blocking;

use crate::process::containment::{Containment, SpawnStep};
use crate::process::os_process::{OsProcess, Output};
use crate::process::spawn::{SpawnError, StartedWorker, spawn_worker};
use crate::process::tether::OnGone;
use crate::process::usage::{self, ReadUsage, Reading};
use crate::process::{Marker, ProcessIdentity, ProcessSpec, UsageGauge, WirePipes};

#[cfg(not(target_os = "linux"))]
mod shimless;
#[cfg(target_os = "linux")]
mod shimmed;

#[cfg(not(target_os = "linux"))]
use shimless::{GreetedShim, ShimProgram};
#[cfg(target_os = "linux")]
use shimmed::GreetedShim;
#[cfg(target_os = "linux")]
pub(super) use shimmed::ShimProgram;

/// What hears of every step of every start.
type Observer = Arc<dyn Fn(SpawnStep) + Send + Sync>;

/// How a pit starts its processes and learns what they use, found out once when it starts.
#[derive(Clone)]
pub(crate) struct Launcher {
    shim: Result<ShimProgram, String>,
    /// The limit of open files before this host raised its own, which workers get back.
    open_files: Option<Rlimit>,
    observer: Option<Observer>,
    read_usage: ReadUsage,
}

/// A start that has got as far as the intent that must be written down before it goes on. Dropping it leaves nothing.
#[derive(Debug)]
pub(crate) struct Prepared {
    how: How,
}

#[derive(Debug)]
enum How {
    Shim(GreetedShim),
    Direct { marker: Marker, on_gone: HiddenOnGone },
}

/// A process that has just been started, and the host's ends of what connects it.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) process: OsProcess,
    pub(crate) pipes: Option<WirePipes>,
}

impl Launcher {
    /// Finds out how processes can be started: probes the shim that was named, or this program itself.
    pub(crate) async fn probe(
        named: Option<&Path>,
        open_files: Option<Rlimit>,
        observer: Option<Observer>,
    ) -> Self {
        let shim = match ShimProgram::find(named) {
            // Once more where it failed: somebody may have killed the first one.
            Ok(program) => match program.clone().probe().await {
                Err(_) => program.probe().await,
                up => up,
            },
            Err(why) => Err(why),
        };
        Self { shim, open_files, observer, read_usage: usage::ask_system() }
    }

    /// A way to start processes without a shim.
    #[cfg(test)]
    pub(crate) fn direct() -> Self {
        let shim = Err("not asked for".to_owned());
        Self { shim, open_files: None, observer: None, read_usage: usage::ask_system() }
    }

    /// The same, with somebody else to ask what processes use.
    #[cfg(test)]
    pub(crate) fn reading(self, read_usage: ReadUsage) -> Self {
        Self { read_usage, ..self }
    }

    /// What the tree of a process uses, where there is one.
    pub(crate) fn read_usage(&self, gauge: Option<UsageGauge>) -> Reading {
        (self.read_usage)(gauge)
    }

    /// How firmly processes will be held.
    pub(crate) fn containment(&self) -> Containment {
        match &self.shim {
            Ok(_) => Containment::tree(),
            Err(why) => Containment::in_process(why.as_str()),
        }
    }

    /// Prepares a start. Nothing of the worker exists yet. `on_gone` is called when nothing is left of what is started,
    /// also where it never gets that far.
    pub(crate) async fn prepare(&self, marker: Marker, on_gone: OnGone) -> Result<Prepared, SpawnError> {
        let Ok(program) = self.shim.clone() else {
            return Ok(Prepared { how: How::Direct { marker, on_gone: HiddenOnGone(on_gone) } });
        };
        Ok(Prepared { how: How::Shim(program.prepare(marker, on_gone, self).await?) })
    }

    /// Starts what was prepared. The intent must have been written down.
    pub(crate) async fn go(
        &self,
        prepared: Prepared,
        spec: ProcessSpec,
        stop_grace: Duration,
    ) -> Result<Spawned, SpawnError> {
        match prepared.how {
            How::Shim(started) => started.go(self, spec, stop_grace).await,
            How::Direct { marker, on_gone } => {
                if let (Some(option), Err(shortfall)) = (spec.needs_shim(), &self.shim) {
                    return Err(SpawnError::NeedsShim { option, shortfall: shortfall.clone() });
                }
                let started = spawn_blocking(move || {
                    let worker = spawn_worker(&spec, marker)?;
                    worker.tether.bonds().when_gone(on_gone.0);
                    Ok::<_, SpawnError>((worker, spec.term))
                });
                let (worker, term) = started.await.map_err(io::Error::other)??;
                self.observe(SpawnStep::Started);
                let StartedWorker { tether, pid, stdout, stderr, pipes } = worker;
                let process = OsProcess::of_our_own(tether, pid, Output { stdout, stderr }, term)?;
                Ok(Spawned { process, pipes })
            }
        }
    }

    pub(crate) fn observe(&self, step: SpawnStep) {
        if let Some(observer) = &self.observer {
            observer(step);
        }
    }
}

impl Prepared {
    /// The shim, where there is one.
    pub(crate) fn shim(&self) -> Option<&ProcessIdentity> {
        match &self.how {
            How::Shim(started) => Some(started.identity()),
            How::Direct { .. } => None,
        }
    }
}

/// A closure with nothing to show of itself.
struct HiddenOnGone(OnGone);

impl fmt::Debug for HiddenOnGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnGone")
    }
}

impl fmt::Debug for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launcher")
            .field("shim", &self.shim)
            .field("open_files", &self.open_files)
            .finish_non_exhaustive()
    }
}
