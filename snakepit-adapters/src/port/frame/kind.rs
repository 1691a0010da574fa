//! The kinds of frames, who may send each, and which request id it carries.

use std::fmt;

/// One end of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The process that runs the pool.
    Host,
    /// The process that answers requests.
    Worker,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal, $senders:expr;)*) => {
        /// What a frame is, by its second field.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[doc = $doc])* $name = $code,)*
        }

        impl Kind {
            /// Every kind, in the order of its codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The kind with this code, if this version knows it.
            pub fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The name that the contract gives it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Whether that side may send it.
            pub fn may_come_from(self, side: Side) -> bool {
                let senders: &[Side] = match self {
                    $(Self::$name => $senders,)*
                };
                senders.contains(&side)
            }
        }
    };
}

kinds! {
    /// The host's first frame.
    Hello = 0x01, &[Side::Host];
    /// A request that is answered by one Result or Error.
    Execute = 0x02, &[Side::Host];
    /// A request that is answered by Chunks and one End or Error.
    ExecuteStream = 0x03, &[Side::Host];
    /// Nobody waits for that request any more.
    Cancel = 0x04, &[Side::Host];
    /// More chunks may be sent.
    Credit = 0x05, &[Side::Host];
    /// A session ended.
    EndSession = 0x06, &[Side::Host];
    /// A sign of life is wanted.
    Ping = 0x07, &[Side::Host];
    /// No more requests come.
    Drain = 0x08, &[Side::Host];
    /// The next part of a cut body.
    Part = 0x21, &[Side::Host, Side::Worker];
    /// Reserved: the worker asks something of the host.
    HostCall = 0x31, &[];
    /// Reserved: the host's answer.
    HostResult = 0x32, &[];
    /// The worker takes requests.
    Ready = 0x41, &[Side::Worker];
    /// The worker has begun with a request.
    Started = 0x42, &[Side::Worker];
    /// The answer to an Execute.
    Result = 0x43, &[Side::Worker];
    /// Why a request failed.
    Error = 0x44, &[Side::Worker];
    /// One item of a stream.
    Chunk = 0x45, &[Side::Worker];
    /// A stream is complete.
    End = 0x46, &[Side::Worker];
    /// The sign of life.
    Pong = 0x47, &[Side::Worker];
    /// A line for the host's log.
    Log = 0x48, &[Side::Worker];
    /// Something happened, such as progress of a request.
    Event = 0x49, &[Side::Worker];
    /// The worker asks to be replaced.
    Recycle = 0x4a, &[Side::Worker];
}

impl Kind {
    /// The code that stands in the frame.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Whether it is about a request, so that its id is never 0.
    pub fn is_about_request(self) -> bool {
        matches!(
            self,
            Self::Execute
                | Self::ExecuteStream
                | Self::Cancel
                | Self::Credit
                | Self::Started
                | Self::Result
                | Self::Error
                | Self::Chunk
                | Self::End
        )
    }

    /// Whether its body may be cut.
    pub fn may_be_cut(self) -> bool {
        matches!(
            self,
            Self::Execute | Self::ExecuteStream | Self::Result | Self::Error | Self::Chunk | Self::Part
        )
    }

    /// Whether it must wait until a cut body of the same request is complete.
    pub(super) fn waits_for_body(self) -> bool {
        self == Self::End || (self.may_be_cut() && self != Self::Part)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_leads_back_to_its_kind_and_no_other_code_does() {
        let known: Vec<u8> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        for code in 0..=u8::MAX {
            let kind = Kind::from_code(code);
            assert_eq!(kind.is_some(), known.contains(&code), "code {code:#04x}");
            assert!(kind.is_none_or(|kind| kind.code() == code));
        }
    }

    #[test]
    fn only_parts_travel_both_ways_and_reserved_kinds_travel_none() {
        for &kind in Kind::ALL {
            let senders =
                [Side::Host, Side::Worker].into_iter().filter(|side| kind.may_come_from(*side)).count();
            let expected = match kind {
                Kind::Part => 2,
                Kind::HostCall | Kind::HostResult => 0,
                _ => 1,
            };
            assert_eq!(senders, expected, "{kind}");
        }
    }
}
