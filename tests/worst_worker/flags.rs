//! The command line: which misdeeds.

/// What the worker does beside serving.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line, independent of the others"
)]
pub(super) struct Flags {
    /// `--polite`: hears TERM, Drain and the end of the wire; its offspring does not.
    pub(super) is_polite: bool,
    /// `--hears-term`: blocks no signal of its own, and is bad in every other way.
    pub(super) hears_term: bool,
    /// `--no-daemon`: no daemon of its own session.
    pub(super) has_daemon: bool,
    /// `--keep-env`: the daemon keeps the environment, and with it the mark.
    pub(super) keeps_env: bool,
    /// `--no-grandchild`: no grandchild in the group.
    pub(super) has_grandchild: bool,
    /// `--hands-stdout`: the grandchild and the daemon keep stdout, stderr and the wire.
    pub(super) hands_stdout: bool,
    /// `--bomb N`: forks so many processes in the group, as fast as it can, while they fork too.
    pub(super) bomb: Option<u16>,
    /// `--bomb-sessions`: each process of the bomb in a session of its own.
    pub(super) bomb_sessions: bool,
    /// `--raises-limits`: as many descriptors as the hard limit allows.
    pub(super) raises_limits: bool,
    /// `--stops-itself`: SIGSTOP to itself as soon as it is ready.
    pub(super) stops_itself: bool,
    /// `--closes-stdout`: before it is ready.
    pub(super) closes_stdout: bool,
    /// `--flood BYTES`: so much in lines to stdout before it is ready.
    pub(super) flood: Option<usize>,
    /// `--line BYTES`: so much without a line end to stdout before it is ready.
    pub(super) line: Option<usize>,
}

impl Flags {
    pub(super) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut flags = Self {
            is_polite: false,
            hears_term: false,
            has_daemon: true,
            keeps_env: false,
            has_grandchild: true,
            hands_stdout: false,
            bomb: None,
            bomb_sessions: false,
            raises_limits: false,
            stops_itself: false,
            closes_stdout: false,
            flood: None,
            line: None,
        };
        while let Some(flag) = args.next() {
            match flag.as_str() {
                "--polite" => flags.is_polite = true,
                "--hears-term" => flags.hears_term = true,
                "--no-daemon" => flags.has_daemon = false,
                "--keep-env" => flags.keeps_env = true,
                "--no-grandchild" => flags.has_grandchild = false,
                "--hands-stdout" => flags.hands_stdout = true,
                "--bomb" => flags.bomb = args.next().and_then(|count| count.parse().ok()),
                "--bomb-sessions" => flags.bomb_sessions = true,
                "--raises-limits" => flags.raises_limits = true,
                "--stops-itself" => flags.stops_itself = true,
                "--closes-stdout" => flags.closes_stdout = true,
                "--flood" => flags.flood = args.next().and_then(|bytes| bytes.parse().ok()),
                "--line" => flags.line = args.next().and_then(|bytes| bytes.parse().ok()),
                unknown => return Err(format!("unknown flag {unknown}")),
            }
        }
        Ok(flags)
    }
}
