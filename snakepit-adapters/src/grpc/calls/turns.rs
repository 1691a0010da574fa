//! The order of what is asked of one session. Calls travel side by side: `EndSession` could overtake the requests before it,
//! and be overtaken by those behind it.

use std::collections::{HashMap, VecDeque};

use snakepit_core::{RequestId, SessionId};

/// The sessions of which something is asked: `EndSession` waits for the requests before it, those behind it for its answer.
#[derive(Debug)]
pub(super) struct SessionTurns<T> {
    sessions: HashMap<SessionId, Turns<T>>,
}

#[derive(Debug)]
struct Turns<T> {
    running: usize,
    is_ending: bool,
    waiting: VecDeque<Waiting<T>>,
}

#[derive(Debug)]
enum Waiting<T> {
    Request(RequestId, T),
    End,
}

/// What may be asked of a session now.
#[must_use = "what nobody asks is never answered"]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn<T> {
    Request(T),
    End,
}

impl<T> SessionTurns<T> {
    pub(super) fn new() -> Self {
        Self { sessions: HashMap::new() }
    }

    /// Whether nothing is asked, and nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// A request came.
    pub(super) fn request_came(&mut self, session: &SessionId, id: RequestId, request: T) -> Vec<Turn<T>> {
        self.turns(session).waiting.push_back(Waiting::Request(id, request));
        self.next(session)
    }

    /// The session is to end. Said twice in a row it is one end.
    pub(super) fn end_came(&mut self, session: &SessionId) -> Vec<Turn<T>> {
        let turns = self.turns(session);
        let ends_anyway = match turns.waiting.back() {
            Some(last) => matches!(last, Waiting::End),
            None => turns.is_ending,
        };
        if !ends_anyway {
            turns.waiting.push_back(Waiting::End);
        }
        self.next(session)
    }

    /// The worker is done with a request of the session.
    pub(super) fn request_done(&mut self, session: &SessionId) -> Vec<Turn<T>> {
        let turns = self.turns(session);
        turns.running = turns.running.saturating_sub(1);
        self.next(session)
    }

    /// The worker has forgotten the session, or will not.
    pub(super) fn end_done(&mut self, session: &SessionId) -> Vec<Turn<T>> {
        self.turns(session).is_ending = false;
        self.next(session)
    }

    /// Takes out a request whose turn has not come: whether there was one. It changes nobody's turn: what stands behind it
    /// waits for what it has waited for.
    pub(super) fn withdraw(&mut self, id: RequestId) -> bool {
        self.sessions.values_mut().any(|turns| {
            let before = turns.waiting.len();
            turns.waiting.retain(|waiting| !matches!(waiting, Waiting::Request(each, _) if *each == id));
            turns.waiting.len() < before
        })
    }

    fn turns(&mut self, session: &SessionId) -> &mut Turns<T> {
        self.sessions.entry(session.clone()).or_insert_with(|| Turns {
            running: 0,
            is_ending: false,
            waiting: VecDeque::new(),
        })
    }

    fn next(&mut self, session: &SessionId) -> Vec<Turn<T>> {
        let mut next = Vec::new();
        let turns = self.turns(session);
        while !turns.is_ending {
            match turns.waiting.pop_front() {
                Some(Waiting::Request(_, request)) => {
                    turns.running += 1;
                    next.push(Turn::Request(request));
                }
                Some(Waiting::End) if turns.running > 0 => {
                    turns.waiting.push_front(Waiting::End);
                    return next;
                }
                Some(Waiting::End) => {
                    turns.is_ending = true;
                    next.push(Turn::End);
                }
                None if turns.running > 0 => return next,
                None => {
                    self.sessions.remove(session);
                    return next;
                }
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SessionId {
        SessionId::new("s").unwrap()
    }

    fn came(turns: &mut SessionTurns<u64>, id: u64) -> Vec<Turn<u64>> {
        turns.request_came(&session(), RequestId(id), id)
    }

    #[test]
    fn an_end_waits_for_the_requests_before_it_and_those_behind_it_for_its_answer() {
        let (mut turns, s) = (SessionTurns::new(), session());
        assert_eq!(came(&mut turns, 1), [Turn::Request(1)]);
        assert_eq!(came(&mut turns, 2), [Turn::Request(2)]);
        assert_eq!(turns.end_came(&s), []);
        assert_eq!(came(&mut turns, 3), []);
        assert_eq!(turns.request_done(&s), []);
        assert_eq!(turns.request_done(&s), [Turn::End]);
        assert_eq!(came(&mut turns, 4), []);
        assert_eq!(turns.end_done(&s), [Turn::Request(3), Turn::Request(4)]);
        assert_eq!((turns.request_done(&s), turns.request_done(&s)), (vec![], vec![]));
        assert!(turns.is_empty(), "and nothing is kept of it");
    }

    #[test]
    fn sessions_do_not_wait_for_each_other() {
        let mut turns = SessionTurns::new();
        assert_eq!(turns.end_came(&session()), [Turn::End]);
        let other = SessionId::new("other").unwrap();
        assert_eq!(turns.request_came(&other, RequestId(1), 1), [Turn::Request(1)]);
    }

    #[test]
    fn two_ends_in_a_row_are_one() {
        let (mut turns, s) = (SessionTurns::new(), session());
        assert_eq!(turns.end_came(&s), [Turn::End]);
        assert_eq!(turns.end_came(&s), []);
        assert_eq!(came(&mut turns, 1), []);
        assert_eq!((turns.end_came(&s), turns.end_came(&s)), (vec![], vec![]));
        assert_eq!(turns.end_done(&s), [Turn::Request(1)]);
        assert_eq!(turns.request_done(&s), [Turn::End]);
        assert_eq!(turns.end_done(&s), []);
        assert!(turns.is_empty());
    }

    #[test]
    fn a_request_that_waits_can_be_withdrawn_and_one_that_was_asked_cannot() {
        let (mut turns, s) = (SessionTurns::new(), session());
        assert_eq!(came(&mut turns, 1), [Turn::Request(1)]);
        assert_eq!(turns.end_came(&s), []);
        assert_eq!(came(&mut turns, 2), []);
        assert_eq!(came(&mut turns, 3), []);
        assert!(!turns.withdraw(RequestId(1)));
        assert!(turns.withdraw(RequestId(2)));
        assert!(!turns.withdraw(RequestId(2)));
        assert_eq!(turns.request_done(&s), [Turn::End]);
        assert_eq!(turns.end_done(&s), [Turn::Request(3)]);
    }
}
