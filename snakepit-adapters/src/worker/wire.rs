//! What a worker reads from and writes to: two pipes, or the two directions of a gRPC stream.

use std::fs::File;
use std::io::{self, IoSlice, Write};

use bytes::BufMut;

use crate::port::frame::Decoder;
#[cfg(feature = "grpc")]
use crate::worker::grpc::{StreamFromHost, StreamToHost};

/// The way from the host.
#[derive(Debug)]
pub(super) enum FromHost {
    Pipe(File),
    #[cfg(feature = "grpc")]
    Stream(StreamFromHost),
}

impl FromHost {
    /// Waits for bytes. Those of a stream are with the decoder then: how many, 0 at the end. Those of a pipe lie there, unread.
    pub(super) fn wait(&mut self, decoder: &mut Decoder) -> io::Result<Option<usize>> {
        match self {
            Self::Pipe(pipe) => arrival(pipe).map(|()| None),
            #[cfg(feature = "grpc")]
            Self::Stream(stream) => stream.read(decoder.buffer()).map(Some),
        }
    }

    /// Gives the decoder what was waited for, if it does not have it: how many bytes, 0 at the end.
    pub(super) fn read(&mut self, waited_for: Option<usize>, decoder: &mut Decoder) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => read_to(pipe, &mut decoder.room()),
            #[cfg(feature = "grpc")]
            Self::Stream(_) => Ok(waited_for.unwrap_or(0)),
        }
    }
}

/// Waits until there is something to read, and takes nothing: whoever is killed in this wait has read nothing. A read that
/// waits still takes what comes between the kill and its end, and then nobody can tell that it was not begun with.
fn arrival(pipe: &File) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    poll(&mut [PollFd::new(pipe, PollFlags::IN)], None)?;
    Ok(())
}

/// Reads to memory that need not be written before.
fn read_to(pipe: &File, room: &mut impl BufMut) -> io::Result<usize> {
    #[expect(unsafe_code, reason = "the system fills memory that was not written before")]
    // SAFETY: it is handed to a call that writes to it, and does not read it.
    let chunk = unsafe { room.chunk_mut().as_uninit_slice_mut() };
    let len = rustix::io::read(pipe, chunk)?.0.len();
    #[expect(unsafe_code, reason = "the system fills memory that was not written before")]
    // SAFETY: so many bytes of it have just been written.
    unsafe {
        room.advance_mut(len);
    }
    Ok(len)
}

/// The way to the host. What was written may stay here until it is flushed.
#[derive(Debug)]
pub(super) enum ToHost {
    Pipe(File),
    #[cfg(feature = "grpc")]
    Stream(StreamToHost),
}

impl ToHost {
    /// Ends it behind what was written. A pipe ends with the process.
    #[cfg(feature = "grpc")]
    pub(super) fn end(&self) {
        match self {
            Self::Pipe(_) => {}
            Self::Stream(stream) => stream.end(),
        }
    }
}

impl Write for ToHost {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => pipe.write_vectored(slices),
            #[cfg(feature = "grpc")]
            Self::Stream(stream) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Pipe(pipe) => pipe.flush(),
            #[cfg(feature = "grpc")]
            Self::Stream(stream) => {
                stream.flush();
                Ok(())
            }
        }
    }
}
