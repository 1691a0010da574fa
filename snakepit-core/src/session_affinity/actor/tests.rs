//! The sweep, and whoever asks for a session meanwhile.

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::*;
use crate::config::PoolOptions;
use crate::id::{Incarnation, PoolName, SessionId, Slot};
use crate::pool::{Life, PoolMessage};
use crate::session_affinity::table::{Parting, Told};
use crate::telemetry::EventSink;

/// A million would take a debug build some seconds more, and show the same.
const SESSIONS: usize = 100_000;
const LIFE: Life = Life { slot: Slot(0), incarnation: Incarnation(1) };

/// In the place of the pool: takes the shares of a sweep, and has one request after the other look for its session.
struct Client {
    sessions: Address<SessionAffinityMessage>,
    takes_shares: bool,
    seen: UnboundedSender<Seen>,
}

/// What the affinity reported, in the order in which it did.
#[derive(Debug, PartialEq)]
enum Seen {
    Share(usize),
    Answer,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Client {
    type Msg = PoolMessage;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<PoolMessage>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _myself: ActorRef<PoolMessage>,
        message: PoolMessage,
        asked: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        let seen = match message {
            PoolMessage::Session(SessionReport::Swept { sessions }) => {
                if self.takes_shares {
                    self.sessions.cast(SessionAffinityMessage::ShareTaken);
                }
                Seen::Share(sessions.len())
            }
            PoolMessage::Session(SessionReport::Unbound { .. }) => {
                *asked += 1;
                self.sessions.cast(route(*asked));
                Seen::Answer
            }
            other => panic!("not in this play: {other:?}"),
        };
        self.seen.send(seen)?;
        Ok(())
    }
}

fn route(id: u64) -> SessionAffinityMessage {
    let session = SessionId::new(&format!("new {id}")).unwrap();
    SessionAffinityMessage::Route { id: RequestId(id), session }
}

/// An affinity with sessions that have just expired.
async fn expired(
    sessions: usize,
    takes_shares: bool,
) -> (Address<SessionAffinityMessage>, UnboundedReceiver<Seen>) {
    let options = PoolOptions { session_ttl: SWEEP_EVERY / 2, ..PoolOptions::default() };
    let name = PoolName::new("bench").unwrap();
    let shared = Arc::new(PoolShared::new(name, options, Arc::default(), EventSink::default()));
    let address = Address::default();
    let args = SessionAffinityArgs::new(address.clone(), Arc::clone(&shared));
    for n in 0..sessions {
        let (id, session) = (RequestId(0), SessionId::new(&format!("session {n}")).unwrap());
        let now = Instant::now();
        let mut table = args.table.lock().unwrap();
        let _ = table.route(id, &session, now);
        let _ = table.bind(id, &session, LIFE, now);
        let _ = table.over(id, &session, Parting { granted: Some(LIFE), told: Told::Nothing }, now);
    }
    let (seen, reports) = mpsc::unbounded_channel();
    let client = Client { sessions: address.clone(), takes_shares, seen };
    let (pool, _) = Actor::spawn(None, client, ()).await.unwrap();
    shared.address.publish(pool);
    tokio::time::advance(SWEEP_EVERY / 2).await;
    let (_affinity, _) = Actor::spawn(None, SessionAffinity, args).await.unwrap();
    (address, reports)
}

#[tokio::test(start_paused = true)]
async fn s14_between_two_answers_a_sweep_of_many_sessions_ends_one_share_of_them_at_most() {
    let (affinity, mut reports) = expired(SESSIONS, true).await;
    affinity.cast(SessionAffinityMessage::SweepDue);
    affinity.cast(route(0));
    let (mut swept, mut answers, mut since) = (0, 0, 0);
    while swept < SESSIONS {
        match reports.recv().await.unwrap() {
            Seen::Share(count) => {
                swept += count;
                since += count;
            }
            Seen::Answer => {
                answers += 1;
                since = 0;
            }
        }
        assert!(since <= SWEEP_SHARE, "{since} sessions were swept while somebody waited for an answer");
    }
    assert_eq!(swept, SESSIONS);
    assert!(answers >= SESSIONS / SWEEP_SHARE, "{answers} answers");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_is_one_share_ahead_of_the_pool_and_goes_on_where_the_pool_never_took_it() {
    let (_affinity, mut reports) = expired(SWEEP_SHARE + 1, false).await;
    let began = Instant::now();
    assert_eq!(reports.recv().await, Some(Seen::Share(SWEEP_SHARE)));
    assert_eq!(began.elapsed(), SWEEP_EVERY, "at the time of the first sweep");
    assert_eq!(reports.recv().await, Some(Seen::Share(1)));
    assert_eq!(began.elapsed(), 2 * SWEEP_EVERY, "at the time of the next");
}
