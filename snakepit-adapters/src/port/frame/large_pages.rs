//! The memory of large bodies in few large pages: 64 MiB in the usual ones is 16,000 page faults, which cost as much as all
//! that the wire does.

use bytes::BytesMut;

/// From this size on. A body rounded up to a large page holds up to 2 MiB that it does not need.
const WORTH: usize = 4 << 20;

/// Says so to the system, if a body has become large. To be called whenever it was given more memory.
///
/// A system that has no large pages, or none for whoever asks (`transparent_hugepage/enabled`), goes on with small ones.
pub(super) fn ask_for(body: &mut BytesMut) {
    if body.capacity() >= WORTH {
        advise(body);
    }
}

#[cfg(target_os = "linux")]
fn advise(body: &mut BytesMut) {
    use rustix::mm::{Advice, madvise};

    // All of the pages that it has a part in: the system keeps what it was told by mapping, and an allocator grows in place
    // what lies in one.
    let page = rustix::param::page_size();
    let (start, capacity) = (body.as_mut_ptr(), body.capacity());
    let before = start.addr() % page;
    let len = (before + capacity).next_multiple_of(page);
    #[expect(unsafe_code, reason = "no safe call says how memory will be used")]
    // SAFETY: this advice changes no content, whoever has the rest of these pages.
    let asked = unsafe { madvise(start.wrapping_sub(before).cast(), len, Advice::LinuxHugepage) };
    // Refused where the kernel was built without.
    let _ = asked;
}

#[cfg(not(target_os = "linux"))]
fn advise(_: &mut BytesMut) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use crate::port::frame::{CUT_AT, Decoder, Header, Incoming, Kind, Side};

    /// Whether the system was told so of the memory at an address (`proc_pid_smaps(5)`, `VmFlags`).
    fn is_told(address: usize) -> bool {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut holds = false;
        for line in smaps.lines() {
            let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
            let ends =
                range.map(|(from, to)| (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16)));
            if let Some((Ok(from), Ok(to))) = ends {
                holds = (from..to).contains(&address);
            }
            if let (true, Some(flags)) = (holds, line.strip_prefix("VmFlags:")) {
                return flags.split_ascii_whitespace().any(|flag| flag == "hg");
            }
        }
        panic!("{address:#x} is nowhere in smaps");
    }

    #[test]
    fn a_body_that_grows_large_is_asked_for_large_pages_and_arrives_whole() {
        if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            eprintln!("SKIPPED large_pages: the kernel was built without");
            return;
        }
        let mut decoder = Decoder::new(Side::Worker, 64 << 20);
        let (parts, mut large) = (40_u8, None);
        for n in 0..parts {
            let kind = if n == 0 { Kind::Result } else { Kind::Part };
            let header = Header::of(kind, 7, CUT_AT, n + 1 < parts);
            decoder.buffer().extend_from_slice(&header.to_bytes());
            decoder.buffer().extend_from_slice(&vec![n; CUT_AT]);
            while let Some(incoming) = decoder.next_incoming().unwrap() {
                if let Incoming::Frame(frame) = incoming {
                    large = Some(frame.body);
                }
            }
        }
        let large = large.unwrap();
        assert!((0..parts).all(|n| large[usize::from(n) * CUT_AT..][..CUT_AT].iter().all(|byte| *byte == n)));
        assert!(is_told(large.as_ptr().addr()));
        assert!(!is_told((&raw const decoder).addr()), "nobody else's memory is");
    }
}
