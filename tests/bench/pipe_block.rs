//! The physical limit: one thread writes and reads, with nothing between it and the pipe. The second program speaks the
//! worker contract that way, and so shows what the worker's end costs.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};

use bytes::BytesMut;
use snakepit_adapters::port::frame::{Kind, PayloadLayout, RequestLayout, put_frame, put_layout};
use snakepit_adapters::{Payload, Request};
use tokio::time::Instant;

use crate::child::EchoChild;
use crate::figures::Laps;

/// The median of a round trip of 64 bytes, in microseconds.
pub(crate) fn p50(calls: usize) -> Result<f64, Box<dyn Error>> {
    let (_child, mut to_child, mut from_child) = open(EchoChild::rust()?)?;
    let mut laps = Laps::default();
    let mut bytes = [7; 64];
    for _ in 0..calls {
        let start = Instant::now();
        to_child.write_all(&bytes)?;
        from_child.read_exact(&mut bytes)?;
        laps.add(start);
    }
    Ok(laps.p50())
}

/// The same with a worker that keeps the contract: the request and its answer are made once, outside the measure.
pub(crate) fn worker_p50(calls: usize) -> Result<f64, Box<dyn Error>> {
    let (_child, mut to_child, mut from_child) = open(EchoChild::port()?)?;
    let mut hello = BytesMut::new();
    put_frame(&mut hello, Kind::Hello, 0, br#"{"protocol": [1]}"#);
    to_child.write_all(&hello)?;
    let mut length = [0; 4];
    from_child.read_exact(&mut length)?;
    from_child.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize])?;

    let payload = Payload::bytes(vec![7; 64]);
    let (mut request, mut answer) = (BytesMut::new(), BytesMut::new());
    put_layout(&mut answer, Kind::Result, 1, &PayloadLayout::new(&payload)?);
    put_layout(
        &mut request,
        Kind::Execute,
        1,
        &RequestLayout::new(&Request::new("echo", payload), None, None)?,
    );
    let mut laps = Laps::default();
    for _ in 0..calls {
        let start = Instant::now();
        to_child.write_all(&request)?;
        from_child.read_exact(&mut answer)?;
        laps.add(start);
    }
    Ok(laps.p50())
}

fn open(mut child: EchoChild) -> Result<(EchoChild, File, File), Box<dyn Error>> {
    let to_child = File::from(child.to_child.take().ok_or("the child has no stdin")?);
    let from_child = File::from(child.from_child.take().ok_or("the child has no stdout")?);
    Ok((child, to_child, from_child))
}
