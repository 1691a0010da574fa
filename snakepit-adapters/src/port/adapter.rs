//! What a port worker runs, and the way to speak to it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use snakepit_core::adapter::{Adapter, AdapterFailure, Connect, Connecting, WorkerContext};
use snakepit_core::{ProcessSpec, ResourceLimit, TermTarget, UserIds, Wire};

use crate::port::{connection, sdk};

const PYTHONPATH: &str = "PYTHONPATH";
const WIRE: &str = "SNAKEPIT_WIRE";

/// Workers that speak frames over two pipes: the default way, for a worker in any language.
///
/// The program finds its end of the wire as `proto/README.md` says. A worker in Python finds the worker SDK on its
/// `PYTHONPATH` and needs nothing installed.
///
/// ```
/// use snakepit_adapters::port::PortAdapter;
///
/// let python = PortAdapter::python("worker.py").env("MODEL", "small");
/// let any = PortAdapter::new("/usr/local/bin/worker").args(["--threads", "2"]).cwd("/srv/data");
/// # let _ = (python, any);
/// ```
#[derive(Clone, Debug)]
pub struct PortAdapter {
    /// As it was asked for; what counts from a directory does so when a worker starts.
    asked: ProcessSpec,
    script: Option<PathBuf>,
    /// The host's directory and `PYTHONPATH`, read once: later changes of either move no worker.
    host_dir: PathBuf,
    host_pythonpath: Option<OsString>,
}

impl PortAdapter {
    /// Workers that run `program`: a path, or a name that is looked up in the host's `PATH`.
    ///
    /// A relative path with a slash counts from the host's current directory at this moment.
    #[expect(
        clippy::disallowed_methods,
        reason = "PYTHONPATH is the interpreter's, extended and not replaced"
    )]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            asked: ProcessSpec { wire: Wire::Pipes, ..ProcessSpec::new(program) },
            script: None,
            // A host whose directory is gone runs its workers there, as it would without this line.
            host_dir: std::env::current_dir().unwrap_or_default(),
            host_pythonpath: std::env::var_os(PYTHONPATH),
        }
    }

    /// Workers that run a Python script with the `python3` of the host's `PATH`.
    ///
    /// A relative script counts from [`cwd`](Self::cwd) where one is set, otherwise from the host's current directory
    /// at this moment.
    pub fn python(script: impl Into<PathBuf>) -> Self {
        Self { script: Some(script.into()), ..Self::new("python3") }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.asked.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.asked.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the worker's environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.asked.env.insert(name.into(), value.into());
        self
    }

    /// Lets workers inherit nothing from the host's environment.
    pub fn clear_env(mut self) -> Self {
        self.asked.clear_env = true;
        self
    }

    /// Puts the wire on the workers' standard input and output, for programs that cannot use file descriptors 3 and 4.
    /// What such a worker prints must go to stderr: on stdout it is a breach that costs the worker.
    pub fn stdio(mut self) -> Self {
        self.asked.wire = Wire::Stdio;
        self
    }

    /// Sets the directory that workers run in. A relative one counts from the host's current directory when the
    /// adapter was made.
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.asked.cwd = Some(cwd.into());
        self
    }

    /// Runs workers as another user. Needs the right to, and the shim.
    pub fn user(mut self, user: UserIds) -> Self {
        self.asked.user = Some(user);
        self
    }

    /// Sets the workers' priority, from -20 (first) to 19 (last). Needs the shim.
    pub fn nice(mut self, nice: i32) -> Self {
        self.asked.nice = Some(nice);
        self
    }

    /// Raises the workers' `oom_score_adj` to this at least. Default 500. Needs the shim.
    pub fn oom_score_adj(mut self, score: u16) -> Self {
        self.asked.oom_score_adj = Some(score);
        self
    }

    /// Limits what each worker may use of a resource. Needs the shim.
    pub fn limit(mut self, limit: ResourceLimit) -> Self {
        self.asked.limits.push(limit);
        self
    }

    /// Says who of a worker's group is asked to leave when it is stopped. Default: the worker's own process.
    pub fn term(mut self, target: TermTarget) -> Self {
        self.asked.term = target;
        self
    }

    /// Lets a worker take this long to leave by itself when its host is gone. Default zero: it is killed at once.
    pub fn orphan_grace(mut self, grace: Duration) -> Self {
        self.asked.orphan_grace = grace;
        self
    }

    /// What the worker's `PYTHONPATH` was without us, then the folder of the SDK: an installed one wins.
    fn pythonpath(&self, sdk: &Path) -> Result<OsString, AdapterFailure> {
        if sdk.as_os_str().as_encoded_bytes().contains(&b':') {
            let what = format!("PYTHONPATH cannot name {}: it holds a colon", sdk.display());
            return Err(AdapterFailure::Failed { what });
        }
        let inherited = self.host_pythonpath.as_ref().filter(|_| !self.asked.clear_env);
        let before =
            self.asked.env.get(OsStr::new(PYTHONPATH)).or(inherited).filter(|before| !before.is_empty());
        let mut path = before.cloned().unwrap_or_default();
        if !path.is_empty() {
            path.push(":");
        }
        path.push(sdk);
        Ok(path)
    }
}

impl Adapter for PortAdapter {
    fn name(&self) -> &'static str {
        "port"
    }

    fn prepare(&self, data_dir: &Path) -> Result<(), AdapterFailure> {
        sdk::unpack(data_dir).map_err(|error| AdapterFailure::Failed {
            what: format!("the Python worker SDK cannot be unpacked under {}: {error}", data_dir.display()),
        })
    }

    fn process_spec(&self, worker: &WorkerContext) -> Result<Option<ProcessSpec>, AdapterFailure> {
        let cwd = self.asked.cwd.as_ref().map(|cwd| self.host_dir.join(cwd));
        let script = self.script.as_ref().map(|script| cwd.as_ref().unwrap_or(&self.host_dir).join(script));
        let is_name = self.asked.program.components().count() == 1 && !self.asked.program.is_absolute();
        let program =
            if is_name { self.asked.program.clone() } else { self.host_dir.join(&self.asked.program) };
        let sdk = sdk::folder(&self.host_dir.join(&worker.data_dir));

        let mut spec = ProcessSpec { program, cwd, ..self.asked.clone() };
        spec.args.splice(..0, script.map(PathBuf::into_os_string));
        spec.env.insert(PYTHONPATH.into(), self.pythonpath(&sdk)?);
        let wire = if spec.wire == Wire::Stdio { "stdio" } else { "port" };
        spec.env.insert(WIRE.into(), wire.into());
        Ok(Some(spec))
    }

    fn connect(&self, connect: Connect) -> Connecting {
        Box::pin(connection::open(connect))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snakepit_core::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};

    fn spec(adapter: &PortAdapter) -> ProcessSpec {
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
        let life = WorkerLife { worker, incarnation: Incarnation(1) };
        let context = WorkerContext { life, data_dir: "/data".into() };
        adapter.process_spec(&context).unwrap().unwrap()
    }

    fn at(adapter: PortAdapter, pythonpath: Option<&str>) -> PortAdapter {
        PortAdapter { host_dir: "/host".into(), host_pythonpath: pythonpath.map(Into::into), ..adapter }
    }

    fn pythonpath(adapter: &PortAdapter) -> String {
        spec(adapter).env[OsStr::new(PYTHONPATH)].clone().into_string().unwrap()
    }

    #[test]
    fn a_script_counts_from_where_the_worker_runs() {
        let python = || at(PortAdapter::python("worker.py"), None).arg("--fast");
        let here = spec(&python());
        assert_eq!((here.program.as_path(), here.cwd), (Path::new("python3"), None));
        assert_eq!(here.args, ["/host/worker.py", "--fast"]);
        let there = spec(&python().cwd("sub"));
        assert_eq!(
            (there.args[0].as_os_str(), there.cwd),
            (OsStr::new("/host/sub/worker.py"), Some("/host/sub".into()))
        );
        assert_eq!(spec(&at(PortAdapter::python("/abs/w.py"), None).cwd("/x")).args, ["/abs/w.py"]);
    }

    #[test]
    fn a_program_is_a_name_or_counts_from_the_host() {
        let program = |program: &str| spec(&at(PortAdapter::new(program), None).cwd("/elsewhere")).program;
        assert_eq!(program("perl"), Path::new("perl"));
        assert_eq!(program("/bin/perl"), Path::new("/bin/perl"));
        assert_eq!(program("./worker"), Path::new("/host/./worker"));
        assert_eq!(program("bin/worker"), Path::new("/host/bin/worker"));
    }

    #[test]
    fn the_sdk_comes_last_on_the_pythonpath() {
        let sdk = sdk::folder(Path::new("/data")).display().to_string();
        assert_eq!(pythonpath(&at(PortAdapter::new("x"), None)), sdk);
        assert_eq!(pythonpath(&at(PortAdapter::new("x"), Some(""))), sdk);
        assert_eq!(pythonpath(&at(PortAdapter::new("x"), Some("/mine"))), format!("/mine:{sdk}"));
        assert_eq!(pythonpath(&at(PortAdapter::new("x"), Some("/mine")).clear_env()), sdk);
        let set = at(PortAdapter::new("x"), Some("/mine")).env(PYTHONPATH, "/set:/two");
        assert_eq!(pythonpath(&set), format!("/set:/two:{sdk}"));
    }

    #[test]
    fn a_pythonpath_that_cannot_be_said_is_refused() {
        let adapter = at(PortAdapter::new("x"), None);
        let error = adapter.pythonpath(Path::new("/a:b")).unwrap_err().to_string();
        assert!(error.contains("holds a colon"), "{error}");
    }

    #[test]
    fn a_worker_is_told_its_wire() {
        let spec = spec(&at(PortAdapter::new("x"), None).env("A", "1"));
        assert_eq!(spec.env[OsStr::new(WIRE)], "port");
        assert_eq!(spec.env[OsStr::new("A")], "1");
        assert_eq!(spec.wire, Wire::Pipes);
        let on_stdio = super::tests::spec(&at(PortAdapter::new("x"), None).stdio());
        assert_eq!(
            (on_stdio.wire, on_stdio.env[OsStr::new(WIRE)].as_os_str()),
            (Wire::Stdio, "stdio".as_ref())
        );
    }
}
