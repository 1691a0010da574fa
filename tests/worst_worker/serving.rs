//! The wire of the worst worker: every request is echoed, except `hold`, which is never answered, and `crash`.

use std::io;
use std::process::ExitCode;

use nix::sys::signal::{Signal, raise};
use snakepit_adapters::port::frame::{Frame, Kind, read_request, take_credit};

use crate::stub_worker;
use crate::stub_worker::raw::Wire;
use crate::worst_worker::flags::Flags;

/// Serves until the wire ends, and stays.
pub(super) fn serve(flags: &Flags) -> ExitCode {
    // A host that is gone ends the wire one way or another; this worker takes no notice of it.
    let _ = Wire::open().and_then(|mut wire| answer_all(&mut wire, flags));
    stub_worker::sleep(stub_worker::raw::STAYS);
    ExitCode::SUCCESS
}

fn answer_all(wire: &mut Wire, flags: &Flags) -> io::Result<()> {
    while let Some(frame) = wire.next()? {
        match frame.kind {
            Kind::Hello => {
                wire.ready()?;
                if flags.stops_itself {
                    raise(Signal::SIGSTOP)?;
                }
            }
            Kind::Execute | Kind::ExecuteStream => answer(wire, frame)?,
            Kind::Ping => wire.frame(Kind::Pong, frame.id, b"")?,
            // It takes no leave, and gives up nothing.
            _ => {}
        }
    }
    Ok(())
}

fn answer(wire: &mut Wire, frame: Frame) -> io::Result<()> {
    let (id, stream, mut body) = (frame.id, frame.kind == Kind::ExecuteStream, frame.body);
    if stream {
        take_credit(&mut body).map_err(io::Error::other)?;
    }
    let request = read_request(body).map_err(io::Error::other)?;
    match request.command.as_ref() {
        "hold" => Ok(()),
        "crash" => std::process::abort(),
        _ => wire.echo(id, stream, &request.payload),
    }
}
