//! The port wire on a stream of messages: bytes that are written here leave in messages, bytes of messages are read here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use snakepit_core::adapter::AdapterFailure;
use tokio::sync::Notify;
use tokio_stream::Stream;
use tonic::{Code, Status, Streaming};

use crate::grpc::generated::Frames;

/// The most bytes that one message carries: one part of a cut body and some small frames. Far below the 4 MiB that gRPC
/// takes where nobody says otherwise.
pub(crate) const MESSAGE_LIMIT: usize = 512 << 10;

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    /// Told when bytes were taken, or nobody takes them any more.
    taken: Notify,
}

#[derive(Debug, Default)]
struct QueueState {
    bytes: BytesMut,
    taker: Option<Waker>,
    /// The sink is gone: what is here is the last.
    is_ended: bool,
    /// The source is gone: nobody takes anything.
    is_closed: bool,
}

/// The end at which bytes are written. Dropping it ends the stream behind what was written.
#[derive(Debug)]
pub(crate) struct FrameSink(Arc<Queue>);

/// The end at which messages come out, for gRPC to send.
#[derive(Debug)]
pub(crate) struct FrameSource(Arc<Queue>);

/// Makes both ends of one direction.
pub(crate) fn frame_queue() -> (FrameSink, FrameSource) {
    let queue = Arc::new(Queue::default());
    (FrameSink(Arc::clone(&queue)), FrameSource(queue))
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        // Nothing under this lock can panic half-way: a poisoned queue is still a true one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FrameSink {
    /// Takes as many bytes as there is room for.
    ///
    /// # Errors
    /// `WouldBlock` without room, `BrokenPipe` when nobody takes anything any more.
    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.0.state();
        if state.is_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut written = 0;
        for slice in slices {
            let room = MESSAGE_LIMIT.saturating_sub(state.bytes.len());
            let len = slice.len().min(room);
            state.bytes.extend_from_slice(&slice[..len]);
            written += len;
        }
        let taker = state.taker.take();
        drop(state);
        if let Some(taker) = taker {
            taker.wake();
        }
        if written == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(written) }
    }

    /// Takes all of it, also beyond what there is room for: for whole frames that must not be torn. Whoever has much to say
    /// waits until it is [`writable`](Self::writable) first.
    pub(crate) fn push<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) {
        let mut state = self.0.state();
        for piece in pieces {
            state.bytes.extend_from_slice(piece);
        }
        let taker = state.taker.take();
        drop(state);
        if let Some(taker) = taker {
            taker.wake();
        }
    }

    /// Waits until there is room, or nobody takes anything any more.
    pub(crate) async fn writable(&self) {
        self.until(|state| state.is_closed || state.bytes.len() < MESSAGE_LIMIT).await;
    }

    /// Waits until everything was taken, or nobody takes anything any more.
    pub(crate) async fn taken(&self) {
        self.until(|state| state.is_closed || state.bytes.is_empty()).await;
    }

    /// Ends the stream behind what was written.
    pub(crate) fn end(&self) {
        let mut state = self.0.state();
        state.is_ended = true;
        if let Some(taker) = state.taker.take() {
            drop(state);
            taker.wake();
        }
    }

    async fn until(&self, is_so: impl Fn(&QueueState) -> bool) {
        loop {
            let taken = self.0.taken.notified();
            if is_so(&self.0.state()) {
                return;
            }
            taken.await;
        }
    }
}

impl Drop for FrameSink {
    fn drop(&mut self) {
        self.end();
    }
}

impl FrameSource {
    /// Waits for bytes and appends them: how many, 0 at the end. For who takes them without gRPC.
    pub(crate) async fn read(&mut self, buffer: &mut BytesMut) -> usize {
        let bytes = std::future::poll_fn(|context| self.poll_bytes(context)).await.unwrap_or_default();
        buffer.extend_from_slice(&bytes);
        bytes.len()
    }

    fn poll_bytes(&self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.0.state();
        if state.bytes.is_empty() {
            if state.is_ended {
                return Poll::Ready(None);
            }
            state.taker = Some(context.waker().clone());
            return Poll::Pending;
        }
        let bytes = state.bytes.split().freeze();
        drop(state);
        self.0.taken.notify_waiters();
        Poll::Ready(Some(bytes))
    }
}

impl Drop for FrameSource {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0.taken.notify_waiters();
    }
}

/// As a client sends it.
impl Stream for FrameSource {
    type Item = Frames;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Frames>> {
        self.poll_bytes(context).map(|bytes| bytes.map(|frames| Frames { frames }))
    }
}

/// As a server sends it.
#[derive(Debug)]
pub(crate) struct ServedFrames(pub(crate) FrameSource);

impl Stream for ServedFrames {
    type Item = Result<Frames, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_bytes(context).map(|bytes| bytes.map(|frames| Ok(Frames { frames })))
    }
}

/// The messages of the other end, as the bytes they carry.
#[derive(Debug)]
pub(crate) struct FrameStream(Streaming<Frames>);

impl FrameStream {
    pub(crate) fn new(messages: Streaming<Frames>) -> Self {
        Self(messages)
    }

    /// Waits for bytes and appends them: how many, 0 at the end.
    pub(crate) async fn read(&mut self, buffer: &mut BytesMut) -> Result<usize, AdapterFailure> {
        std::future::poll_fn(|context| self.poll_read(context, buffer)).await
    }

    /// Appends what is there already, as [`read`](Self::read) does; `None` if nothing is there yet.
    pub(crate) fn try_read(&mut self, buffer: &mut BytesMut) -> Result<Option<usize>, AdapterFailure> {
        match self.poll_read(&mut Context::from_waker(Waker::noop()), buffer) {
            Poll::Pending => Ok(None),
            Poll::Ready(read) => read.map(Some),
        }
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<Result<usize, AdapterFailure>> {
        loop {
            let message = std::task::ready!(Pin::new(&mut self.0).poll_next(context));
            return Poll::Ready(match message {
                // A message without bytes is none, and not the end.
                Some(Ok(Frames { frames })) if frames.is_empty() => continue,
                Some(Ok(Frames { frames })) => {
                    buffer.extend_from_slice(&frames);
                    Ok(frames.len())
                }
                None => Ok(0),
                Some(Err(status)) => match ending(&status) {
                    Ending::Gone => Ok(0),
                    Ending::Broken(failure) => Err(failure),
                },
            });
        }
    }
}

/// What a status at the end of a stream of frames means.
#[derive(Debug, PartialEq)]
enum Ending {
    /// The other end is gone; what has come was all.
    Gone,
    Broken(AdapterFailure),
}

/// Judges the status with which a stream of frames ended.
fn ending(status: &Status) -> Ending {
    match status.code() {
        // A connection that breaks is one of these, depending on where it is noticed.
        Code::Ok | Code::Cancelled | Code::Unavailable | Code::Unknown => Ending::Gone,
        code => {
            let what = format!("the Connect stream ended with {code:?}: {}", status.message());
            Ending::Broken(AdapterFailure::Protocol { what })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::port::frame::{Decoder, Frame, Incoming, Kind, Side, put_frame};

    fn poll(source: &mut FrameSource) -> Poll<Option<Frames>> {
        Pin::new(source).poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn message(bytes: &'static [u8]) -> Poll<Option<Frames>> {
        Poll::Ready(Some(Frames { frames: Bytes::from_static(bytes) }))
    }

    #[test]
    fn what_is_written_together_leaves_in_one_message() {
        let (sink, mut source) = frame_queue();
        assert_eq!(poll(&mut source), Poll::Pending);
        sink.try_write_vectored(&[IoSlice::new(b"one"), IoSlice::new(b" two")]).unwrap();
        sink.try_write_vectored(&[IoSlice::new(b" three")]).unwrap();
        assert_eq!(poll(&mut source), message(b"one two three"));
        assert_eq!(poll(&mut source), Poll::Pending);
    }

    #[test]
    fn a_stream_ends_behind_what_was_written() {
        let (sink, mut source) = frame_queue();
        sink.try_write_vectored(&[IoSlice::new(b"last")]).unwrap();
        drop(sink);
        assert_eq!(poll(&mut source), message(b"last"));
        assert_eq!(poll(&mut source), Poll::Ready(None));
    }

    #[test]
    fn a_full_queue_takes_no_more_until_it_is_emptied() {
        let (sink, mut source) = frame_queue();
        let large = vec![7; MESSAGE_LIMIT + 5];
        assert_eq!(sink.try_write_vectored(&[IoSlice::new(&large)]).unwrap(), MESSAGE_LIMIT);
        let full = sink.try_write_vectored(&[IoSlice::new(b"x")]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        assert!(poll(&mut source).is_ready());
        assert_eq!(sink.try_write_vectored(&[IoSlice::new(b"x")]).unwrap(), 1);
    }

    #[tokio::test]
    async fn whoever_waits_for_room_hears_that_nobody_takes_anything_any_more() {
        let (sink, source) = frame_queue();
        sink.try_write_vectored(&[IoSlice::new(&vec![7; MESSAGE_LIMIT])]).unwrap();
        tokio::join!(sink.writable(), sink.taken(), async { drop(source) });
        let error = sink.try_write_vectored(&[IoSlice::new(b"x")]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_connection_that_breaks_is_no_breach_and_a_refusal_is() {
        for code in [Code::Ok, Code::Cancelled, Code::Unavailable, Code::Unknown] {
            assert_eq!(ending(&Status::new(code, "x")), Ending::Gone, "{code:?}");
        }
        for code in [Code::Internal, Code::OutOfRange, Code::Unauthenticated, Code::FailedPrecondition] {
            let Ending::Broken(AdapterFailure::Protocol { what }) = ending(&Status::new(code, "why")) else {
                panic!("{code:?} is no end of a connection");
            };
            assert_eq!(what, format!("the Connect stream ended with {code:?}: why"));
        }
    }

    const KINDS: &[Kind] = &[Kind::Result, Kind::Error, Kind::Chunk, Kind::End, Kind::Pong, Kind::Log];

    /// What a receiver makes of messages as they stand on the wire.
    fn receive(messages: &[Vec<u8>]) -> Result<Vec<Frame>, String> {
        let mut decoder = Decoder::new(Side::Worker, 1 << 20);
        let mut received = Vec::new();
        for message in messages {
            let message = Frames::decode(message.as_slice()).map_err(|error| error.to_string())?;
            decoder.buffer().extend_from_slice(&message.frames);
            while let Some(incoming) = decoder.next_incoming().map_err(|error| error.to_string())? {
                if let Incoming::Frame(frame) = incoming {
                    received.push(frame);
                }
            }
        }
        Ok(received)
    }

    proptest! {
        #[test]
        fn any_frames_come_out_of_messages_as_they_went_in(
            frames in prop::collection::vec(
                (prop::sample::select(KINDS), 1..u64::MAX, prop::collection::vec(any::<u8>(), 0..300)),
                0..20,
            ),
            turns in prop::collection::vec(1_usize..200, 1..8),
        ) {
            let mut bytes = BytesMut::new();
            for (kind, id, body) in &frames {
                put_frame(&mut bytes, *kind, *id, body);
            }
            let (sink, mut source) = frame_queue();
            let (mut messages, mut rest) = (Vec::new(), &bytes[..]);
            for turn in turns.iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(*turn));
                if now.is_empty() {
                    break;
                }
                sink.try_write_vectored(&[IoSlice::new(now)]).unwrap();
                rest = later;
                // Some messages hold one piece, some several.
                if turn % 3 != 0 || rest.is_empty() {
                    let Poll::Ready(Some(message)) = poll(&mut source) else { panic!("bytes wait") };
                    messages.push(message.encode_to_vec());
                }
            }
            let sent = frames.into_iter().map(|(kind, id, body)| Frame { kind, id, body: body.into() });
            prop_assert_eq!(receive(&messages), Ok(sent.collect::<Vec<_>>()));
        }

        #[test]
        fn any_bytes_in_place_of_a_message_are_frames_or_a_refusal(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = receive(std::slice::from_ref(&bytes));
            let _ = receive(&[Frames { frames: bytes.into() }.encode_to_vec()]);
        }
    }
}
