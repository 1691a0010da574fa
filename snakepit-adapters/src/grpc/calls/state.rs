//! What the actor knows of its worker: what is under way there, and whose turn is next.

use std::sync::Arc;

use snakepit_core::adapter::{AdapterFailure, AdapterReports, IdMap, Outcome, StreamWindow};
use snakepit_core::{RequestId, SessionId};

use crate::grpc::calls::actor::Asked;
use crate::grpc::calls::call::{CallEnd, OpenCredit};
use crate::grpc::calls::turns::SessionTurns;
use crate::grpc::convert;

pub(in crate::grpc) struct CallsState {
    pub(super) reports: AdapterReports,
    pub(super) under_way: IdMap<u64, UnderWay>,
    pub(super) turns: SessionTurns<Asked>,
    pub(super) serves_cancel: bool,
    pub(super) draining: Draining,
    /// Its process has closed its pipe: nothing is waited for but the ends of calls.
    pub(super) is_gone: bool,
}

/// Calls travel side by side: a Drain could overtake the requests before it, which would then be refused. So it is kept
/// until they are answered; meanwhile nothing more is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draining {
    NotAsked,
    Kept,
    Told,
}

/// A request that the worker has not said it is done with.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) credit: Option<Arc<OpenCredit>>,
    pub(super) session: Option<SessionId>,
    /// Its call has ended without a word of the worker's: only the answer to a Cancel says when that is done.
    pub(super) is_given_up: bool,
}

/// What the answer to a Cancel says.
#[must_use = "a request that nobody cancels again may run for ever"]
#[derive(Debug)]
pub(super) enum CancelVerdict {
    /// The worker is done with the request.
    Done(UnderWay),
    /// The call is still open: its end is about to come, or the Cancel has overtaken the request.
    AskAgain,
    /// It is over.
    Nothing,
}

impl CallsState {
    pub(super) fn new(reports: AdapterReports, serves_cancel: bool) -> Self {
        Self {
            reports,
            under_way: IdMap::default(),
            turns: SessionTurns::new(),
            serves_cancel,
            draining: Draining::NotAsked,
            is_gone: false,
        }
    }

    /// Reports what the worker said of a request, and gives what it is done with. A place is free when it said something, and
    /// not before.
    pub(super) fn ended(&mut self, id: RequestId, end: CallEnd) -> Result<Option<UnderWay>, AdapterFailure> {
        match end {
            CallEnd::Done(outcome) => {
                self.reports.alive();
                let done = self.under_way.remove(&id.0);
                if done.is_some() {
                    self.reports.finished(id, outcome);
                }
                Ok(done)
            }
            // The pool has the worker asked to cancel it, and replaces it where that takes too long.
            CallEnd::NoWord if self.serves_cancel => {
                if let Some(call) = self.under_way.get_mut(&id.0) {
                    call.is_given_up = true;
                }
                Ok(None)
            }
            CallEnd::NoWord => {
                let what =
                    format!("the worker has not said that it is done with request {id}, and cannot be asked");
                Err(AdapterFailure::Failed { what })
            }
            CallEnd::Over(failure) => Err(failure),
        }
    }

    pub(super) fn cancel_answered(&mut self, id: RequestId) -> CancelVerdict {
        match self.under_way.get(&id.0).map(|call| call.is_given_up) {
            None => CancelVerdict::Nothing,
            Some(false) => CancelVerdict::AskAgain,
            Some(true) => {
                self.reports.finished(id, Outcome::Failed(convert::cancelled()));
                self.under_way.remove(&id.0).map_or(CancelVerdict::Nothing, CancelVerdict::Done)
            }
        }
    }

    pub(super) fn grant(&self, id: RequestId, more: StreamWindow) {
        if let Some(credit) = self.under_way.get(&id.0).and_then(|call| call.credit.as_ref()) {
            credit.give(more);
        }
    }
}
