//! What the pool says to the session affinity.

use std::collections::HashMap;

use ractor::RpcReplyPort;

use crate::id::{RequestId, SessionId};
use crate::pool::Life;
use crate::session_affinity::table::Parting;

/// Everything that is said to the session affinity.
#[derive(Debug)]
pub(crate) enum SessionAffinityMessage {
    /// Where does this request go? Answered by a [`SessionReport`](crate::pool::SessionReport), perhaps later.
    Route { id: RequestId, session: SessionId },
    /// The life that was named has ended: the same question again, and the binding is void.
    Rebind { id: RequestId, session: SessionId, gone: Life },
    /// The request that was told to bind runs on this life.
    Bind { id: RequestId, session: SessionId, life: Life },
    /// A request that was asked for has ended, in whatever way.
    Over { id: RequestId, session: SessionId, parting: Parting },
    /// The pool has a new life: every request of the former has ended.
    PoolRestarted,
    /// The caller ends the session. Answers whether it was known.
    End { session: SessionId, reply: RpcReplyPort<bool> },
    /// How many sessions does each life keep?
    GetCounts { reply: RpcReplyPort<HashMap<Life, u64>> },
    /// Time to look for sessions that have been idle too long.
    SweepDue,
    /// The pool has told the workers of one share of a sweep: the next may follow.
    ShareTaken,
}

#[cfg(feature = "cluster")]
impl ractor::Message for SessionAffinityMessage {}
