//! What host and shim say to each other: one packet of four numbers a message, on a socket that keeps packets whole.

use std::io;

use crate::process::TermTarget;

/// The version of these packets and of the plan: it goes up with every change of either. A shim of another version, which
/// only a program that is named as one can be, is not used, and the host says why.
pub(in crate::process) const VERSION: u32 = 1;
/// The length of every packet.
pub(in crate::process) const SIZE: usize = 16;

/// A packet as it travels.
pub(in crate::process) type Bytes = [u8; SIZE];

/// What the host asks of a shim. The end of the file means that the host, or its interest, is gone: end the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::process) enum Order {
    /// Start the worker. The plan and the worker's ends of the wire go with it as file descriptors.
    Go,
    /// Ask the worker to leave: TERM, and CONT so that a stopped one hears it.
    Term(TermTarget),
    /// Kill whatever is left of the tree.
    Kill,
}

/// What a shim tells its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::process) enum News {
    /// It is up and nothing has been started. `sees_tree`: the system lists children to it, without which it could not
    /// find what leaves the group.
    Hello { version: u32, sees_tree: bool },
    /// The worker's program runs under this number.
    Started { pid: i32 },
    /// The worker could not be started: this step failed, with this error of the system. Nothing is left.
    Failed { step: Step, errno: i32 },
    /// The worker's own process has ended, with this wait status. What it left behind is being killed.
    Exited { status: i32 },
    /// Nothing of the tree is left; the shim goes too.
    Done,
}

/// A step on the way from the shim to the running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::process) enum Step {
    /// Reading the plan.
    Plan,
    /// Making the process.
    Fork,
    /// Giving it a group of its own.
    Group,
    /// Placing the wire on its file descriptors.
    Wire,
    /// Setting a resource limit.
    Limit,
    /// Making it the first choice when memory runs out.
    OomScore,
    /// Setting its priority.
    Nice,
    /// Becoming another user.
    User,
    /// Entering its working directory.
    Directory,
    /// Tying its life to the shim's.
    Lifeline,
    /// Running the program.
    Exec,
}

const STEPS: [Step; 11] = [
    Step::Plan,
    Step::Fork,
    Step::Group,
    Step::Wire,
    Step::Limit,
    Step::OomScore,
    Step::Nice,
    Step::User,
    Step::Directory,
    Step::Lifeline,
    Step::Exec,
];

impl Step {
    pub(super) fn number(self) -> u32 {
        self as u32
    }

    pub(super) fn from_number(number: u32) -> Option<Self> {
        STEPS.get(usize::try_from(number).ok()?).copied()
    }
}

impl Order {
    pub(in crate::process) fn encode(self) -> Bytes {
        match self {
            Self::Go => words([1, VERSION, 0, 0]),
            Self::Term(TermTarget::Main) => words([2, 0, 0, 0]),
            Self::Term(TermTarget::Group) => words([2, 1, 0, 0]),
            Self::Kill => words([3, 0, 0, 0]),
        }
    }

    /// `None`: a packet that no host of this version sends.
    pub(super) fn decode(bytes: Bytes) -> Option<Self> {
        match read(bytes) {
            [1, VERSION, ..] => Some(Self::Go),
            [2, 0, ..] => Some(Self::Term(TermTarget::Main)),
            [2, 1, ..] => Some(Self::Term(TermTarget::Group)),
            [3, ..] => Some(Self::Kill),
            _ => None,
        }
    }
}

impl News {
    pub(super) fn encode(self) -> Bytes {
        match self {
            Self::Hello { version, sees_tree } => words([1, version, u32::from(sees_tree), 0]),
            Self::Started { pid } => words([2, pid.cast_unsigned(), 0, 0]),
            Self::Failed { step, errno } => words([3, step.number(), errno.cast_unsigned(), 0]),
            Self::Exited { status } => words([4, status.cast_unsigned(), 0, 0]),
            Self::Done => words([5, 0, 0, 0]),
        }
    }

    /// # Errors
    /// `InvalidData` for what no shim of this version says.
    pub(in crate::process) fn decode(bytes: &[u8]) -> io::Result<Self> {
        let unknown = || io::Error::new(io::ErrorKind::InvalidData, "the shim said what no shim says");
        match read(bytes.try_into().map_err(|_| unknown())?) {
            [1, version, sees_tree, _] => Ok(Self::Hello { version, sees_tree: sees_tree == 1 }),
            [2, pid, ..] => Ok(Self::Started { pid: pid.cast_signed() }),
            [3, step, errno, _] => {
                let step = Step::from_number(step).ok_or_else(unknown)?;
                Ok(Self::Failed { step, errno: errno.cast_signed() })
            }
            [4, status, ..] => Ok(Self::Exited { status: status.cast_signed() }),
            [5, ..] => Ok(Self::Done),
            _ => Err(unknown()),
        }
    }
}

fn words(words: [u32; 4]) -> Bytes {
    let mut bytes = [0; SIZE];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

fn read(bytes: Bytes) -> [u32; 4] {
    let mut words = [0; 4];
    for (word, place) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_ne_bytes(place.try_into().unwrap_or_default());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_arrive_as_they_were_given() {
        for order in [Order::Go, Order::Term(TermTarget::Main), Order::Term(TermTarget::Group), Order::Kill] {
            assert_eq!(Order::decode(order.encode()), Some(order));
        }
        assert_eq!(Order::decode([7; SIZE]), None);
        assert_eq!(Order::decode(words([1, VERSION + 1, 0, 0])), None);
    }

    #[test]
    fn news_arrive_as_they_were_told() {
        let told = [
            News::Hello { version: VERSION, sees_tree: true },
            News::Hello { version: 9, sees_tree: false },
            News::Started { pid: 4_194_303 },
            News::Exited { status: 0x8b },
            News::Done,
        ];
        let failed = STEPS.map(|step| News::Failed { step, errno: 13 });
        for news in told.into_iter().chain(failed) {
            assert_eq!(News::decode(&news.encode()).unwrap(), news);
        }
        assert!(News::decode(&[0; SIZE]).is_err());
        assert!(News::decode(&[1]).is_err());
        assert!(News::decode(&words([3, 99, 0, 0])).is_err());
    }
}
