//! What a configuration file says of a pool whose adapter is `port` or `grpc`.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use snakepit_core::{Resource, ResourceLimit, TermTarget, UserIds, size};

#[cfg(feature = "grpc")]
use crate::GrpcAdapter;
use crate::port::PortAdapter;

/// The keys of a pool's table that describe its workers' program, beside the options that every pool has.
///
/// Relative paths count from the folder of the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of a file, where true and false are what is written"
)]
pub(crate) struct PortOptions {
    /// The program that each worker runs: a path, or a name that is looked up in `PATH`. Either this or `script`.
    pub(crate) program: Option<PathBuf>,
    /// A Python script that each worker runs, with the `python3` of the host's `PATH`. It counts from `cwd`.
    pub(crate) script: Option<PathBuf>,
    /// The program's or the script's arguments. Default: none.
    pub(crate) args: Vec<String>,
    /// Variables to set, over what is inherited. Default: none.
    pub(crate) env: BTreeMap<String, String>,
    /// Whether nothing is inherited from the host's environment. Default `false`.
    pub(crate) clear_env: bool,
    /// The workers' directory. Default: the folder of the file.
    pub(crate) cwd: Option<PathBuf>,
    /// As whom they run, by number: `{ uid = 1000, gid = 1000, groups = [] }`. Default: as the host. Needs the shim.
    pub(crate) user: Option<UserIds>,
    /// Their priority, from -20 (first) to 19 (last). Default: the host's. Needs the shim.
    pub(crate) nice: Option<i32>,
    /// The least `oom_score_adj` that they have, up to 1000. Default 500: they go before their host. Needs the shim.
    pub(crate) oom_score_adj: Option<u16>,
    /// Whether the wire is the workers' stdin and stdout, for programs that cannot use file descriptors 3 and 4.
    pub(crate) stdio: bool,
    /// With `grpc` alone: whether the workers listen on a port of 127.0.0.1 in place of a Unix socket.
    pub(crate) tcp: bool,
    /// With `grpc` alone: whether workers are asked by calls also where they offer Connect, for tools that look on.
    pub(crate) by_calls: bool,
    /// With `grpc` alone: how many requests a worker may run at once that is asked by calls: one that offers Connect says so
    /// itself. Default 1.
    pub(crate) calls_at_once: Option<NonZeroU16>,
    /// Limits on what each worker may use. Default: the host's own. Needs the shim.
    pub(crate) limits: Limits,
    /// Who of a worker's group is asked to leave when it is stopped: `main`, its own process, or `group`.
    /// Default `main`.
    pub(crate) term: TermTarget,
    /// How long a worker may take to leave by itself once its host is gone. Default zero: it is killed at once.
    #[serde(with = "humantime_serde")]
    pub(crate) orphan_grace: Duration,
}

/// Limits on resources (`setrlimit(2)`), each both soft and hard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Address space, as a size.
    #[serde(with = "size::option")]
    address_space: Option<u64>,
    /// A core dump, as a size.
    #[serde(with = "size::option")]
    core_size: Option<u64>,
    /// Processor time, in seconds.
    cpu_time: Option<u64>,
    /// Any file that it writes, as a size.
    #[serde(with = "size::option")]
    file_size: Option<u64>,
    /// Open files.
    open_files: Option<u64>,
    /// Processes and threads of its user.
    processes: Option<u64>,
    /// The stack, as a size.
    #[serde(with = "size::option")]
    stack: Option<u64>,
}

impl Limits {
    fn asked(self) -> impl Iterator<Item = ResourceLimit> {
        let limits = [
            (Resource::AddressSpace, self.address_space),
            (Resource::CoreSize, self.core_size),
            (Resource::CpuTime, self.cpu_time),
            (Resource::FileSize, self.file_size),
            (Resource::OpenFiles, self.open_files),
            (Resource::Processes, self.processes),
            (Resource::Stack, self.stack),
        ];
        let asked = limits.into_iter().filter(|(_, limit)| limit.is_some());
        asked.map(|(resource, limit)| ResourceLimit { resource, soft: limit, hard: limit })
    }
}

/// Why options describe no worker.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum NoWorker {
    #[error("a worker needs a program or a script")]
    NothingToRun,
    #[error("a worker runs a program or a script, not both")]
    TwoThingsToRun,
    #[error("{key} is for workers over grpc")]
    OnlyGrpc { key: &'static str },
    #[error("nice is from -20 to 19, not {nice}")]
    Nice { nice: i32 },
    #[error("oom_score_adj is at most 1000, not {score}")]
    OomScore { score: u16 },
}

impl PortOptions {
    /// The adapter that they describe. Relative paths count from `folder`.
    pub(crate) fn adapter(self, folder: &Path) -> Result<PortAdapter, NoWorker> {
        let only_grpc =
            [("tcp", self.tcp), ("by_calls", self.by_calls), ("calls_at_once", self.calls_at_once.is_some())];
        if let Some((key, _)) = only_grpc.into_iter().find(|(_, is_said)| *is_said) {
            return Err(NoWorker::OnlyGrpc { key });
        }
        self.program(folder)
    }

    /// The same over gRPC.
    #[cfg(feature = "grpc")]
    pub(crate) fn grpc_adapter(self, folder: &Path) -> Result<GrpcAdapter, NoWorker> {
        let (tcp, by_calls, calls_at_once) = (self.tcp, self.by_calls, self.calls_at_once);
        let mut adapter = GrpcAdapter::running(self.program(folder)?);
        if tcp {
            adapter = adapter.tcp();
        }
        if by_calls {
            adapter = adapter.by_calls();
        }
        if let Some(calls) = calls_at_once {
            adapter = adapter.capacity(calls.get());
        }
        Ok(adapter)
    }

    fn program(self, folder: &Path) -> Result<PortAdapter, NoWorker> {
        let adapter = match (self.program, self.script) {
            (None, None) => return Err(NoWorker::NothingToRun),
            (Some(_), Some(_)) => return Err(NoWorker::TwoThingsToRun),
            (None, Some(script)) => PortAdapter::python(script),
            // A name without a slash is looked up in PATH.
            (Some(name), None) if name.components().count() == 1 && !name.is_absolute() => {
                PortAdapter::new(name)
            }
            (Some(path), None) => PortAdapter::new(folder.join(path)),
        };
        let cwd = self.cwd.map_or_else(|| folder.to_owned(), |cwd| folder.join(cwd));
        let mut adapter = adapter.args(self.args).cwd(cwd);
        for (name, value) in self.env {
            adapter = adapter.env(name, value);
        }
        if self.clear_env {
            adapter = adapter.clear_env();
        }
        if self.stdio {
            adapter = adapter.stdio();
        }
        if let Some(user) = self.user {
            adapter = adapter.user(user);
        }
        if let Some(nice) = self.nice {
            let is_known = (-20..=19).contains(&nice);
            adapter = if is_known { adapter.nice(nice) } else { return Err(NoWorker::Nice { nice }) };
        }
        if let Some(score) = self.oom_score_adj {
            adapter = if score <= 1000 {
                adapter.oom_score_adj(score)
            } else {
                return Err(NoWorker::OomScore { score });
            };
        }
        adapter = self.limits.asked().fold(adapter, PortAdapter::limit);
        Ok(adapter.term(self.term).orphan_grace(self.orphan_grace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(value: serde_json::Value) -> PortOptions {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_file_can_say_whatever_the_adapter_can_be_told() {
        let said = options(serde_json::json!({
            "program": "bin/worker", "args": ["--fast"], "env": {"A": "1"}, "clear_env": true, "cwd": "sub", "stdio": true,
            "user": {"uid": 1, "gid": 2}, "nice": 3, "oom_score_adj": 700, "term": "group", "orphan_grace": "1s",
            "limits": {"open_files": 64, "address_space": "2GiB"},
        }));
        let limit = |resource, limit| ResourceLimit { resource, soft: Some(limit), hard: Some(limit) };
        let told = PortAdapter::new("/folder/bin/worker")
            .arg("--fast")
            .env("A", "1")
            .clear_env()
            .stdio()
            .cwd("/folder/sub")
            .user(UserIds { uid: 1, gid: 2, groups: Vec::new() })
            .nice(3)
            .oom_score_adj(700)
            .term(TermTarget::Group)
            .orphan_grace(Duration::from_secs(1))
            .limit(limit(Resource::AddressSpace, 2 << 30))
            .limit(limit(Resource::OpenFiles, 64));
        assert_eq!(format!("{:?}", said.adapter(Path::new("/folder")).unwrap()), format!("{told:?}"));
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn a_file_can_say_how_workers_are_reached_over_grpc() {
        let said = |value| options(value).grpc_adapter(Path::new("/folder")).unwrap();
        let (program, told) = ("/folder/bin/worker", |adapter: GrpcAdapter| adapter.cwd("/folder"));
        let plain = said(serde_json::json!({"program": "bin/worker"}));
        assert_eq!(format!("{plain:?}"), format!("{:?}", told(GrpcAdapter::new(program))));
        let all =
            serde_json::json!({"program": "bin/worker", "tcp": true, "by_calls": true, "calls_at_once": 4});
        let expected = told(GrpcAdapter::new(program).tcp().by_calls().capacity(4));
        assert_eq!(format!("{:?}", said(all)), format!("{expected:?}"));
        let none =
            serde_json::from_value::<PortOptions>(serde_json::json!({"program": "a", "calls_at_once": 0}));
        assert!(none.is_err(), "{none:?}");
    }

    #[test]
    fn a_worker_runs_where_the_file_lies_unless_it_says_otherwise() {
        let script =
            options(serde_json::json!({"script": "worker.py"})).adapter(Path::new("/folder")).unwrap();
        assert_eq!(format!("{script:?}"), format!("{:?}", PortAdapter::python("worker.py").cwd("/folder")));
        let name = options(serde_json::json!({"program": "perl"})).adapter(Path::new("/folder")).unwrap();
        assert_eq!(format!("{name:?}"), format!("{:?}", PortAdapter::new("perl").cwd("/folder")));
    }

    #[test]
    fn options_that_describe_no_worker_are_refused() {
        let table = [
            (serde_json::json!({}), NoWorker::NothingToRun),
            (serde_json::json!({"program": "a", "script": "b"}), NoWorker::TwoThingsToRun),
            (serde_json::json!({"program": "a", "tcp": true}), NoWorker::OnlyGrpc { key: "tcp" }),
            (serde_json::json!({"program": "a", "by_calls": true}), NoWorker::OnlyGrpc { key: "by_calls" }),
            (
                serde_json::json!({"program": "a", "calls_at_once": 1}),
                NoWorker::OnlyGrpc { key: "calls_at_once" },
            ),
            (serde_json::json!({"program": "a", "nice": 20}), NoWorker::Nice { nice: 20 }),
            (serde_json::json!({"program": "a", "oom_score_adj": 1001}), NoWorker::OomScore { score: 1001 }),
        ];
        for (said, expected) in table {
            assert_eq!(options(said).adapter(Path::new("/")).unwrap_err(), expected);
        }
    }
}
