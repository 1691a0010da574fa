//! Python's own pools with 2 workers that do nothing: what a Python service would use instead.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde::Deserialize;
use snakepit_tests::lacking::python_with_extras;

use crate::child::python;

/// Which pool.
#[derive(Clone, Copy)]
pub(crate) enum Library {
    /// `concurrent.futures.ProcessPoolExecutor`.
    Executor,
    /// `multiprocessing.Pool`.
    Pool,
    /// `loky`, from `PyPI`.
    Loky,
}

#[derive(Deserialize)]
pub(crate) struct ProcessPool {
    /// One call at a time, in microseconds.
    pub(crate) p50_us: f64,
    /// With two callers, one call of each under way.
    pub(crate) per_second_d2: f64,
    /// With all calls handed over at once, each of them a task of its own.
    pub(crate) per_second_all: f64,
}

const SCRIPT: &str = r"
import json, sys, threading, time

def nothing(data):
    return data

def size(data):
    return len(data)

if __name__ == '__main__':
    library, calls = sys.argv[1], int(sys.argv[2])
    data = b'7' * int(sys.argv[3])
    command = nothing if len(data) == 64 else size
    if library == 'pool':
        from multiprocessing import Pool
        pool = Pool(2)
        one = lambda: pool.apply(command, (data,))
        many = lambda count: pool.map(command, [data] * count, chunksize=1)
    else:
        if library == 'loky':
            from loky import ProcessPoolExecutor
        else:
            from concurrent.futures import ProcessPoolExecutor
        pool = ProcessPoolExecutor(2)
        one = lambda: pool.submit(command, data).result()
        many = lambda count: [future.result() for future in [pool.submit(command, data) for _ in range(count)]]
    many(4)
    laps = []
    for _ in range(calls):
        start = time.perf_counter()
        one()
        laps.append(time.perf_counter() - start)
    laps.sort()
    def caller():
        for _ in range(calls // 2):
            one()
    threads = [threading.Thread(target=caller) for _ in range(2)]
    start = time.perf_counter()
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    both = time.perf_counter() - start
    start = time.perf_counter()
    many(calls)
    every = time.perf_counter() - start
    if library == 'pool':
        pool.terminate()
    else:
        pool.shutdown()
    print(json.dumps({
        'p50_us': laps[len(laps) // 2] * 1e6,
        'per_second_d2': calls // 2 * 2 / both,
        'per_second_all': calls / every,
    }))
";

/// The interpreter that has loky, if one does.
pub(crate) fn loky() -> Option<&'static Path> {
    static LOKY: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        let python = python_with_extras()?;
        let found = Command::new(&python).args(["-c", "import loky"]).output().ok()?;
        found.status.success().then_some(python)
    });
    LOKY.as_deref()
}

/// With arguments of so many bytes: 64 come back, more are only counted.
pub(crate) fn measure(library: Library, calls: usize, size: usize) -> Result<ProcessPool, Box<dyn Error>> {
    let (name, python) = match library {
        Library::Executor => ("executor", python()),
        Library::Pool => ("pool", python()),
        Library::Loky => ("loky", loky().ok_or("loky is missing")?),
    };
    let (calls, size) = (calls.max(100).to_string(), size.to_string());
    let output = Command::new(python).args(["-c", SCRIPT, name, &calls, &size]).output()?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
