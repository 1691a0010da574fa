//! What the system tests share.

pub mod oracle;
pub mod otp;
