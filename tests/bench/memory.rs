//! What a process holds, and measuring in one of its own: memory that was freed before hides what is taken after.

use std::error::Error;
use std::process::Command;

/// The first argument of the process that measures alone.
pub(crate) const ROLE: &str = "alone";

/// The process's memory, in bytes (`proc_pid_statm(5)`).
pub(crate) fn resident() -> Result<f64, Box<dyn Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u32 = statm.split(' ').nth(1).ok_or("no resident size")?.parse()?;
    Ok(f64::from(pages) * 4096.0)
}

/// Measures in a process that does nothing else.
pub(crate) fn alone(what: &str, calls: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?).args([ROLE, what, &calls.to_string()]).output()?;
    if !output.status.success() {
        return Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
