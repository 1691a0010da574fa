//! What the system tests share.

pub mod oracle;
