//! A container that is made and waits for its program: let go of by whoever made it, reached by whoever starts it.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::handshake::{self, Word};
use super::step::At;
use super::{Child, SpawnError, Step, abandon, gate};

/// A container whose process 1 waits to be started. It dies with this process until it is [released](Created::release).
#[derive(Debug)]
pub struct Created {
    /// Process 1, and the controlling side of its terminal.
    pub child: Child,
    socket: OwnedFd,
}

impl Created {
    pub(super) fn new(child: Child, socket: OwnedFd) -> Self {
        Self { child, socket }
    }

    /// Lets go of process 1, now that the state knows of it: it no longer dies with this process (unless the plan says
    /// so), and has closed what it had of the launcher's when this returns.
    ///
    /// # Errors
    ///
    /// It is dead, and reaped.
    pub fn release(self) -> Result<Child, SpawnError> {
        let Self { child, socket } = self;
        let released = handshake::go(socket.as_fd())
            .and_then(|()| handshake::wait_for_end(socket.as_fd()))
            .at(Step::Prepare, "the handshake")
            .map_err(SpawnError::from)
            .and_then(|()| listen_to_end(&socket, None));
        match released {
            Ok(()) => Ok(child),
            Err(error) => {
                abandon(&child.pidfd);
                Err(error)
            }
        }
    }
}

/// A process 1 that was reached where it waits.
#[derive(Debug)]
pub struct Starting(OwnedFd);

/// Goes to where a container's process 1 waits, in its folder. Dying now takes that along.
///
/// # Errors
///
/// Nobody waits there.
pub fn reach(folder: BorrowedFd<'_>, id: &str) -> Result<Starting, SpawnError> {
    Ok(Starting(gate::reach(folder).at(Step::Start, id)?))
}

impl Starting {
    /// Has the program executed; returns when it was.
    ///
    /// # Errors
    ///
    /// What failed on the way. Process 1 is dead or dies then.
    pub fn start(self) -> Result<(), SpawnError> {
        gate::go(self.0.as_fd()).at(Step::Start, "the container")?;
        handshake::wait_for_end(self.0.as_fd()).at(Step::Prepare, "the handshake")?;
        listen_to_end(&self.0, Some("while it was started"))
    }
}

/// Hears what was said up to the end. With `must`, success has been announced before that.
fn listen_to_end(socket: &OwnedFd, must: Option<&str>) -> Result<(), SpawnError> {
    let mut executing = false;
    loop {
        match handshake::listen(socket.as_fd()).at(Step::Prepare, "the handshake")? {
            Word::Executing => executing = true,
            Word::Failed(failure) => return Err(failure.into()),
            Word::Gone => {
                return match must.filter(|_| !executing) {
                    Some(when) => Err(SpawnError::Died(when.to_owned())),
                    None => Ok(()),
                };
            }
            _ => return Err(Errno::BADMSG).at(Step::Prepare, "the handshake")?,
        }
    }
}
