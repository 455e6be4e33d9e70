//! What launcher and child tell each other while a container starts, over one socket pair.
//!
//! ```text
//! launcher -> child   G                           ids are mapped, hooks have run, the state is written: go on
//! child -> launcher   U                           a user namespace wants its ids
//!                     P  pid[4] + a descriptor    the container's first process, from the one in between
//!                     H                           its file systems are mounted: time for hooks
//!                     D                           the next network device is wanted
//!                     C  + a descriptor           the controlling side of the terminal
//!                     L  + a descriptor           the listener of the seccomp filter
//!                     N  number[4]                as what descriptor the listener will appear in the child
//!                     W                           everything is set up, the program was found: waits to be started
//!                     X                           everything is set up: exec comes next
//!                     F  step  errno[4]  object   what failed; the child ends
//!                     (end of file)               after X: exec succeeded, for it closed the socket
//!                                                 otherwise: the child died
//! ```

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::Pid;

use super::step::{Failure, Step};

/// Longest object that is told; more is cut.
const OBJECT: usize = 1024;

/// Both ends, close-on-exec: the launcher's and the child's.
pub(super) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Something that the child said.
#[derive(Debug)]
pub(super) enum Word {
    Unmapped,
    Born(Pid, OwnedFd),
    Hooks,
    Device,
    Console(OwnedFd),
    Listener(OwnedFd),
    ListenerAt(i32),
    Waiting,
    Executing,
    Failed(Failure),
    /// End of file.
    Gone,
}

/// Waits until the child's side is closed: by exec, or by its death. What it said waits to be listened to.
pub(super) fn wait_for_end(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut polled = [PollFd::new(&socket, PollFlags::empty())];
    rustix::io::retry_on_intr(|| poll(&mut polled, None)).map(drop)
}

/// The child's next word.
pub(super) fn listen(socket: BorrowedFd<'_>) -> Result<Word, Errno> {
    let mut bytes = [0_u8; OBJECT + 6];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    });
    let length = match received {
        Ok(message) => message.bytes,
        // The child died with our `G` unread.
        Err(Errno::CONNRESET) => 0,
        Err(errno) => return Err(errno),
    };
    match bytes.get(..length).unwrap_or_default() {
        [] => Ok(Word::Gone),
        [b'X'] => Ok(Word::Executing),
        [b'U'] => Ok(Word::Unmapped),
        [b'H'] => Ok(Word::Hooks),
        [b'D'] => Ok(Word::Device),
        [b'W'] => Ok(Word::Waiting),
        [b'C'] => descriptor(&mut ancillary).map(Word::Console).ok_or(Errno::BADMSG),
        [b'L'] => descriptor(&mut ancillary).map(Word::Listener).ok_or(Errno::BADMSG),
        [b'P', a, b, c, d] => {
            let pid = Pid::from_raw(i32::from_ne_bytes([*a, *b, *c, *d])).ok_or(Errno::BADMSG)?;
            descriptor(&mut ancillary).map(|pidfd| Word::Born(pid, pidfd)).ok_or(Errno::BADMSG)
        }
        [b'N', a, b, c, d] => Ok(Word::ListenerAt(i32::from_ne_bytes([*a, *b, *c, *d]))),
        [b'F', step, a, b, c, d, object @ ..] => Ok(Word::Failed(Failure {
            step: *Step::ALL.get(usize::from(*step)).ok_or(Errno::BADMSG)?,
            object: String::from_utf8_lossy(object).into_owned(),
            errno: Errno::from_raw_os_error(i32::from_ne_bytes([*a, *b, *c, *d])),
        })),
        _ => Err(Errno::BADMSG),
    }
}

/// The descriptor that came with a word.
fn descriptor(ancillary: &mut RecvAncillaryBuffer<'_>) -> Option<OwnedFd> {
    ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut all) => all.next(),
        _ => None,
    })
}

/// Tells the child to go on.
pub(super) fn go(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    say(socket, b"G")
}

/// In the child (or the one in between): waits for `G`. `EOWNERDEAD`: the launcher is gone.
pub(super) fn await_go(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut byte = [0_u8; 1];
    let received =
        rustix::io::retry_on_intr(|| rustix::net::recv(socket, &mut byte, RecvFlags::empty()))?;
    if received.0 == 1 { Ok(()) } else { Err(Errno::OWNERDEAD) }
}

/// In the child: hands over the controlling side of the terminal.
pub(super) fn send_console(socket: BorrowedFd<'_>, console: BorrowedFd<'_>) -> Result<(), Errno> {
    send_with(socket, b"C", console)
}

/// In the child, behind its filter already: hands over the filter's listener. One `sendmsg`.
pub(super) fn send_listener(socket: BorrowedFd<'_>, listener: &OwnedFd) -> Result<(), Errno> {
    send_with(socket, b"L", listener.as_fd())
}

/// In the child: the next descriptor that is made will be the filter's listener. The lowest free number is the next one.
pub(super) fn announce_listener(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let number = rustix::io::dup(socket)?.as_raw_fd().to_ne_bytes();
    let mut word = [b'N', 0, 0, 0, 0];
    word[1..].copy_from_slice(&number);
    rustix::net::send(socket, &word, SendFlags::NOSIGNAL).map(drop)
}

/// In the process in between: who the container's first process is.
pub(super) fn born(socket: BorrowedFd<'_>, pid: Pid, pidfd: BorrowedFd<'_>) -> Result<(), Errno> {
    let [a, b, c, d] = pid.as_raw_nonzero().get().to_ne_bytes();
    send_with(socket, &[b'P', a, b, c, d], pidfd)
}

/// Sends bytes and a descriptor.
pub(super) fn send_with(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptor: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL).map(drop)
}

/// In the process in between: a user namespace is made, and waits for its ids.
pub(super) fn unmapped(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    say(socket, b"U")
}

/// In the child: it is time for hooks.
pub(super) fn hooks(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    say(socket, b"H")
}

/// In the child: it waits to be started.
pub(super) fn waiting(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    say(socket, b"W")
}

/// In the child: the next network device is wanted.
pub(super) fn device(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::net::send(socket, b"D", SendFlags::NOSIGNAL).map(drop)
}

/// In the child: everything is ready.
pub(super) fn executing(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    say(socket, b"X")
}

fn say(socket: BorrowedFd<'_>, word: &[u8]) -> Result<(), Errno> {
    rustix::net::send(socket, word, SendFlags::NOSIGNAL).map(drop)
}

/// In the child: what failed. Nobody is left to tell when this fails too.
pub(super) fn fail(socket: BorrowedFd<'_>, failure: &Failure) {
    let object = failure.object.as_bytes();
    let object = object.get(..OBJECT).unwrap_or(object);
    let mut bytes = Vec::with_capacity(object.len() + 6);
    bytes.extend([b'F', failure.step as u8]);
    bytes.extend(failure.errno.raw_os_error().to_ne_bytes());
    bytes.extend(object);
    let _ = rustix::net::send(socket, &bytes, SendFlags::NOSIGNAL);
}

/// In the child: whether the launcher still lives. Asked once after the parent-death signal is armed, since a launcher
/// that died before that would not trigger it; `getppid` cannot tell in a new pid namespace.
pub(super) fn launcher_lives(socket: BorrowedFd<'_>) -> bool {
    let socket = socket.as_fd();
    let mut polled = [PollFd::new(&socket, PollFlags::empty())];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut polled, Some(&now)) {
        Ok(_) => !polled[0].revents().contains(PollFlags::HUP),
        Err(_) => true,
    }
}
