//! macOS and its kin: what `proc_pidinfo` and `sysctlbyname(3)` tell.

use std::io;
use std::mem::MaybeUninit;

use nix::libc;

use crate::process::identity::facts::Look;

/// Whether a number and a start make an identity. The start is in microseconds, and a number comes again only after all
/// others had their turn, which takes longer.
pub(in crate::process::identity) const START_IS_CERTAIN: bool = true;

/// What the system shows of the process that has this number, also when it waits to be reaped.
pub(in crate::process::identity) fn look(pid: i32) -> io::Result<Look> {
    /// A number other than 0 in this place asks for ended processes, too (`bsd/kern/proc_info.c`).
    const ENDED_TOO: u64 = 1;
    if pid <= 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut info = MaybeUninit::<libc::proc_bsdinfo>::zeroed();
    let size = i32::try_from(size_of::<libc::proc_bsdinfo>()).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "no wrapper has this call")]
    // SAFETY: the system writes at most `size` bytes to `info`, and zeros are a value of it.
    let (written, info) = unsafe {
        let written =
            libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, ENDED_TOO, info.as_mut_ptr().cast(), size);
        (written, info.assume_init())
    };
    if written == size {
        let start = info.pbi_start_tvsec.saturating_mul(1_000_000).saturating_add(info.pbi_start_tvusec);
        return Ok(Look { start, has_ended: info.pbi_status == libc::SZOMB });
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // Only processes of our own user are shown, and only those can be ours.
        Some(libc::ESRCH | libc::EPERM) => Err(io::ErrorKind::NotFound.into()),
        _ => Err(error),
    }
}

/// When the process that has this number started, in microseconds since 1970.
pub(in crate::process::identity) fn start_time(pid: i32) -> io::Result<u64> {
    Ok(look(pid)?.start)
}

/// This boot of the machine.
pub(in crate::process::identity) fn boot() -> io::Result<String> {
    let mut text = [0_u8; 64];
    let mut length = text.len();
    #[expect(unsafe_code, reason = "no wrapper has this call")]
    // SAFETY: the system writes at most `length` bytes to `text`, and says in `length` how many.
    let result = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            text.as_mut_ptr().cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8(text.to_vec()).map_err(io::Error::other)
}

/// There are no process namespaces here; the `Result` is what systems with such need.
#[expect(clippy::unnecessary_wraps, reason = "systems with namespaces may fail to tell")]
pub(in crate::process::identity) fn pid_namespace() -> io::Result<(u64, Option<u64>)> {
    Ok((0, None))
}
