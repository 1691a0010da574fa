//! Systems without shims: nobody has a socket to one.

use crate::process::sighting::Sighting;
use crate::process::tether::Bonds;
use crate::process::{ProcessExit, TermTarget};

/// There is none.
#[derive(Debug)]
pub(super) enum ShimSocket {}

impl ShimSocket {
    pub(super) fn order_term(&self, _target: TermTarget) {
        match *self {}
    }

    pub(super) fn order_kill(&self) {
        match *self {}
    }

    pub(super) fn shut(&self) {
        match *self {}
    }

    pub(super) fn hear_out(&self, _know_exit: impl Fn(ProcessExit)) -> bool {
        match *self {}
    }
}

impl Bonds {
    /// Without shims there is nothing that one could leave.
    #[expect(clippy::unused_self, reason = "where there are shims, the bonds know whom they held")]
    pub(super) fn reap_adopted(&self, _ended: &[Sighting]) {}
}
