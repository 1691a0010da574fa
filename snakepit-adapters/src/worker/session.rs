//! What a worker keeps for a session: one value of each type that its commands ask for.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The state of one session. A request holds the state that there was when it came, whatever ends meanwhile.
#[derive(Debug, Default)]
pub(super) struct SessionState(Mutex<HashMap<TypeId, Box<dyn Any + Send>>>);

impl SessionState {
    /// Lets `visit` use the session's value of this type, which begins as the type's default.
    pub(super) fn with<T: Any + Default + Send, R>(&self, visit: impl FnOnce(&mut T) -> R) -> R {
        // A handler that panicked half-way has left its own value, of its own type, as it chose to.
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values.entry(TypeId::of::<T>()).or_insert_with(|| Box::<T>::default());
        visit(value.downcast_mut().expect("a value is kept under its own type"))
    }
}

/// The sessions that the host has not ended.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<String, Arc<SessionState>>);

impl Sessions {
    /// The state for a request of that session.
    pub(super) fn of(&mut self, session: &str) -> Arc<SessionState> {
        if let Some(state) = self.0.get(session) {
            return Arc::clone(state);
        }
        let state = Arc::new(SessionState::default());
        self.0.insert(session.to_owned(), Arc::clone(&state));
        state
    }

    /// Forgets a session. Requests that came before it keep what they hold.
    pub(super) fn end(&mut self, session: &str) {
        self.0.remove(session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_keeps_a_value_of_each_type_until_it_ends() {
        let mut sessions = Sessions::default();
        let before = sessions.of("s");
        before.with(|count: &mut u32| *count += 1);
        sessions.of("s").with(|words: &mut Vec<String>| words.push("w".into()));
        assert_eq!(sessions.of("s").with(|count: &mut u32| *count), 1);
        assert_eq!(sessions.of("other").with(|count: &mut u32| *count), 0);
        sessions.end("s");
        assert_eq!(sessions.of("s").with(|count: &mut u32| *count), 0);
        assert_eq!(
            before.with(|words: &mut Vec<String>| words.len()),
            1,
            "an earlier request is not disturbed"
        );
    }
}
