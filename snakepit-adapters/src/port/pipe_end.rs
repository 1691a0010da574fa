//! What the end of a pipe that is written says about the other one.

use std::os::fd::AsFd;

/// How many bytes lie in a pipe (`pipe(7)`, `FIONREAD`). Only Linux answers at the end that is written.
pub(super) fn unread(pipe: &impl AsFd) -> usize {
    #[cfg(target_os = "linux")]
    let unread = rustix::io::ioctl_fionread(pipe).ok().and_then(|bytes| usize::try_from(bytes).ok());
    #[cfg(not(target_os = "linux"))]
    let unread = {
        let _ = pipe;
        None
    };
    unread.unwrap_or(0)
}

/// Whether every end that reads is closed, in whatever process (`poll(2)`, `POLLERR`).
pub(super) fn has_no_reader(pipe: &impl AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut end = [PollFd::new(pipe, PollFlags::empty())];
    poll(&mut end, Some(&Timespec::default())).is_ok() && end[0].revents().contains(PollFlags::ERR)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_pipe_keeps_what_was_not_read_also_when_nobody_can_read_it_any_more() {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&[7; 100]).unwrap();
        reader.read_exact(&mut [0; 30]).unwrap();
        let another = reader.try_clone().unwrap();
        drop(reader);
        assert_eq!((unread(&writer), has_no_reader(&writer)), (70, false), "another may read it");
        drop(another);
        assert_eq!((unread(&writer), has_no_reader(&writer)), (70, true));
        writer.write_all(&[7]).unwrap_err();
        assert_eq!(unread(&writer), 70);
    }
}
