//! Where a process 1 that is made but not started waits: a socket in the container's folder.
//!
//! ```text
//! init -> create   W                      everything is set up; only the program is missing
//! create -> init   G                      the state knows of you: nobody's death is yours any more
//!                  (init closes every descriptor that it need not have)
//! start -> init    connects; S            now. The connection is the handshake from here on
//! ```
//!
//! It accepts once. Who connects and dies without a word takes the container along: one that was asked to start is never
//! found waiting.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, connect, listen, recv, send, socket_with,
};

use super::prepare::Setup;
use super::step::{At, Done};
use super::{Step, handshake};
use crate::sys;

/// The socket's name in the container's folder.
const NAME: &str = "start";

/// A socket at which nobody waits yet.
#[derive(Debug)]
pub(super) struct Gate {
    listener: OwnedFd,
}

impl Gate {
    /// Makes it in a container's folder.
    pub(super) fn new(folder: BorrowedFd<'_>) -> Result<Self, Errno> {
        let listener = socket()?;
        bind(&listener, &address(folder)?)?;
        listen(&listener, 1)?;
        Ok(Self { listener })
    }

    /// In the child: nothing of the host stays within reach of somebody who comes into the container before its program
    /// runs. What is needed to get there is closed later, by itself. Before the filter, which may not know `close_range`.
    pub(super) fn let_go(&self, setup: &Setup<'_>, launcher: BorrowedFd<'_>) -> Done {
        let mut kept = setup.kept_while_waiting();
        kept.extend([self.listener.as_raw_fd(), launcher.as_raw_fd()]);
        sys::exec::close_all_but(3 + setup.plan.preserved_descriptors, &mut kept)
            .at(Step::Descriptors, "3 and above")
    }

    /// In the child: waits to be started, and returns the new handshake socket. The old one is closed.
    pub(super) fn wait(&self, setup: &Setup<'_>, launcher: BorrowedFd<'_>) -> Done<OwnedFd> {
        handshake::waiting(launcher).at(Step::Prepare, "the container")?;
        handshake::await_go(launcher).at(Step::Prepare, "the container")?;
        if !setup.plan.dies_with_parent {
            rustix::process::set_parent_process_death_signal(None)
                .at(Step::Prepare, "the parent-death signal")?;
        }
        // The launcher takes the end of its socket for the answer.
        sys::clone::close_copy(launcher);
        let accepted =
            rustix::io::retry_on_intr(|| accept_with(&self.listener, SocketFlags::CLOEXEC));
        let starter = accepted.at(Step::Prepare, "the container")?;
        let mut byte = [0_u8; 1];
        let received = rustix::io::retry_on_intr(|| recv(&starter, &mut byte, RecvFlags::empty()));
        match received {
            Ok((1, _)) if byte == *b"S" => Ok(starter),
            // Who came has died.
            _ => sys::clone::exit_now(125),
        }
    }
}

/// Goes to where a process 1 waits. It is not started before [`go`].
pub(super) fn reach(folder: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let socket = socket()?;
    connect(&socket, &address(folder)?)?;
    Ok(socket)
}

/// Starts the process 1 that was reached.
pub(super) fn go(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    send(socket, b"S", SendFlags::NOSIGNAL).map(drop)
}

fn socket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// By the folder's descriptor: a path may be longer than an address can be (108 bytes, unix(7)).
fn address(folder: BorrowedFd<'_>) -> Result<SocketAddrUnix, Errno> {
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{NAME}", folder.as_fd().as_raw_fd()))
}
