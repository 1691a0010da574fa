//! The mark that every worker process carries in its environment, and its children inherit.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
use crate::process::identity::{ProcessIdentity, boot_id, handle};

/// The environment variable that holds a [`Marker`].
pub(crate) const VARIABLE: &str = "SNAKEPIT_MARK";

/// One data directory in one boot of the machine. It is worked out and never stored: who has lost every file in the
/// directory still knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct RegistryId(u64);

impl RegistryId {
    /// The id that a directory has in this boot.
    pub(crate) fn of(directory: &Metadata) -> io::Result<Self> {
        Ok(Self::derive(boot_id()?, directory.dev(), directory.ino()))
    }

    /// FNV-1a, which every build of every version computes alike.
    fn derive(boot: &str, device: u64, inode: u64) -> Self {
        let bytes = boot.bytes().chain(device.to_le_bytes()).chain(inode.to_le_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash)
    }
}

/// One run of a pit: made at its start, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RunId(uuid::Uuid);

impl RunId {
    pub(crate) fn new() -> Self {
        Self(uuid::Uuid::now_v7())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_simple().fmt(f)
    }
}

/// The host process, as short as a marker can say it: its number, and what tells it from others with that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostMark {
    pid: i32,
    token: u64,
}

impl HostMark {
    pub(crate) fn of(host: &ProcessIdentity) -> Self {
        Self { pid: host.pid(), token: host.token() }
    }

    /// Opens a handle of the host while it runs. `None`: it is gone, or has ended and waits to be reaped.
    pub(crate) fn open(self) -> io::Result<Option<handle::Handle>> {
        let host = match ProcessIdentity::read(self.pid) {
            Ok(identity) if Self::of(&identity) == self => identity.open()?,
            Ok(_) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(host.filter(|host| !handle::has_ended(host)))
    }
}

/// One run of a pit in one host process on one registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostRun {
    pub(crate) registry: RegistryId,
    pub(crate) run: RunId,
    pub(crate) host: HostMark,
}

impl HostRun {
    /// The mark that the processes of a life carry.
    pub(crate) fn marker(&self, life: &WorkerLife) -> Marker {
        Marker { registry: self.registry, run: self.run, host: self.host, life: life.clone() }
    }
}

/// Says of a process which life of which worker it belongs to, and who started it:
/// `registry.run.host pid-host token.pool.slot.incarnation`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Marker {
    pub(crate) registry: RegistryId,
    pub(crate) run: RunId,
    pub(crate) host: HostMark,
    pub(crate) life: WorkerLife,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self { registry, run, host, .. }, WorkerLife { worker, incarnation }) = (self, &self.life);
        let WorkerId { pool, slot } = worker;
        write!(f, "{:016x}.{run}.{}-{}.{pool}.{slot}.{incarnation}", registry.0, host.pid, host.token)
    }
}

/// The text is no marker of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMarker;

impl FromStr for Marker {
    type Err = NoMarker;

    fn from_str(text: &str) -> Result<Self, NoMarker> {
        Self::parse(text).ok_or(NoMarker)
    }
}

impl Marker {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let registry = RegistryId(u64::from_str_radix(parts.next()?, 16).ok()?);
        let run = RunId(uuid::Uuid::try_parse(parts.next()?).ok()?);
        let (pid, token) = parts.next()?.split_once('-')?;
        let host = HostMark { pid: pid.parse().ok()?, token: token.parse().ok()? };
        let pool = PoolName::new(parts.next()?).ok()?;
        let slot = Slot(parts.next()?.parse().ok()?);
        let incarnation = Incarnation(parts.next()?.parse().ok()?);
        let life = WorkerLife { worker: WorkerId { pool, slot }, incarnation };
        parts.next().is_none().then_some(Self { registry, run, host, life })
    }
}

#[cfg(test)]
impl HostRun {
    /// A run of this very process on a registry of no directory and of its own: the tests beside it sweep theirs.
    pub(crate) fn of_a_test() -> Self {
        let own = ProcessIdentity::read(std::process::id().cast_signed()).unwrap();
        let run = RunId::new();
        Self { registry: RegistryId(run.0.as_u64_pair().1), run, host: HostMark::of(&own) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_as_it_was_written() {
        let worker = WorkerId { pool: PoolName::new("gpu-1").unwrap(), slot: Slot(7) };
        let marker = HostRun::of_a_test().marker(&WorkerLife { worker, incarnation: Incarnation(12) });
        assert_eq!(marker.to_string().parse(), Ok(marker));
    }

    #[test]
    fn anything_else_is_no_marker() {
        let run = "0190a7b2c3d47e5f8a9b0c1d2e3f4a5b";
        let good = format!("00000000000000ff.{run}.12-34.default.1.1");
        assert!(good.parse::<Marker>().is_ok());
        for text in [
            "",
            "x",
            "...",
            &format!("{run}.default.1.1"),
            &format!("00000000000000ff.{run}.12.default.1.1"),
            &format!("00000000000000ff.{run}.12-34.default.1"),
            &format!("{good}.more"),
        ] {
            assert_eq!(text.parse::<Marker>(), Err(NoMarker), "{text}");
        }
    }

    #[test]
    fn a_registry_is_told_by_boot_device_and_inode_and_alike_by_every_build() {
        let id = RegistryId::derive("boot", 1, 2);
        assert_eq!(id, RegistryId(0xd015_40df_18b3_2b96));
        for other in [
            RegistryId::derive("later", 1, 2),
            RegistryId::derive("boot", 2, 2),
            RegistryId::derive("boot", 1, 3),
        ] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn a_host_is_open_while_it_runs_and_by_no_other_token() {
        let own = HostRun::of_a_test().host;
        assert!(own.open().unwrap().is_some());
        assert!(HostMark { token: own.token + 1, ..own }.open().unwrap().is_none());
        assert!(HostMark { pid: i32::MAX, token: 1 }.open().unwrap().is_none());
    }
}
