//! How a program becomes a shim instead of running its `main`.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::libc;
use rustix::process::{Signal, getpid, set_child_subreaper, set_parent_process_death_signal, setpgid};

use crate::process::shim::keeper::Keeper;
use crate::process::shim::offspring::{exit, reset_dispositions};

/// The environment variable that asks a program to be a shim. No worker inherits it.
pub(in crate::process) const VARIABLE: &str = "SNAKEPIT_SHIM";
/// Where the socket to the host is, once the shim has settled in.
const LINK: RawFd = 3;

/// Called by the system's loader before `main` of every program that this crate is linked into.
///
/// For all but shims it costs one look at the environment. The number puts it before the program's own constructors, which
/// may start threads; those of shared libraries run before it.
#[used]
#[unsafe(link_section = ".init_array.00101")]
#[expect(unsafe_code, reason = "the one way to be asked before `main` without the program's help")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    become_shim_if_asked();
}

/// Becomes a shim where the environment asks for it and the standard input is a host's socket; returns otherwise.
pub(super) fn become_shim_if_asked() {
    if is_asked() && is_socket(0) {
        // A program with more rights than whoever started it: the plan, and with it what to run, is theirs.
        if has_more_rights_than_its_caller() {
            exit(1);
        }
        become_shim();
    }
}

/// Whether this code lies in the program itself, so that running the program again will run [`before_main`]. It may lie
/// in a library that the program has loaded instead, such as an extension module, and then it does not.
pub(in crate::process) fn is_in_the_program() -> bool {
    extern "C" fn look(
        info: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        verdict: *mut libc::c_void,
    ) -> libc::c_int {
        let address = (before_main as *const ()).addr();
        #[expect(unsafe_code, reason = "reads what the loader tells of the program")]
        // SAFETY: the loader's structs live through the call; `verdict` is the caller's `bool`.
        unsafe {
            let info = &*info;
            let headers = std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
            let inside = headers.iter().filter(|header| header.p_type == libc::PT_LOAD).any(|header| {
                let (Ok(base), Ok(start), Ok(length)) = (
                    usize::try_from(info.dlpi_addr),
                    usize::try_from(header.p_vaddr),
                    usize::try_from(header.p_memsz),
                ) else {
                    return false;
                };
                let start = base.wrapping_add(start);
                (start..start.wrapping_add(length)).contains(&address)
            });
            *verdict.cast::<bool>() = inside;
        }
        // The program comes first (`dl_iterate_phdr(3)`); the libraries are of no interest.
        1
    }
    let mut verdict = false;
    #[expect(unsafe_code, reason = "asks the loader which part of memory is the program")]
    // SAFETY: `look` is called before this returns, with the pointer given here.
    unsafe {
        libc::dl_iterate_phdr(Some(look), (&raw mut verdict).cast());
    }
    verdict
}

/// Whether the program is set-id or has file capabilities (`getauxval(3)`, `AT_SECURE`).
fn has_more_rights_than_its_caller() -> bool {
    #[expect(unsafe_code, reason = "no crate in the tree asks this")]
    // SAFETY: reads a number that the kernel gave to the process.
    unsafe {
        libc::getauxval(libc::AT_SECURE) != 0
    }
}

fn is_asked() -> bool {
    #[expect(unsafe_code, reason = "before `main` the environment is read as C does")]
    // SAFETY: no thread is there yet that could change the environment.
    unsafe {
        !libc::getenv(c"SNAKEPIT_SHIM".as_ptr()).is_null()
    }
}

/// Whether a descriptor is a socket of the kind that hosts give their shims.
fn is_socket(fd: RawFd) -> bool {
    let option = |name| {
        let mut value: libc::c_int = 0;
        let mut length = libc::socklen_t::try_from(size_of_val(&value)).unwrap_or(0);
        #[expect(unsafe_code, reason = "the descriptor may be anything, or nothing at all")]
        // SAFETY: writes one number that lives through the call.
        let result =
            unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length) };
        (result == 0).then_some(value)
    };
    option(libc::SO_TYPE) == Some(libc::SOCK_SEQPACKET) && option(libc::SO_DOMAIN) == Some(libc::AF_UNIX)
}

fn become_shim() -> ! {
    match settle_in() {
        Some(keeper) => keeper.work(),
        // The host sees the end of the socket, and says that the shim did not come up.
        None => exit(1),
    }
}

fn settle_in() -> Option<Keeper> {
    reset_dispositions();
    rustix::thread::set_name(c"snakepit-shim").ok()?;
    set_child_subreaper(Some(getpid())).ok()?;
    // A hint and nothing more: it comes when the host's thread that started this shim ends, which may be long before the
    // host does. A shim that was stopped goes on, and sees for itself whether its host is gone.
    set_parent_process_death_signal(Some(Signal::CONT)).ok()?;
    setpgid(None, None).ok()?;
    let link = take_link()?;
    Keeper::new(link)
}

/// Moves the socket from the standard input to its place, and closes whatever else the host has leaked: a listening
/// socket that lived on here would keep its port taken.
fn take_link() -> Option<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    #[expect(unsafe_code, reason = "descriptors are numbers here: what was inherited has no owner yet")]
    // SAFETY: nothing of this process uses any descriptor yet.
    let link = unsafe {
        if libc::dup3(0, LINK, libc::O_CLOEXEC) != LINK {
            return None;
        }
        close_from(LINK + 1);
        OwnedFd::from_raw_fd(LINK)
    };
    let null = open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()?;
    rustix::stdio::dup2_stdin(&null).ok()?;
    Some(link)
}

fn close_from(first: RawFd) {
    #[expect(unsafe_code, reason = "closes descriptors that nobody owns")]
    // SAFETY: see `take_link`.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) != 0 {
            // A kernel before 5.9. Descriptors beyond this many are out of any worker's reach of interest.
            for fd in first..65_536 {
                libc::close(fd);
            }
        }
    }
}
