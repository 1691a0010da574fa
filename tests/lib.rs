//! What the system tests share: the programs that they run, and what the system itself says of processes.

pub mod actors;
pub mod chance;
pub mod fuzz;
pub mod host;
pub mod keeper;
pub mod lacking;
pub mod oracle;
pub mod otp;
pub mod roles;
pub mod stranger;
pub mod stub_worker;
pub mod worst_worker;
