//! What a process holds, and measuring in one of its own: memory that was freed before hides what is taken after.

use std::error::Error;
use std::io;
use std::process::Command;

/// The first argument of the process that measures alone.
pub(crate) const ROLE: &str = "alone";

/// The process's memory, in bytes (`proc_pid_statm(5)`).
pub(crate) fn resident() -> Result<f64, Box<dyn Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u32 = statm.split(' ').nth(1).ok_or("no resident size")?.parse()?;
    Ok(f64::from(pages) * 4096.0)
}

/// The most memory that the process has held at once, in bytes (`proc_pid_status(5)`).
pub(crate) fn peak() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix(" kB")?.trim().parse().ok());
    kilobytes.map(|kilobytes: u64| kilobytes * 1024).ok_or_else(|| io::Error::other("no peak"))
}

/// Measures in a process that does nothing else.
pub(crate) fn alone(what: &str, calls: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?).args([ROLE, what, &calls.to_string()]).output()?;
    if !output.status.success() {
        return Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
