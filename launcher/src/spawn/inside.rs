//! Work in a user namespace alone: for files that belong to ids which only a container's root can touch.

use std::os::fd::AsFd;

use super::handshake;
use super::step::{At, Done};
use super::{SpawnError, Step, end_of, ids};
use crate::plan::{IdMaps, NamespaceKind};
use crate::sys::clone::{Side, exit_now, fork_into};

/// Does `work` in a process of its own, as root of a user namespace with these maps and with nothing else apart; whether it
/// said that it succeeded.
///
/// The caller must be single-threaded.
///
/// # Errors
///
/// The namespace cannot be made or its ids not be mapped.
pub fn inside(maps: &IdMaps, work: impl FnOnce() -> bool) -> Result<bool, SpawnError> {
    let (ours, theirs) = handshake::pair().at(Step::Prepare, "the handshake")?;
    let side = fork_into(NamespaceKind::User.flag(), None).at(Step::Clone, "user")?;
    let (pid, pidfd) = match side {
        Side::Child => {
            drop(ours);
            let ready = || -> Done {
                handshake::await_go(theirs.as_fd()).at(Step::MapIds, "the namespace")?;
                ids::become_root(maps, false)
            };
            exit_now(i32::from(!(ready().is_ok() && work())))
        }
        Side::Parent { pid, pidfd } => (pid, pidfd),
    };
    drop(theirs);
    let mapped = ids::map(maps, pid)
        .and_then(|()| handshake::go(ours.as_fd()).at(Step::MapIds, "the namespace"));
    // Without the word the child gives up at the end of file.
    drop(ours);
    let end = end_of(&pidfd);
    mapped?;
    Ok(end == "status 0")
}
