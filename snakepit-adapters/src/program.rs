//! The program that a worker runs: what it is started with, whichever wire it speaks.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use snakepit_core::adapter::{AdapterFailure, WorkerContext};
use snakepit_core::{ProcessSpec, Wire};

use crate::sdk;

const PYTHONPATH: &str = "PYTHONPATH";
const WIRE: &str = "SNAKEPIT_WIRE";

/// A program as an adapter was asked to run it.
#[derive(Clone, Debug)]
pub(crate) struct WorkerProgram {
    /// As it was asked for; what counts from a directory does so when a worker starts.
    pub(crate) asked: ProcessSpec,
    script: Option<PathBuf>,
    /// The host's directory and `PYTHONPATH`, read once: later changes of either move no worker.
    host_dir: PathBuf,
    host_pythonpath: Option<OsString>,
}

/// The methods with which an adapter is told about its program, in the room of each adapter whose field `program` it is.
macro_rules! describe_program {
    () => {
        /// Adds an argument.
        pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
            self.program.asked.args.push(arg.into());
            self
        }

        /// Adds arguments.
        pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
            self.program.asked.args.extend(args.into_iter().map(Into::into));
            self
        }

        /// Sets a variable of the worker's environment.
        pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
            self.program.asked.env.insert(name.into(), value.into());
            self
        }

        /// Lets workers inherit nothing from the host's environment.
        pub fn clear_env(mut self) -> Self {
            self.program.asked.clear_env = true;
            self
        }

        /// Sets the directory that workers run in. A relative one counts from the host's current directory when the
        /// adapter was made.
        pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
            self.program.asked.cwd = Some(cwd.into());
            self
        }

        /// Runs workers as another user. Needs the right to, and the shim.
        pub fn user(mut self, user: UserIds) -> Self {
            self.program.asked.user = Some(user);
            self
        }

        /// Sets the workers' priority, from -20 (first) to 19 (last). Needs the shim.
        pub fn nice(mut self, nice: i32) -> Self {
            self.program.asked.nice = Some(nice);
            self
        }

        /// Raises the workers' `oom_score_adj` to this at least. Default 500. Needs the shim.
        pub fn oom_score_adj(mut self, score: u16) -> Self {
            self.program.asked.oom_score_adj = Some(score);
            self
        }

        /// Limits what each worker may use of a resource. Needs the shim.
        pub fn limit(mut self, limit: ResourceLimit) -> Self {
            self.program.asked.limits.push(limit);
            self
        }

        /// Says who of a worker's group is asked to leave when it is stopped. Default: the worker's own process.
        pub fn term(mut self, target: TermTarget) -> Self {
            self.program.asked.term = target;
            self
        }

        /// Lets a worker take this long to leave by itself when its host is gone. Default zero: it is killed at once.
        pub fn orphan_grace(mut self, grace: Duration) -> Self {
            self.program.asked.orphan_grace = grace;
            self
        }
    };
}

pub(crate) use describe_program;

impl WorkerProgram {
    #[expect(
        clippy::disallowed_methods,
        reason = "PYTHONPATH is the interpreter's, extended and not replaced"
    )]
    pub(crate) fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            asked: ProcessSpec { wire: Wire::Pipes, ..ProcessSpec::new(program) },
            script: None,
            // A host whose directory is gone runs its workers there, as it would without this line.
            host_dir: std::env::current_dir().unwrap_or_default(),
            host_pythonpath: std::env::var_os(PYTHONPATH),
        }
    }

    pub(crate) fn python(script: impl Into<PathBuf>) -> Self {
        Self { script: Some(script.into()), ..Self::new("python3") }
    }

    /// Unpacks what every worker may need.
    pub(crate) fn prepare(data_dir: &Path) -> Result<(), AdapterFailure> {
        sdk::unpack(data_dir).map_err(|error| AdapterFailure::Failed {
            what: format!("the Python worker SDK cannot be unpacked under {}: {error}", data_dir.display()),
        })
    }

    /// The process of one life of a worker that is to speak `wire`.
    pub(crate) fn spec(&self, worker: &WorkerContext, wire: &str) -> Result<ProcessSpec, AdapterFailure> {
        let cwd = self.asked.cwd.as_ref().map(|cwd| self.host_dir.join(cwd));
        let script = self.script.as_ref().map(|script| cwd.as_ref().unwrap_or(&self.host_dir).join(script));
        let is_name = self.asked.program.components().count() == 1 && !self.asked.program.is_absolute();
        let program =
            if is_name { self.asked.program.clone() } else { self.host_dir.join(&self.asked.program) };
        let sdk = sdk::folder(&self.absolute(&worker.data_dir));

        let mut spec = ProcessSpec { program, cwd, ..self.asked.clone() };
        spec.args.splice(..0, script.map(PathBuf::into_os_string));
        spec.env.insert(PYTHONPATH.into(), self.pythonpath(&sdk)?);
        spec.env.insert(WIRE.into(), wire.into());
        Ok(spec)
    }

    /// A path of the host's, for a process that may run elsewhere.
    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        self.host_dir.join(path)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use snakepit_core::{
        Incarnation, PoolName, ResourceLimit, Slot, TermTarget, UserIds, WorkerId, WorkerLife,
    };

    /// As an adapter has it.
    struct Described {
        program: WorkerProgram,
    }

    #[expect(unreachable_pub, dead_code, reason = "the methods are those of a public adapter")]
    impl Described {
        describe_program!();
    }

    fn spec(adapter: &Described) -> ProcessSpec {
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
        let life = WorkerLife { worker, incarnation: Incarnation(1) };
        let context = WorkerContext { life, data_dir: "/data".into() };
        adapter.program.spec(&context, "port").unwrap()
    }

    fn at(program: WorkerProgram, pythonpath: Option<&str>) -> Described {
        let host_pythonpath = pythonpath.map(Into::into);
        Described { program: WorkerProgram { host_dir: "/host".into(), host_pythonpath, ..program } }
    }

    fn pythonpath(adapter: &Described) -> String {
        spec(adapter).env[OsStr::new(PYTHONPATH)].clone().into_string().unwrap()
    }

    #[test]
    fn a_script_counts_from_where_the_worker_runs() {
        let python = || at(WorkerProgram::python("worker.py"), None).arg("--fast");
        let here = spec(&python());
        assert_eq!((here.program.as_path(), here.cwd), (Path::new("python3"), None));
        assert_eq!(here.args, ["/host/worker.py", "--fast"]);
        let there = spec(&python().cwd("sub"));
        assert_eq!(
            (there.args[0].as_os_str(), there.cwd),
            (OsStr::new("/host/sub/worker.py"), Some("/host/sub".into()))
        );
        assert_eq!(spec(&at(WorkerProgram::python("/abs/w.py"), None).cwd("/x")).args, ["/abs/w.py"]);
    }

    #[test]
    fn a_program_is_a_name_or_counts_from_the_host() {
        let program = |program: &str| spec(&at(WorkerProgram::new(program), None).cwd("/elsewhere")).program;
        assert_eq!(program("perl"), Path::new("perl"));
        assert_eq!(program("/bin/perl"), Path::new("/bin/perl"));
        assert_eq!(program("./worker"), Path::new("/host/./worker"));
        assert_eq!(program("bin/worker"), Path::new("/host/bin/worker"));
    }

    #[test]
    fn the_sdk_comes_last_on_the_pythonpath() {
        let sdk = sdk::folder(Path::new("/data")).display().to_string();
        assert_eq!(pythonpath(&at(WorkerProgram::new("x"), None)), sdk);
        assert_eq!(pythonpath(&at(WorkerProgram::new("x"), Some(""))), sdk);
        assert_eq!(pythonpath(&at(WorkerProgram::new("x"), Some("/mine"))), format!("/mine:{sdk}"));
        assert_eq!(pythonpath(&at(WorkerProgram::new("x"), Some("/mine")).clear_env()), sdk);
        let set = at(WorkerProgram::new("x"), Some("/mine")).env(PYTHONPATH, "/set:/two");
        assert_eq!(pythonpath(&set), format!("/set:/two:{sdk}"));
    }

    #[test]
    fn a_pythonpath_that_cannot_be_said_is_refused() {
        let adapter = at(WorkerProgram::new("x"), None);
        let error = adapter.program.pythonpath(Path::new("/a:b")).unwrap_err().to_string();
        assert!(error.contains("holds a colon"), "{error}");
    }

    #[test]
    fn a_worker_is_told_its_wire() {
        let spec = spec(&at(WorkerProgram::new("x"), None).env("A", "1"));
        assert_eq!(spec.env[OsStr::new(WIRE)], "port");
        assert_eq!(spec.env[OsStr::new("A")], "1");
        assert_eq!(spec.wire, Wire::Pipes);
    }
}
