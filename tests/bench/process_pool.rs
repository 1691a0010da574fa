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

if __name__ == '__main__':
    calls = int(sys.argv[1])
    data = b'7' * 64
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(nothing, [data] * 4))
        laps = []
        for _ in range(calls):
            start = time.perf_counter()
            pool.submit(nothing, data).result()
            laps.append(time.perf_counter() - start)
        laps.sort()
        def caller():
            for _ in range(calls // 2):
                pool.submit(nothing, data).result()
        threads = [threading.Thread(target=caller) for _ in range(2)]
        start = time.perf_counter()
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        took = time.perf_counter() - start
    print(json.dumps({'p50_us': laps[len(laps) // 2] * 1e6, 'per_second': calls // 2 * 2 / took}))
";

pub(crate) fn measure(calls: usize) -> Result<ProcessPool, Box<dyn Error>> {
    let output = Command::new("python3").args(["-c", SCRIPT, &calls.max(100).to_string()]).output()?;
    if !output.status.success() {
        return Err(format!("ProcessPoolExecutor: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
