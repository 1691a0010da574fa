//! What a connection writes to and reads from: two pipes, or the two directions of a gRPC stream.

use std::io::{self, IoSlice};

use nix::errno::Errno;
use snakepit_core::adapter::AdapterFailure;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::unix::pipe;

#[cfg(feature = "grpc")]
use crate::grpc::frames::{FrameSink, FrameStream};
use crate::port::frame::Decoder;
use crate::port::{pipe_end, pipe_size};

/// The way to the worker.
pub(crate) enum ToWorker {
    Pipe(pipe::Sender),
    #[cfg(feature = "grpc")]
    Stream(FrameSink),
}

impl ToWorker {
    /// Writes what there is room for.
    ///
    /// # Errors
    /// `WouldBlock` where there is no room; anything else is the end of this direction.
    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => pipe.try_write_vectored(slices),
            #[cfg(feature = "grpc")]
            Self::Stream(sink) => sink.try_write_vectored(slices),
        }
    }

    /// Makes room for large bodies.
    pub(super) fn widen(&self) {
        match self {
            Self::Pipe(pipe) => pipe_size::widen(pipe),
            #[cfg(feature = "grpc")]
            Self::Stream(_) => {}
        }
    }

    /// How many bytes of what was written lie there unread. Also after whoever read has gone: a pipe keeps them until both
    /// of its ends are closed. 0 where the system does not say.
    pub(super) fn unread(&self) -> usize {
        match self {
            Self::Pipe(pipe) => pipe_end::unread(pipe),
            #[cfg(feature = "grpc")]
            Self::Stream(_) => 0,
        }
    }

    /// Whether nobody is left who could read: what lies there unread then never is. `false` where the system does not say.
    pub(super) fn has_no_reader(&self) -> bool {
        match self {
            Self::Pipe(pipe) => pipe_end::has_no_reader(pipe),
            #[cfg(feature = "grpc")]
            Self::Stream(_) => false,
        }
    }

    /// Waits until nobody is left who could read, where the system says so.
    pub(super) async fn reader_gone(&self) {
        match self {
            // A pipe that cannot be waited for is asked all the same.
            Self::Pipe(pipe) => drop(pipe.ready(Interest::ERROR).await),
            #[cfg(feature = "grpc")]
            Self::Stream(_) => {}
        }
    }

    /// Waits until there is room, or nobody takes anything any more.
    pub(super) async fn writable(&self) {
        match self {
            // A pipe that cannot be waited for says why when it is written.
            Self::Pipe(pipe) => drop(pipe.writable().await),
            #[cfg(feature = "grpc")]
            Self::Stream(sink) => sink.writable().await,
        }
    }
}

/// The way from the worker.
pub(crate) enum FromWorker {
    Pipe(pipe::Receiver),
    #[cfg(feature = "grpc")]
    Stream(Box<FrameStream>),
}

impl FromWorker {
    /// Waits for bytes and gives them to the decoder: how many, 0 at the end.
    ///
    /// # Cancellation
    /// Nothing is lost.
    pub(super) async fn read(&mut self, decoder: &mut Decoder) -> Result<usize, AdapterFailure> {
        match self {
            Self::Pipe(pipe) => pipe.read_buf(&mut decoder.room()).await.map_err(|error| reading(&error)),
            #[cfg(feature = "grpc")]
            Self::Stream(stream) => stream.read(decoder.buffer()).await,
        }
    }

    /// Makes room for large bodies.
    pub(super) fn widen(&self) {
        match self {
            Self::Pipe(pipe) => pipe_size::widen(pipe),
            #[cfg(feature = "grpc")]
            Self::Stream(_) => {}
        }
    }

    /// Gives the decoder what is there already: how many bytes, 0 at the end, or `None` if nothing is there yet.
    pub(super) fn try_read(&mut self, decoder: &mut Decoder) -> Result<Option<usize>, AdapterFailure> {
        match self {
            Self::Pipe(pipe) => {
                let mut bytes = vec![0; 64 << 10];
                loop {
                    // The pipe itself is asked: the runtime may not have noticed yet that there is something to read.
                    match nix::unistd::read(&*pipe, &mut bytes) {
                        Err(Errno::EAGAIN) => return Ok(None),
                        Err(Errno::EINTR) => {}
                        Err(error) => return Err(reading(&error.into())),
                        Ok(len) => {
                            decoder.buffer().extend_from_slice(&bytes[..len]);
                            return Ok(Some(len));
                        }
                    }
                }
            }
            #[cfg(feature = "grpc")]
            Self::Stream(stream) => stream.try_read(decoder.buffer()),
        }
    }
}

fn reading(error: &io::Error) -> AdapterFailure {
    AdapterFailure::Failed { what: format!("reading from the worker: {error}") }
}
