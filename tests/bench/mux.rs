//! The bare shape of this project without the project: caller, channel, writer, pipe, worker, reader, table, answer.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::child::EchoChild;
use crate::echo;
use crate::figures::Laps;

/// Which worker answers.
#[derive(Clone, Copy)]
pub(crate) enum Echo {
    Rust,
    Python,
    PythonJson,
}

impl Echo {
    fn payload(self) -> Bytes {
        match self {
            Self::Rust | Self::Python => Bytes::from_static(&[7; 64]),
            Self::PythonJson => echo::five_keys().to_string().into(),
        }
    }
}

type Table = Arc<Mutex<HashMap<u64, oneshot::Sender<Bytes>>>>;

#[derive(Clone)]
struct Mux {
    requests: mpsc::Sender<(Bytes, oneshot::Sender<Bytes>)>,
}

impl Mux {
    /// Starts a worker, and the two tasks that speak to it. They end with the tasks' owner.
    fn start(echo: Echo, tasks: &mut JoinSet<()>) -> Result<Self, Box<dyn Error>> {
        let mut child = match echo {
            Echo::Rust => EchoChild::rust()?,
            Echo::Python => EchoChild::python(echo::PYTHON)?,
            Echo::PythonJson => EchoChild::python(echo::PYTHON_JSON)?,
        };
        let to_child = pipe::Sender::from_owned_fd(child.to_child.take().ok_or("the child has no stdin")?)?;
        let from_child =
            pipe::Receiver::from_owned_fd(child.from_child.take().ok_or("the child has no stdout")?)?;
        let (requests, waiting) = mpsc::channel(256);
        let table = Table::default();
        tasks.spawn(write(to_child, waiting, Arc::clone(&table)));
        tasks.spawn(async move {
            read(from_child, table).await;
            drop(child);
        });
        Ok(Self { requests })
    }

    async fn call(&self, payload: Bytes) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        let (reply, answer) = oneshot::channel();
        self.requests.send((payload, reply)).await?;
        Ok(answer.await?)
    }
}

/// Writes all that waits in one go.
async fn write(
    mut to_child: pipe::Sender,
    mut waiting: mpsc::Receiver<(Bytes, oneshot::Sender<Bytes>)>,
    table: Table,
) {
    let (mut out, mut requests, mut number) = (BytesMut::new(), Vec::new(), 0_u64);
    while waiting.recv_many(&mut requests, 256).await > 0 {
        {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            for (payload, reply) in requests.drain(..) {
                number += 1;
                table.insert(number, reply);
                let length = u32::try_from(8 + payload.len()).expect("a bench payload is small");
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(&payload);
            }
        }
        if to_child.write_all(&out).await.is_err() {
            return;
        }
        out.clear();
    }
}

async fn read(mut from_child: pipe::Receiver, table: Table) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(64 << 10);
        if !matches!(from_child.read_buf(&mut buffer).await, Ok(read) if read > 0) {
            return;
        }
        while let Some((length, _)) = buffer.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            if buffer.len() < 4 + length {
                break;
            }
            buffer.advance(4);
            let mut frame = buffer.split_to(length).freeze();
            let number = frame.get_u64();
            let reply = table.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
            // A caller that is gone needs no answer.
            let _ = reply.map(|reply| reply.send(frame));
        }
    }
}

/// The median of a round trip with one worker and one caller, in microseconds.
pub(crate) async fn p50(echo: Echo, calls: usize) -> Result<f64, Box<dyn Error>> {
    let mut tasks = JoinSet::new();
    let mux = Mux::start(echo, &mut tasks)?;
    let payload = echo.payload();
    let caller = tokio::spawn(async move {
        let mut laps = Laps::default();
        for _ in 0..calls {
            let start = Instant::now();
            mux.call(payload.clone()).await?;
            laps.add(start);
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(laps.p50())
    });
    Ok(caller.await?.map_err(|error| error.to_string())?)
}

/// Calls per second with `outstanding` callers on each of `workers`.
pub(crate) async fn throughput(
    echo: Echo,
    workers: usize,
    outstanding: usize,
    calls: usize,
) -> Result<f64, Box<dyn Error>> {
    let (mut tasks, mut callers) = (JoinSet::new(), JoinSet::new());
    let each = calls / (workers * outstanding);
    let mut muxes = Vec::new();
    for _ in 0..workers {
        let mux = Mux::start(echo, &mut tasks)?;
        // A worker that has answered once is past its start.
        mux.call(echo.payload()).await.map_err(|error| error.to_string())?;
        muxes.push(mux);
    }
    let start = Instant::now();
    for mux in &muxes {
        for _ in 0..outstanding {
            let (mux, payload) = (mux.clone(), echo.payload());
            callers.spawn(async move {
                for _ in 0..each {
                    mux.call(payload.clone()).await?;
                }
                Ok::<_, Box<dyn Error + Send + Sync>>(())
            });
        }
    }
    while let Some(ended) = callers.join_next().await {
        ended?.map_err(|error| error.to_string())?;
    }
    Ok((each * workers * outstanding) as f64 / start.elapsed().as_secs_f64())
}
