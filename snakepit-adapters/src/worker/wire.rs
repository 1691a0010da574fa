//! What a worker reads from and writes to: two pipes, or the two directions of a gRPC stream.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};

use bytes::BytesMut;

#[cfg(feature = "grpc")]
use crate::worker::grpc::{StreamFromHost, StreamToHost};

const READ_SIZE: usize = 64 << 10;

/// The way from the host.
#[derive(Debug)]
pub(super) enum FromHost {
    Pipe {
        pipe: File,
        bytes: Box<[u8]>,
    },
    #[cfg(feature = "grpc")]
    Stream(StreamFromHost),
}

impl FromHost {
    pub(super) fn pipe(pipe: File) -> Self {
        Self::Pipe { pipe, bytes: vec![0; READ_SIZE].into() }
    }

    /// Waits for bytes and appends them: how many, 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Pipe { pipe, bytes } => {
                let len = pipe.read(bytes)?;
                buffer.extend_from_slice(&bytes[..len]);
                Ok(len)
            }
            #[cfg(feature = "grpc")]
            Self::Stream(stream) => stream.read(buffer),
        }
    }
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
