//! The way from a spec to a running process: shim, hello, and once the intent is written down, go.

use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::Rlimit;
use tokio::task::spawn_blocking;

use crate::process::containment::{Containment, ShimProgram, SpawnStep};
use crate::process::os_process::{OsProcess, Output};
use crate::process::shim::packet::{News, Order, VERSION};
use crate::process::shim::plan::Draft;
use crate::process::spawn::{
    self, SpawnError, StartedShim, StartedWorker, failed_step, find_program, spawn_shim, spawn_worker,
};
use crate::process::tether::{OnGone, Tether};
use crate::process::watch::Link;
use crate::process::{Marker, ProcessIdentity, ProcessSpec, Resource, Wire, WirePipes, marker, shim};

/// How long a shim may take to say hello when the pit starts. A machine under load is slow; one that never answers is
/// no shim.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);

/// What hears of every step of every start.
type Observer = Arc<dyn Fn(SpawnStep) + Send + Sync>;

/// How a pit starts its processes, found out once when it starts.
#[derive(Clone)]
pub(crate) struct Launcher {
    shim: Result<ShimProgram, String>,
    /// The limit of open files before this host raised its own, which workers get back.
    open_files: Option<Rlimit>,
    observer: Option<Observer>,
}

/// A start that has got as far as the intent that must be written down before it goes on. Dropping it leaves nothing.
#[derive(Debug)]
pub(crate) struct Prepared {
    how: How,
}

#[derive(Debug)]
enum How {
    Shim { tether: Tether, link: Link, identity: ProcessIdentity, stdout: OwnedFd, stderr: OwnedFd },
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
            Ok(program) => match probe(program.clone()).await {
                Err(_) => probe(program).await,
                up => up,
            },
            Err(why) => Err(why),
        };
        Self { shim, open_files, observer }
    }

    /// A way to start processes without a shim.
    #[cfg(test)]
    pub(crate) fn direct() -> Self {
        Self { shim: Err("not asked for".to_owned()), open_files: None, observer: None }
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
        let started = spawn_blocking(move || {
            let shim = spawn_shim(&program, Some(&marker))?;
            shim.tether.bonds().when_gone(on_gone);
            Ok::<_, io::Error>(shim)
        });
        let shim = started.await.map_err(io::Error::other)??;
        self.observe(SpawnStep::ShimSpawned);
        let prepared = greet(shim).await.map_err(|what| SpawnError::Shim { what })?;
        self.observe(SpawnStep::HelloReceived);
        Ok(prepared)
    }

    /// Starts what was prepared. The intent must have been written down.
    pub(crate) async fn go(
        &self,
        prepared: Prepared,
        spec: ProcessSpec,
        stop_grace: Duration,
    ) -> Result<Spawned, SpawnError> {
        match prepared.how {
            How::Shim { tether, link, stdout, stderr, .. } => {
                let program = find_program(&spec.program)?;
                let marker = tether.bonds().marker();
                let plan = lay_out(&self.draft(&spec, &program, marker, stop_grace)?)?;
                let (pipes, theirs) = match spec.wire {
                    Wire::None => (None, None),
                    Wire::Pipes => {
                        let (pipes, theirs) = spawn::wire()?;
                        (Some(pipes), Some(theirs))
                    }
                };
                tether.bonds().expect_worker();
                send_go(&link, &plan, theirs.as_ref())?;
                drop((plan, theirs));
                self.observe(SpawnStep::GoSent);
                let pid = started(&link, &spec, &program).await?;
                self.observe(SpawnStep::Started);
                let process = OsProcess::behind_shim(tether, link, pid, Output { stdout, stderr }, spec.term);
                Ok(Spawned { process, pipes })
            }
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

    fn draft(
        &self,
        spec: &ProcessSpec,
        program: &Path,
        marker: Option<&Marker>,
        stop_grace: Duration,
    ) -> Result<Draft, SpawnError> {
        let mut limits = Vec::new();
        if let Some(before) = self.open_files {
            limits.push((Resource::OpenFiles.number(), or_none(before.current), or_none(before.maximum)));
        }
        let asked = spec.limits.iter();
        limits.extend(asked.map(|limit| (limit.resource.number(), or_none(limit.soft), or_none(limit.hard))));
        let text = |what: &dyn Fn() -> String, text: &OsStr| {
            CString::new(text.as_bytes()).map_err(|_| SpawnError::ZeroByte { what: what() })
        };
        let args = spec.args.iter().enumerate();
        Ok(Draft {
            program: text(&|| "the program's name".to_owned(), program.as_os_str())?,
            args: args
                .map(|(n, arg)| text(&|| format!("argument {}", n + 1), arg))
                .collect::<Result<_, _>>()?,
            env: environment(spec, marker)
                .map(|(name, pair)| text(&|| format!("variable {}", name.display()), &pair))
                .collect::<Result<_, _>>()?,
            directory: match &spec.cwd {
                Some(cwd) => Some(text(&|| "the working directory".to_owned(), cwd.as_os_str())?),
                None => None,
            },
            user: spec.user.clone().map(|user| (user.uid, user.gid, user.groups)),
            nice: spec.nice,
            oom_score: spec.oom_score_adj,
            limits,
            term: spec.term,
            stop_grace,
            orphan_grace: spec.orphan_grace,
        })
    }
}

impl Prepared {
    /// The shim, where there is one.
    pub(crate) fn shim(&self) -> Option<&ProcessIdentity> {
        match &self.how {
            How::Shim { identity, .. } => Some(identity),
            How::Direct { .. } => None,
        }
    }
}

/// `u64::MAX` is how the plan says that there is no limit.
fn or_none(limit: Option<u64>) -> u64 {
    limit.unwrap_or(u64::MAX)
}

/// What the worker finds in its environment: each variable's name, and the pair as the system wants it.
fn environment(spec: &ProcessSpec, marker: Option<&Marker>) -> impl Iterator<Item = (OsString, OsString)> {
    let mut variables = std::collections::BTreeMap::new();
    if !spec.clear_env {
        variables.extend(std::env::vars_os().filter(|(name, _)| name != shim::VARIABLE));
    }
    variables.extend(spec.env.clone());
    if let Some(marker) = marker {
        variables.insert(marker::VARIABLE.into(), marker.to_string().into());
    }
    variables.into_iter().map(|(name, value)| {
        let pair = [name.as_bytes(), b"=", value.as_bytes()].concat();
        (name, OsString::from_vec(pair))
    })
}

/// Puts a plan into a file of its own that lives in memory and can never change again.
fn lay_out(draft: &Draft) -> io::Result<OwnedFd> {
    let file = memfd_create(c"snakepit-plan", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(file);
    file.write_all(&draft.lay_out())?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(file.into())
}

fn send_go(link: &Link, plan: &OwnedFd, wire: Option<&[OwnedFd; 2]>) -> Result<(), SpawnError> {
    let mut files: Vec<BorrowedFd<'_>> = vec![plan.as_fd()];
    files.extend(wire.into_iter().flatten().map(AsFd::as_fd));
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(link, &[IoSlice::new(&Order::Go.encode())], &mut control, flags)
        .map(drop)
        .map_err(|error| SpawnError::Shim { what: format!("it cannot be told to go: {error}") })
}

async fn started(link: &Link, spec: &ProcessSpec, program: &Path) -> Result<i32, SpawnError> {
    let gone = || SpawnError::Shim { what: "it ended while it started the worker".to_owned() };
    match link.hear().await? {
        Some(News::Started { pid }) => Ok(pid),
        Some(News::Failed { step, errno }) => Err(failed_step(spec, program, step, errno)),
        Some(News::Hello { .. } | News::Exited { .. } | News::Done) | None => Err(gone()),
    }
}

/// Waits for a shim's hello.
///
/// # Errors
/// Why it is no shim for this host.
async fn greet(shim: StartedShim) -> Result<Prepared, String> {
    let StartedShim { tether, identity, stdout, stderr } = shim;
    let link = Link::to(&tether).map_err(|error| error.to_string())?;
    match link.hear().await.map_err(|error| error.to_string())? {
        Some(News::Hello { version: VERSION, sees_tree: true }) => {
            Ok(Prepared { how: How::Shim { tether, link, identity, stdout, stderr } })
        }
        Some(News::Hello { version: VERSION, sees_tree: false }) => {
            Err("the system does not list a process's children (CONFIG_PROC_CHILDREN)".to_owned())
        }
        Some(News::Hello { version, .. }) => Err(format!("it is of version {version}, and not {VERSION}")),
        Some(_) => Err("it said something else than hello".to_owned()),
        None => Err("it ended without a hello".to_owned()),
    }
}

/// Starts a shim and lets it go again.
async fn probe(program: ShimProgram) -> Result<ShimProgram, String> {
    let shown = program.path().display().to_string();
    let failed = |what: String| format!("{shown} cannot be run as a shim: {what}");
    let spawned = program.clone();
    let shim = match spawn_blocking(move || spawn_shim(&spawned, None)).await {
        Ok(Ok(shim)) => shim,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(error) => return Err(failed(error.to_string())),
    };
    match tokio::time::timeout(PROBE_PATIENCE, greet(shim)).await {
        Ok(Ok(_)) => Ok(program),
        Ok(Err(what)) => Err(failed(what)),
        Err(_) => Err(failed("it did not say hello".to_owned())),
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
        f.debug_struct("Launcher").field("shim", &self.shim).finish_non_exhaustive()
    }
}
