//! The plan of a start: everything the shim needs to become the worker's parent, laid out by the host in memory that the
//! shim maps and uses as it is. The shim neither parses nor allocates; it only checks that every reference stays inside.
//!
//! The memory holds words of the machine's size: first the [`HEADER`] fields, then tables, then the bytes of all texts,
//! each ended by a zero. A text is named by its place in bytes, a table by its place in words. Tables of texts become
//! tables of pointers where they lie.

use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use crate::process::TermTarget;
use crate::process::shim::packet::VERSION;

const WORD: usize = size_of::<usize>();
/// The number of header fields.
const HEADER: usize = 21;

/// The header's fields, by their place.
#[derive(Clone, Copy)]
enum Field {
    Version,
    Program,
    Args,
    ArgCount,
    Env,
    EnvCount,
    /// 0: the host's own directory.
    Directory,
    HasUser,
    Uid,
    Gid,
    Groups,
    GroupCount,
    HasNice,
    Nice,
    /// The wanted score and 1, so that 0 says that nothing is wanted.
    OomScore,
    Limits,
    LimitCount,
    TermTarget,
    StopGrace,
    OrphanGrace,
    /// Where the wire is placed, if there is one: 0 for 3 and 4, 1 for 0 and 1.
    WirePlace,
}

/// What the host asks for, before it is laid out.
#[derive(Debug, Default)]
pub(in crate::process) struct Draft {
    pub(in crate::process) program: CString,
    pub(in crate::process) args: Vec<CString>,
    /// `NAME=value`.
    pub(in crate::process) env: Vec<CString>,
    pub(in crate::process) directory: Option<CString>,
    /// User, group, further groups.
    pub(in crate::process) user: Option<(u32, u32, Vec<u32>)>,
    pub(in crate::process) nice: Option<i32>,
    /// 0 to 1000.
    pub(in crate::process) oom_score: Option<u16>,
    /// Whether the wire is the worker's standard input and output, and not 3 and 4.
    pub(in crate::process) wire_on_stdio: bool,
    /// Resource number, soft limit, hard limit; `u64::MAX` is none.
    pub(in crate::process) limits: Vec<(u32, u64, u64)>,
    pub(in crate::process) term: TermTarget,
    /// How long a worker may take after a TERM that the shim itself was sent.
    pub(in crate::process) stop_grace: Duration,
    /// How long a worker may take after its host is gone; zero: it is killed at once.
    pub(in crate::process) orphan_grace: Duration,
}

impl Draft {
    /// Lays the plan out.
    pub(in crate::process) fn lay_out(&self) -> Vec<u8> {
        let mut layout = Layout::default();
        layout.words.resize(HEADER, 0);
        layout.set(Field::Version, VERSION as usize);
        let (groups, ids): (&[u32], _) = match &self.user {
            Some((uid, gid, groups)) => (groups, Some((uid, gid))),
            None => (&[], None),
        };
        let args = layout.reserve(Field::Args, Field::ArgCount, self.args.len() + 1);
        let env = layout.reserve(Field::Env, Field::EnvCount, self.env.len());
        let limits = layout.reserve(Field::Limits, Field::LimitCount, self.limits.len() * 3);
        let group_table = layout.reserve(Field::Groups, Field::GroupCount, groups.len());
        for (place, (resource, soft, hard)) in self.limits.iter().enumerate() {
            let words = [*resource as usize, word(*soft), word(*hard)];
            layout.words[limits + place * 3..][..3].copy_from_slice(&words);
        }
        for (place, group) in groups.iter().enumerate() {
            layout.words[group_table + place] = *group as usize;
        }
        if let Some((uid, gid)) = ids {
            layout.set(Field::HasUser, 1);
            layout.set(Field::Uid, *uid as usize);
            layout.set(Field::Gid, *gid as usize);
        }
        if let Some(nice) = self.nice {
            layout.set(Field::HasNice, 1);
            layout.set(Field::Nice, isize::try_from(nice).unwrap_or_default().cast_unsigned());
        }
        layout.set(Field::OomScore, self.oom_score.map_or(0, |score| usize::from(score) + 1));
        layout.set(Field::TermTarget, usize::from(self.term == TermTarget::Group));
        layout.set(Field::StopGrace, millis(self.stop_grace));
        layout.set(Field::OrphanGrace, millis(self.orphan_grace));
        layout.set(Field::WirePlace, usize::from(self.wire_on_stdio));
        let first_text = layout.words.len() * WORD;
        let program = layout.text(first_text, &self.program);
        layout.set(Field::Program, program);
        if let Some(directory) = &self.directory {
            let directory = layout.text(first_text, directory);
            layout.set(Field::Directory, directory);
        }
        layout.words[args] = program;
        for (place, arg) in self.args.iter().enumerate() {
            layout.words[args + 1 + place] = layout.text(first_text, arg);
        }
        for (place, pair) in self.env.iter().enumerate() {
            layout.words[env + place] = layout.text(first_text, pair);
        }
        layout.finish()
    }
}

#[derive(Default)]
struct Layout {
    words: Vec<usize>,
    texts: Vec<u8>,
}

impl Layout {
    fn set(&mut self, field: Field, value: usize) {
        self.words[field as usize] = value;
    }

    /// Makes room for a table of so many entries and the empty entry that ends a table of pointers.
    fn reserve(&mut self, place: Field, count: Field, entries: usize) -> usize {
        let table = self.words.len();
        self.words.resize(table + entries + 1, 0);
        self.set(place, table);
        self.set(count, entries);
        table
    }

    fn text(&mut self, first_text: usize, text: &CStr) -> usize {
        let place = first_text + self.texts.len();
        self.texts.extend_from_slice(text.to_bytes_with_nul());
        place
    }

    fn finish(self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend(self.texts);
        // The last byte is a zero whatever was asked for, so that no text can run out of the memory.
        bytes.resize((bytes.len() + 1).next_multiple_of(WORD), 0);
        bytes
    }
}

fn millis(duration: Duration) -> usize {
    usize::try_from(duration.as_millis()).unwrap_or(usize::MAX)
}

fn word(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A plan as the shim uses it: the memory that it mapped, and nothing else.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    words: &'a mut [usize],
}

/// What the worker shall become: pointers into the plan, as `execve(2)` wants them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    pub(super) program: *const c_char,
    pub(super) args: *const *const c_char,
    pub(super) env: *const *const c_char,
}

impl<'a> Plan<'a> {
    /// Takes over the memory of a plan. `None`: it is no plan of this version.
    pub(super) fn new(words: &'a mut [usize]) -> Option<Self> {
        let ends_with_zero = words.last().is_some_and(|last| last.to_ne_bytes()[WORD - 1] == 0);
        let plan = Self { words };
        (ends_with_zero && plan.words.len() > HEADER && plan.get(Field::Version) == VERSION as usize)
            .then_some(plan)
    }

    fn get(&self, field: Field) -> usize {
        self.words.get(field as usize).copied().unwrap_or(0)
    }

    /// The program, its arguments and its environment, made ready for `execve(2)`. `None`: they point outside.
    pub(super) fn image(&mut self) -> Option<Image> {
        let program = self.text_at(self.get(Field::Program))?;
        let args = self.pointers(Field::Args, Field::ArgCount)?;
        let env = self.pointers(Field::Env, Field::EnvCount)?;
        Some(Image { program, args, env })
    }

    /// The working directory; `None`: the host's.
    pub(super) fn directory(&self) -> Option<*const c_char> {
        self.text_at(self.get(Field::Directory))
    }

    pub(super) fn user(&self) -> Option<(u32, u32)> {
        (self.get(Field::HasUser) == 1).then(|| (number(self.get(Field::Uid)), number(self.get(Field::Gid))))
    }

    /// The further groups of the user, one at a time.
    pub(super) fn groups(&self) -> impl Iterator<Item = u32> + '_ {
        self.table(Field::Groups, Field::GroupCount).iter().map(|group| number(*group))
    }

    pub(super) fn nice(&self) -> Option<i32> {
        let nice = self.get(Field::Nice).cast_signed();
        (self.get(Field::HasNice) == 1).then(|| i32::try_from(nice).unwrap_or(0))
    }

    pub(super) fn oom_score(&self) -> Option<u32> {
        self.get(Field::OomScore).checked_sub(1).map(number)
    }

    /// Resource number, soft limit, hard limit.
    pub(super) fn limits(&self) -> impl Iterator<Item = (u32, u64, u64)> + '_ {
        let limit = |value: usize| if value == usize::MAX { u64::MAX } else { value as u64 };
        let triples = self.table(Field::Limits, Field::LimitCount).chunks_exact(3);
        triples.filter_map(move |triple| match triple {
            [resource, soft, hard] => Some((number(*resource), limit(*soft), limit(*hard))),
            _ => None,
        })
    }

    pub(super) fn term(&self) -> TermTarget {
        if self.get(Field::TermTarget) == 1 { TermTarget::Group } else { TermTarget::Main }
    }

    /// The numbers under which the worker finds its wire: what it reads from, and what it writes to.
    pub(super) fn wire_places(&self) -> [i32; 2] {
        if self.get(Field::WirePlace) == 1 { [0, 1] } else { [3, 4] }
    }

    pub(super) fn stop_grace_ms(&self) -> u64 {
        self.get(Field::StopGrace) as u64
    }

    pub(super) fn orphan_grace_ms(&self) -> u64 {
        self.get(Field::OrphanGrace) as u64
    }

    fn table(&self, place: Field, count: Field) -> &[usize] {
        let (place, count) = (self.get(place), self.get(count));
        place.checked_add(count).and_then(|end| self.words.get(place..end)).unwrap_or(&[])
    }

    fn text_at(&self, place: usize) -> Option<*const c_char> {
        let inside = place >= HEADER * WORD && place < self.words.len() * WORD;
        inside.then(|| self.words.as_ptr().cast::<c_char>().wrapping_add(place))
    }

    /// Turns a table of places into a table of pointers, ended by an empty one.
    fn pointers(&mut self, place: Field, count: Field) -> Option<*const *const c_char> {
        let (place, count) = (self.get(place), self.get(count));
        let end = place.checked_add(count)?;
        if place < HEADER || self.words.get(end) != Some(&0) {
            return None;
        }
        for entry in place..end {
            let text = self.text_at(*self.words.get(entry)?)?;
            *self.words.get_mut(entry)? = text.expose_provenance();
        }
        Some(self.words.as_ptr().wrapping_add(place).cast())
    }
}

/// A number that the host wrote as 32 bits.
fn number(word: usize) -> u32 {
    u32::try_from(word).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> CString {
        CString::new(text).unwrap()
    }

    fn draft() -> Draft {
        Draft {
            program: text("/bin/echo"),
            args: vec![text("a"), text("")],
            env: vec![text("HOME=/"), text("X=y z")],
            directory: Some(text("/tmp")),
            user: Some((65534, 65533, vec![1, 2])),
            nice: Some(-5),
            oom_score: Some(500),
            wire_on_stdio: true,
            limits: vec![(7, 1024, u64::MAX)],
            term: TermTarget::Group,
            stop_grace: Duration::from_secs(5),
            orphan_grace: Duration::ZERO,
        }
    }

    fn mapped(bytes: &[u8]) -> Vec<usize> {
        bytes.chunks_exact(WORD).map(|word| usize::from_ne_bytes(word.try_into().unwrap())).collect()
    }

    #[expect(unsafe_code, reason = "the pointers lie in memory that the test holds")]
    fn read(pointer: *const c_char) -> String {
        // SAFETY: a text of the plan, ended by a zero inside it.
        unsafe { CStr::from_ptr(pointer) }.to_str().unwrap().to_owned()
    }

    #[expect(unsafe_code, reason = "the table lies in memory that the test holds, and ends with a null")]
    fn read_all(mut table: *const *const c_char) -> Vec<String> {
        let mut all = Vec::new();
        // SAFETY: the table is ended by a null, which is looked for before each step.
        unsafe {
            while !(*table).is_null() {
                all.push(read(*table));
                table = table.add(1);
            }
        }
        all
    }

    #[test]
    fn a_plan_is_read_as_it_was_drawn() {
        let mut words = mapped(&draft().lay_out());
        let mut plan = Plan::new(&mut words).unwrap();
        assert_eq!(plan.user(), Some((65534, 65533)));
        assert_eq!(plan.groups().collect::<Vec<_>>(), [1, 2]);
        assert_eq!((plan.nice(), plan.oom_score(), plan.term()), (Some(-5), Some(500), TermTarget::Group));
        assert_eq!(plan.limits().collect::<Vec<_>>(), [(7, 1024, u64::MAX)]);
        assert_eq!((plan.stop_grace_ms(), plan.orphan_grace_ms()), (5000, 0));
        assert_eq!(plan.wire_places(), [0, 1]);
        assert_eq!(plan.directory().map(read).as_deref(), Some("/tmp"));
        let image = plan.image().unwrap();
        assert_eq!(read(image.program), "/bin/echo");
        assert_eq!(read_all(image.args), ["/bin/echo", "a", ""]);
        assert_eq!(read_all(image.env), ["HOME=/", "X=y z"]);
    }

    /// A shim that is named may be of another release than its host: what either makes of a plan is settled by the version.
    #[test]
    fn a_plan_that_is_laid_out_in_another_way_is_of_another_version() {
        // FNV-1a, over words of eight bytes.
        let sum = draft().lay_out().iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let of_the_fields = (VERSION, HEADER, format!("{sum:#x}"));
        if size_of::<usize>() == 8 && cfg!(target_endian = "little") {
            assert_eq!(
                of_the_fields,
                (1, 21, "0xe9de69cdc3514b1c".to_owned()),
                "a new layout needs a new VERSION"
            );
        }
    }

    #[test]
    fn what_was_not_asked_for_is_not_there() {
        let mut words = mapped(&Draft { program: text("x"), ..Draft::default() }.lay_out());
        let mut plan = Plan::new(&mut words).unwrap();
        assert_eq!((plan.user(), plan.nice(), plan.oom_score()), (None, None, None));
        assert!(plan.directory().is_none());
        assert_eq!(plan.wire_places(), [3, 4]);
        assert_eq!((plan.groups().count(), plan.limits().count()), (0, 0));
        assert_eq!(read_all(plan.image().unwrap().env), [""; 0]);
    }

    #[test]
    fn a_plan_that_points_outside_is_refused() {
        let good = mapped(&draft().lay_out());
        let outside = good.len() * WORD;
        for (field, value) in [
            (Field::Program, outside),
            (Field::Program, 0),
            (Field::Args, usize::MAX),
            (Field::Args, outside),
            (Field::ArgCount, usize::MAX),
            (Field::Env, 1),
            (Field::EnvCount, 3),
        ] {
            let mut words = good.clone();
            words[field as usize] = value;
            let image = Plan::new(&mut words).unwrap().image();
            assert!(image.is_none(), "field {} as {value}", field as usize);
        }
        let mut of_another_version = good.clone();
        of_another_version[Field::Version as usize] = 2;
        assert!(Plan::new(&mut of_another_version).is_none());
        assert!(Plan::new(&mut []).is_none());
        let mut without_end = good;
        *without_end.last_mut().unwrap() = usize::MAX;
        assert!(Plan::new(&mut without_end).is_none());
    }
}
