//! Python's `ProcessPoolExecutor` with 2 workers that do nothing: what a Python service would use instead.

use std::error::Error;
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct ProcessPool {
    /// One call at a time, in microseconds.
    pub(crate) p50_us: f64,
    /// With two calls under way.
    pub(crate) per_second: f64,
}

const SCRIPT: &str = r"
import json, sys, threading, time
from concurrent.futures import ProcessPoolExecutor

def nothing(data):
    return data

def size(data):
    return len(data)

if __name__ == '__main__':
    calls = int(sys.argv[1])
    data = b'7' * int(sys.argv[2])
    with ProcessPoolExecutor(2) as pool:
        command = nothing if len(data) == 64 else size
        list(pool.map(command, [data] * 4))
        laps = []
        for _ in range(calls):
            start = time.perf_counter()
            pool.submit(command, data).result()
            laps.append(time.perf_counter() - start)
        laps.sort()
        def caller():
            for _ in range(calls // 2):
                pool.submit(command, data).result()
        threads = [threading.Thread(target=caller) for _ in range(2)]
        start = time.perf_counter()
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        took = time.perf_counter() - start
    print(json.dumps({'p50_us': laps[len(laps) // 2] * 1e6, 'per_second': calls // 2 * 2 / took}))
";

/// With arguments of so many bytes: 64 come back, more are only counted.
pub(crate) fn measure(calls: usize, size: usize) -> Result<ProcessPool, Box<dyn Error>> {
    let (calls, size) = (calls.max(100).to_string(), size.to_string());
    let output = Command::new("python3").args(["-c", SCRIPT, &calls, &size]).output()?;
    if !output.status.success() {
        return Err(format!("ProcessPoolExecutor: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
