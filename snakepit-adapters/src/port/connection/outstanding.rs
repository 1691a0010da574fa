//! The requests that the worker has and has not answered, and the credit of its streams.
//!
//! The actor puts requests in, the reader takes them out; the lock is held for a look-up and never over a report.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use snakepit_core::ProgressSender;
use snakepit_core::adapter::{ChunkSender, IdMap, StreamWindow};

use crate::port::connection::position::Position;
use crate::port::credit::{Credit, NoCredit};
use crate::port::frame::{Kind, ProtocolError};

#[derive(Debug, Default)]
pub(super) struct Outstanding(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    asked: IdMap<u64, Owed>,
    /// Of those that have somebody who wants to know how far they are.
    progress: IdMap<u64, ProgressSender>,
    answered: Recent,
}

/// A request whose answer the worker owes.
#[derive(Debug)]
struct Owed {
    asked: Asked,
    /// Where it begins in all that is written. `None`: nothing of it has left.
    begins_at: Option<Position>,
    /// Whether the worker has said that it begins.
    has_begun: bool,
}

/// How a request was asked, and what its answers need.
#[derive(Debug)]
pub(super) enum Asked {
    Execute,
    Stream { chunks: Arc<ChunkSender>, credit: StreamCredit },
}

impl Asked {
    /// A stream with the credit that its window gives.
    pub(super) fn stream(chunks: ChunkSender) -> Self {
        let credit = StreamCredit::new(chunks.window());
        Self::Stream { chunks: Arc::new(chunks), credit }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Execute => Kind::Execute,
            Self::Stream { .. } => Kind::ExecuteStream,
        }
    }

    fn may_be_answered_by(&self, kind: Kind) -> bool {
        match self {
            Self::Execute => matches!(kind, Kind::Result | Kind::Error),
            Self::Stream { .. } => matches!(kind, Kind::Chunk | Kind::End | Kind::Error),
        }
    }
}

impl Outstanding {
    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing under this lock can panic half-way: a poisoned table is still a true one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request before the worker can have heard of it, and where it begins in all that is written. `None`: that is
    /// said later.
    #[must_use = "an id that is asked twice cannot be answered"]
    pub(super) fn ask(&self, id: u64, asked: Asked, begins_at: Option<Position>) -> bool {
        self.table().asked.insert(id, Owed { asked, begins_at, has_begun: false }).is_none()
    }

    /// Notes where a request begins, before any of it is written.
    pub(super) fn begins(&self, id: u64, at: Position) {
        if let Some(owed) = self.table().asked.get_mut(&id) {
            owed.begins_at = Some(at);
        }
    }

    /// The requests of which a worker has read nothing that has read so far, in the order of their numbers.
    pub(super) fn unread(&self, read: Position) -> Vec<u64> {
        let is_unread = |owed: &Owed| owed.begins_at.is_none_or(|begins_at| begins_at >= read);
        let table = self.table();
        let mut ids: Vec<u64> =
            table.asked.iter().filter(|(_, owed)| is_unread(owed)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// Notes where the progress of a request goes.
    pub(super) fn follow(&self, id: u64, progress: ProgressSender) {
        self.table().progress.insert(id, progress);
    }

    /// Where the progress of a request goes, if anybody wants to know and it has not been answered.
    pub(super) fn progress(&self, id: u64) -> Option<ProgressSender> {
        self.table().progress.get(&id).cloned()
    }

    /// Whether the worker still owes an answer.
    pub(super) fn contains(&self, id: u64) -> bool {
        self.table().asked.contains_key(&id)
    }

    /// The worker says that it begins with a request. Returns whether that is news: it is once, and until the answer.
    #[must_use = "what is no news would fill the mailbox of whoever is told"]
    pub(super) fn begin(&self, id: u64) -> bool {
        self.table().asked.get_mut(&id).is_some_and(|owed| !std::mem::replace(&mut owed.has_begun, true))
    }

    /// Forgets a request that never left.
    pub(super) fn withdraw(&self, id: u64) {
        let mut table = self.table();
        table.progress.remove(&id);
        table.asked.remove(&id);
    }

    /// Says whether this kind of frame may come for that request.
    pub(super) fn expects(&self, kind: Kind, id: u64) -> Result<(), ProtocolError> {
        self.table().find(kind, id).map(|_| ())
    }

    /// Takes a request out: this was its one answer.
    pub(super) fn answer(&self, kind: Kind, id: u64) -> Result<(), ProtocolError> {
        // What is sent to its caller is dropped outside the lock, and before its end is reported.
        let asked = {
            let mut table = self.table();
            table.find(kind, id)?;
            table.answered.note(id);
            (table.asked.remove(&id), table.progress.remove(&id))
        };
        drop(asked);
        Ok(())
    }

    /// Takes credit for a chunk, and says where it goes.
    pub(super) fn chunk(&self, id: u64, size: ChunkSize) -> Result<TakenChunk, ProtocolError> {
        match self.table().find(Kind::Chunk, id)? {
            Asked::Stream { chunks, credit } => {
                credit.take(size).map_err(|NoCredit(left)| ProtocolError::BeyondCredit {
                    id,
                    chunks: left.chunks,
                    bytes: left.bytes,
                })?;
                Ok(TakenChunk { reader: Arc::clone(chunks), has_to_give_back: credit.has_to_give_back() })
            }
            asked @ Asked::Execute => {
                Err(ProtocolError::WrongAnswer { kind: Kind::Chunk, id, asked: asked.kind() })
            }
        }
    }

    /// Gives a stream credit for payload that its reader took, and says what the worker must hear.
    /// A stream that is answered needs none.
    #[must_use = "credit that the worker does not hear of stops its stream"]
    pub(super) fn grant(&self, id: u64, chunks: u32, bytes: u32) -> Option<StreamWindow> {
        match self.table().asked.get_mut(&id).map(|owed| &mut owed.asked) {
            Some(Asked::Stream { credit, .. }) => Some(credit.give(chunks, bytes)),
            Some(Asked::Execute) | None => None,
        }
    }
}

impl Table {
    fn find(&mut self, kind: Kind, id: u64) -> Result<&mut Asked, ProtocolError> {
        match self.asked.get_mut(&id).map(|owed| &mut owed.asked) {
            Some(asked) if asked.may_be_answered_by(kind) => Ok(asked),
            Some(asked) => Err(ProtocolError::WrongAnswer { kind, id, asked: asked.kind() }),
            None if self.answered.contains(id) => Err(ProtocolError::AnsweredTwice { kind, id }),
            None => Err(ProtocolError::NeverAsked { kind, id }),
        }
    }
}

/// A chunk for which there was credit.
#[derive(Debug)]
pub(super) struct TakenChunk {
    pub(super) reader: Arc<ChunkSender>,
    /// Whether the worker must have back what its chunks held beside their payload.
    pub(super) has_to_give_back: bool,
}

/// How large a chunk is on the wire, and to its reader.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkSize {
    pub(super) body: usize,
    pub(super) payload: usize,
}

/// The credit of a stream whose reader counts payload only.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamCredit {
    open: Credit,
    /// What the bodies of chunks held beside their payload. The wire counts it and the reader does not: it goes back
    /// with the reader's next credit, or the window would shrink with every chunk.
    owed: u32,
}

impl StreamCredit {
    fn new(window: StreamWindow) -> Self {
        Self { open: Credit::new(window), owed: 0 }
    }

    fn give(&mut self, chunks: u32, bytes: u32) -> StreamWindow {
        let bytes = bytes.saturating_add(std::mem::take(&mut self.owed));
        let more = StreamWindow { chunks, bytes };
        self.open.give(more);
        more
    }

    fn take(&mut self, size: ChunkSize) -> Result<(), NoCredit> {
        self.open.take(size.body)?;
        let beside = u32::try_from(size.body.saturating_sub(size.payload)).unwrap_or(u32::MAX);
        self.owed = self.owed.saturating_add(beside);
        Ok(())
    }

    /// Whether what is owed is all that the worker lacks to go on. Its reader may have taken too little payload to give any
    /// credit, and would wait for more.
    fn has_to_give_back(&self) -> bool {
        self.open.bytes <= 0 && self.open.bytes + i64::from(self.owed) > 0
    }
}

/// The ids that were answered last, so that a second answer can be told from one that nobody asked for.
#[derive(Debug)]
struct Recent {
    ids: [u64; 64],
    next: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self { ids: [0; 64], next: 0 }
    }
}

impl Recent {
    fn note(&mut self, id: u64) {
        self.ids[self.next % self.ids.len()] = id;
        self.next = self.next.wrapping_add(1);
    }

    fn contains(&self, id: u64) -> bool {
        self.ids.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: StreamWindow = StreamWindow { chunks: 2, bytes: 10 };

    fn table() -> Outstanding {
        let outstanding = Outstanding::default();
        assert!(outstanding.ask(1, Asked::Execute, None));
        assert!(outstanding.ask(2, Asked::stream(ChunkSender::channel(WINDOW).0), None));
        outstanding
    }

    #[test]
    fn each_way_of_asking_has_its_answers() {
        for (id, kind, fits) in [
            (1, Kind::Result, true),
            (1, Kind::Error, true),
            (1, Kind::Chunk, false),
            (1, Kind::End, false),
            (2, Kind::Result, false),
            (2, Kind::Error, true),
            (2, Kind::Chunk, true),
            (2, Kind::End, true),
        ] {
            let verdict = table().expects(kind, id);
            assert_eq!(verdict.is_ok(), fits, "{kind} for {id}: {verdict:?}");
            assert!(verdict.is_ok() || matches!(verdict, Err(ProtocolError::WrongAnswer { .. })));
        }
    }

    #[test]
    fn a_second_answer_is_told_from_one_that_nobody_asked_for() {
        let table = table();
        assert_eq!(table.answer(Kind::Result, 1), Ok(()));
        let again = ProtocolError::AnsweredTwice { kind: Kind::Error, id: 1 };
        assert_eq!(table.answer(Kind::Error, 1), Err(again));
        let never = ProtocolError::NeverAsked { kind: Kind::Result, id: 9 };
        assert_eq!(table.answer(Kind::Result, 9), Err(never));
    }

    #[test]
    fn a_chunk_beyond_credit_is_refused_with_what_was_left() {
        let stream = table();
        let size = |body| ChunkSize { body, payload: body };
        assert!(stream.chunk(2, size(50)).is_ok());
        let error = stream.chunk(2, size(1)).unwrap_err();
        assert_eq!(error, ProtocolError::BeyondCredit { id: 2, chunks: 1, bytes: -40 });
        assert_eq!(stream.grant(2, 1, 41), Some(StreamWindow { chunks: 1, bytes: 41 }));
        assert!(stream.chunk(2, size(1)).is_ok());
    }

    #[test]
    fn what_the_wire_counts_and_the_reader_does_not_is_given_back() {
        let stream = table();
        for _ in 0..1000 {
            assert!(stream.chunk(2, ChunkSize { body: 9, payload: 1 }).is_ok());
            assert_eq!(stream.grant(2, 1, 1), Some(StreamWindow { chunks: 1, bytes: 9 }));
        }
    }

    #[test]
    fn what_is_owed_is_given_back_at_once_where_it_is_all_that_the_worker_lacks() {
        let stream = table();
        let size = |body| ChunkSize { body, payload: 1 };
        assert!(!stream.chunk(2, size(9)).unwrap().has_to_give_back, "one byte is left");
        assert!(stream.chunk(2, size(9)).unwrap().has_to_give_back);
        assert_eq!(stream.grant(2, 0, 0), Some(StreamWindow { chunks: 0, bytes: 16 }));

        let stream = table();
        let large = ChunkSize { body: 18, payload: 10 };
        assert!(!stream.chunk(2, large).unwrap().has_to_give_back, "its reader gives credit for it");
    }

    #[test]
    fn credit_for_what_is_answered_or_no_stream_is_not_passed_on() {
        let table = table();
        assert_eq!(table.grant(1, 1, 1), None);
        table.answer(Kind::End, 2).unwrap();
        assert_eq!(table.grant(2, 1, 1), None);
    }

    #[test]
    fn a_request_begins_once_and_not_behind_its_answer() {
        let table = table();
        assert_eq!([table.begin(1), table.begin(1), table.begin(9)], [true, false, false]);
        table.answer(Kind::End, 2).unwrap();
        assert!(!table.begin(2));
    }

    #[test]
    fn an_id_is_asked_once() {
        let table = table();
        assert!(!table.ask(1, Asked::Execute, None));
        table.withdraw(1);
        assert!(!table.contains(1) && table.ask(1, Asked::Execute, None));
    }

    #[test]
    fn what_begins_behind_all_that_was_read_is_unread() {
        let at = |bytes| Position::default().plus(bytes);
        let table = table();
        assert!(table.ask(4, Asked::Execute, Some(at(100))));
        assert!(table.ask(3, Asked::Execute, Some(at(50))));
        table.begins(2, at(20));
        for (read, unread) in
            [(0, &[1, 2, 3, 4][..]), (20, &[1, 2, 3, 4]), (21, &[1, 3, 4]), (100, &[1, 4]), (101, &[1])]
        {
            assert_eq!(table.unread(at(read)), unread, "{read} bytes were read");
        }
        table.answer(Kind::Result, 4).unwrap();
        assert_eq!(table.unread(at(60)), [1]);
    }
}
