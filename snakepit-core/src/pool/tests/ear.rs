//! An actor that listens for a test.

use std::marker::PhantomData;

use ractor::{Actor, ActorProcessingErr, ActorRef, Message};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Hands on what it is told.
pub(in crate::pool) struct Ear<M>(PhantomData<fn(M)>);

impl<M> Default for Ear<M> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl<M: Message> Actor for Ear<M> {
    type Msg = M;
    type State = UnboundedSender<M>;
    type Arguments = UnboundedSender<M>;

    async fn pre_start(
        &self,
        _myself: ActorRef<M>,
        heard: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(heard)
    }

    async fn handle(
        &self,
        _myself: ActorRef<M>,
        message: M,
        heard: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let _ = heard.send(message);
        Ok(())
    }
}

/// An actor that hands on what it is told, and where that comes out.
pub(in crate::pool) async fn ear<M: Message>() -> (ActorRef<M>, UnboundedReceiver<M>) {
    let (sender, heard) = unbounded_channel();
    let (actor, _) = Actor::spawn(None, Ear::default(), sender).await.unwrap();
    (actor, heard)
}
