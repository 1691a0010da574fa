//! A start behind a shim: the shim that says hello, the plan that it is given, and its word that the worker runs.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::task::spawn_blocking;

use crate::process::containment::SpawnStep;
use crate::process::launch::{Launcher, Spawned};
use crate::process::os_process::{OsProcess, Output};
use crate::process::shim::packet::{News, Order, VERSION};
use crate::process::shim::plan::Draft;
use crate::process::spawn::{self, SpawnError, StartedShim, failed_step, find_program, spawn_shim};
use crate::process::tether::{OnGone, Tether};
use crate::process::watch::Link;
use crate::process::{Marker, ProcessIdentity, ProcessSpec, Resource, Wire, marker, shim};

/// How long a shim may take to say hello when the pit starts. A machine under load is slow; one that never answers is
/// no shim.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);

/// A shim that has said hello and waits for the word to go. Dropping it leaves nothing.
#[derive(Debug)]
pub(super) struct GreetedShim {
    tether: Tether,
    link: Link,
    identity: ProcessIdentity,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// The program that is run as a shim.
#[derive(Clone, Debug)]
pub(crate) struct ShimProgram(PathBuf);

impl ShimProgram {
    /// The one that was named, else this program itself, started again.
    ///
    /// # Errors
    /// Why neither can be one.
    pub(in crate::process) fn find(named: Option<&Path>) -> Result<Self, String> {
        if let Some(named) = named {
            return Ok(Self(named.to_owned()));
        }
        if !shim::is_in_the_program() {
            return Err(
                "this code lies in a library that the program has loaded, and not in the program itself; \
                        name a program that can be a shim"
                    .to_owned(),
            );
        }
        // Stands for the very file that runs, also where another has taken its place on disk.
        Ok(Self(PathBuf::from("/proc/self/exe")))
    }

    pub(in crate::process) fn path(&self) -> &Path {
        &self.0
    }

    /// Starts a shim and lets it go again.
    pub(super) async fn probe(self) -> Result<Self, String> {
        let shown = self.path().display().to_string();
        let failed = |what: String| format!("{shown} cannot be run as a shim: {what}");
        let spawned = self.clone();
        let shim = match spawn_blocking(move || spawn_shim(&spawned, None)).await {
            Ok(Ok(shim)) => shim,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(error) => return Err(failed(error.to_string())),
        };
        match tokio::time::timeout(PROBE_PATIENCE, greet(shim)).await {
            Ok(Ok(_)) => Ok(self),
            Ok(Err(what)) => Err(failed(what)),
            Err(_) => Err(failed("it did not say hello".to_owned())),
        }
    }

    /// Starts a shim for a worker, and waits for its hello.
    pub(super) async fn prepare(
        self,
        marker: Marker,
        on_gone: OnGone,
        launcher: &Launcher,
    ) -> Result<GreetedShim, SpawnError> {
        let spawned = spawn_blocking(move || {
            let shim = spawn_shim(&self, Some(&marker))?;
            shim.tether.bonds().when_gone(on_gone);
            Ok::<_, io::Error>(shim)
        });
        let shim = spawned.await.map_err(io::Error::other)??;
        launcher.observe(SpawnStep::ShimSpawned);
        let started = greet(shim).await.map_err(|what| SpawnError::Shim { what })?;
        launcher.observe(SpawnStep::HelloReceived);
        Ok(started)
    }
}

impl GreetedShim {
    /// Which process it is.
    pub(super) fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    /// Has the worker started.
    pub(super) async fn go(
        self,
        launcher: &Launcher,
        spec: ProcessSpec,
        stop_grace: Duration,
    ) -> Result<Spawned, SpawnError> {
        let Self { tether, link, stdout, stderr, .. } = self;
        let program = find_program(&spec.program)?;
        let marker = tether.bonds().marker();
        let plan = lay_out(&draft(launcher, &spec, &program, marker, stop_grace)?)?;
        let (pipes, theirs) = match spec.wire {
            Wire::None => (None, None),
            Wire::Pipes | Wire::Stdio => {
                let (pipes, theirs) = spawn::wire()?;
                (Some(pipes), Some(theirs))
            }
        };
        tether.bonds().expect_worker();
        send_go(&link, &plan, theirs.as_ref())?;
        drop((plan, theirs));
        launcher.observe(SpawnStep::GoSent);
        let pid = started(&link, &spec, &program).await?;
        launcher.observe(SpawnStep::Started);
        let process = OsProcess::behind_shim(tether, link, pid, Output { stdout, stderr }, spec.term);
        Ok(Spawned { process, pipes })
    }
}

fn draft(
    launcher: &Launcher,
    spec: &ProcessSpec,
    program: &Path,
    marker: Option<&Marker>,
    stop_grace: Duration,
) -> Result<Draft, SpawnError> {
    let groups = spec.user.as_ref().map_or(0, |user| user.groups.len());
    if groups > shim::GROUP_LIMIT {
        return Err(SpawnError::TooManyGroups { count: groups, limit: shim::GROUP_LIMIT });
    }
    let mut limits = Vec::new();
    if let Some(before) = launcher.open_files {
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
        args: args.map(|(n, arg)| text(&|| format!("argument {}", n + 1), arg)).collect::<Result<_, _>>()?,
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
        wire_on_stdio: spec.wire == Wire::Stdio,
        limits,
        term: spec.term,
        stop_grace,
        orphan_grace: spec.orphan_grace,
    })
}

/// `u64::MAX` is how the plan says that there is no limit.
fn or_none(limit: Option<u64>) -> u64 {
    limit.unwrap_or(u64::MAX)
}

/// What the worker finds in its environment: each variable's name, and the pair as the system wants it.
#[expect(clippy::disallowed_methods, reason = "what is inherited is all of it, and none of it is looked at")]
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
async fn greet(shim: StartedShim) -> Result<GreetedShim, String> {
    let StartedShim { tether, identity, stdout, stderr } = shim;
    let link = Link::to(&tether).map_err(|error| error.to_string())?;
    match link.hear().await.map_err(|error| error.to_string())? {
        Some(News::Hello { version: VERSION, sees_tree: true }) => {
            Ok(GreetedShim { tether, link, identity, stdout, stderr })
        }
        Some(News::Hello { version: VERSION, sees_tree: false }) => {
            Err("the system does not list a process's children (CONFIG_PROC_CHILDREN)".to_owned())
        }
        Some(News::Hello { version, .. }) => Err(format!("it is of version {version}, and not {VERSION}")),
        Some(_) => Err("it said something else than hello".to_owned()),
        None => Err("it ended without a hello".to_owned()),
    }
}
