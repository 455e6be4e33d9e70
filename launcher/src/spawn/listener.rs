//! The listener of a seccomp filter goes to who asked for it: one connection, one state, one descriptor
//! (runtime-spec, config-linux.md, "The Container Process State").

use std::io::{self, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use oci_spec::runtime::{ContainerProcessState, SECCOMP_FD_NAME};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, PidfdGetfdFlags, pidfd_getfd};

use super::Step;
use super::step::{At, Done};
use crate::plan::{Listener, Security};

/// Hands over the listener of the process `pid`, which waits for answers from then on.
pub(super) fn deliver(security: &Security, pid: Pid, listener: &OwnedFd) -> Done {
    let Some(to) = &security.listener else {
        return Err(Errno::DESTADDRREQ).at(Step::Listener, "nobody");
    };
    match send(to, pid, listener) {
        // Nothing will be asked.
        Err(_) if !to.asked => Ok(()),
        sent => sent.at(Step::Listener, to.path.display()),
    }
}

/// Takes the listener from the process that will have it at this number. That one does nothing from then on but load its
/// filter, which nothing announces: it is looked for until it is there, or the process gone.
pub(super) fn take(pidfd: &OwnedFd, number: i32) -> Done<OwnedFd> {
    const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };
    loop {
        match pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()) {
            Err(Errno::BADF) => {}
            other => return other.at(Step::Listener, "the launcher"),
        }
        let mut ended = [PollFd::new(pidfd, PollFlags::IN)];
        if rustix::io::retry_on_intr(|| poll(&mut ended, Some(&PAUSE))) == Ok(1) {
            return Err(Errno::SRCH).at(Step::Listener, "the launcher");
        }
    }
}

fn send(to: &Listener, pid: Pid, listener: &OwnedFd) -> io::Result<()> {
    let pid = pid.as_raw_nonzero().get();
    let mut state = to.state.clone();
    if state.pid().is_none() {
        state.set_pid(Some(pid));
    }
    let mut told = ContainerProcessState::default();
    told.set_version(state.version().clone())
        .set_fds(vec![SECCOMP_FD_NAME.to_owned()])
        .set_pid(pid)
        .set_metadata(to.metadata.clone())
        .set_state(state);
    let text = serde_json::to_vec(&told)?;
    let mut stream = UnixStream::connect(&to.path)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [listener.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    // The descriptor goes with the first part, whatever its length.
    let sent = sendmsg(&stream, &[IoSlice::new(&text)], &mut ancillary, SendFlags::NOSIGNAL)?;
    stream.write_all(text.get(sent..).unwrap_or_default())
}
