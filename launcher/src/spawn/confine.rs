//! The last steps of every process that a container starts with, or that joins it later: it lets go of every privilege,
//! in the one order that works. What needs a privilege comes before its loss; labels, `no_new_privs` and the filter last.
//!
//! ```text
//! confine    limits, scheduling, keyring, labels
//!            bounding set      (needs CAP_SETPCAP)
//!            [descriptors close at exec, filter: without no_new_privs it needs CAP_SYS_ADMIN, so here]
//!            user, the other capability sets, mask, signals, no_new_privs
//! seal       [descriptors close at exec, filter]
//! ```
//!
//! After [`Rights::seal`] only those calls work that the profile allows: exec, and a message if that fails.

use std::os::fd::BorrowedFd;

use rustix::fs::Mode;

use super::step::{At, Done};
use super::{Step, credentials, handshake, labels, scheduling};
use crate::plan::{Process, Security};
use crate::sys;
use crate::sys::seccomp::Filter;
use crate::sys::signal::Until;

/// What a process is and may do, and what it needs to get there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rights<'a> {
    pub(super) process: &'a Process,
    pub(super) security: &'a Security,
    /// Whether groups can be set, which a user namespace may deny (`user_namespaces(7)`).
    pub(super) set_groups: bool,
    pub(super) filter: Option<&'a Filter>,
    /// The host's procfs, when there are labels to write ([`labels::open_procfs`]).
    pub(super) procfs: Option<BorrowedFd<'a>>,
    /// Where the launcher waits for the filter's listener.
    pub(super) launcher: BorrowedFd<'a>,
    /// What signals do until then.
    pub(super) signals: Until,
    /// The first descriptor that does not pass exec: 3, and as many more as the program was promised.
    pub(super) close_from: u32,
}

impl Rights<'_> {
    /// Becomes the program's user with the program's rights. `renew` repeats what a change of credentials undoes.
    pub(super) fn confine(&self, renew: impl FnOnce() -> Done) -> Done {
        let (process, security) = (self.process, self.security);
        credentials::limits(process)?;
        scheduling::apply(&process.scheduling)?;
        scheduling::pin_in_cgroup(&process.affinity)?;
        labels::join_keyring(security, self.procfs)?;
        labels::at_exec(&security.labels, self.procfs)?;
        credentials::bound(security.capabilities)?;
        if !security.no_new_privs {
            self.close_at_exec()?;
            self.load_filter()?;
        }
        credentials::own_streams(process)?;
        credentials::become_user(process, self.set_groups)?;
        credentials::capabilities(security.capabilities)?;
        renew()?;
        rustix::process::umask(Mode::from_raw_mode(process.umask));
        sys::signal::reset(self.signals);
        if security.no_new_privs {
            rustix::thread::set_no_new_privs(true).at(Step::NoNewPrivs, "the program")?;
        }
        Ok(())
    }

    /// Behind the filter.
    pub(super) fn seal(&self) -> Done {
        if self.security.no_new_privs {
            self.close_at_exec()?;
            self.load_filter()?;
        }
        Ok(())
    }

    /// No descriptor but the promised ones outlives exec (CVE-2024-21626). Before the filter: profiles that are older than
    /// Linux 5.9 do not know `close_range`. What is opened later is marked one by one.
    fn close_at_exec(&self) -> Done {
        sys::exec::close_from_on_exec(self.close_from).at(Step::Descriptors, "of the launcher")
    }

    /// The listener goes to the launcher, which hands it on: the program must not hold what decides about it.
    fn load_filter(&self) -> Done {
        let Some(filter) = self.filter else { return Ok(()) };
        // A profile can ask the listener about `sendmsg` itself: then the launcher takes it, and is told beforehand where
        // it will be.
        let taken = self.security.seccomp.as_ref().is_some_and(|it| it.notifies && !it.sends);
        if taken {
            handshake::announce_listener(self.launcher).at(Step::Listener, "the launcher")?;
        }
        match filter.load().at(Step::Seccomp, "the program")? {
            Some(listener) if !taken => handshake::send_listener(self.launcher, &listener)
                .at(Step::Listener, "the launcher"),
            Some(listener) => {
                // Closed by exec, once the launcher has it: close(2) could be asked about as well.
                std::mem::forget(listener);
                Ok(())
            }
            None => Ok(()),
        }
    }
}
