//! What a person can do about a failure with cgroups.

use std::io;

use common::report::Diagnostic as _;
use rustix::io::Errno;

use super::error::{CgroupError, Unavailable};
use super::limit::Limit;
use super::systemd::{BusError, ManagerError};
use crate::host::{Controller, Version};

fn is(error: &io::Error, errno: Errno) -> bool {
    Errno::from_io_error(error) == Some(errno)
}

pub(super) fn of(error: &CgroupError) -> Option<String> {
    match error {
        CgroupError::Host(error) => error.hint(),
        CgroupError::NoController { controller, why, .. } => Some(unavailable(*controller, why)),
        CgroupError::NoEquivalent { version: Version::V1, .. } => {
            Some("this limit needs a host with cgroup v2".to_owned())
        }
        CgroupError::NoEquivalent { version: Version::V2, .. } => {
            Some("this limit was dropped by the kernel in cgroup v2; leave it out".to_owned())
        }
        CgroupError::Exists { .. } => {
            Some("a container of that name runs, or one was killed; see `paddle ps -a`, `paddle rm`".to_owned())
        }
        CgroupError::SystemdPath { .. } => Some(
            "with the systemd manager it has the form slice:prefix:name, such as system.slice:coracle:web".to_owned(),
        ),
        CgroupError::Annotation { .. } => Some(
            "values are written as true, 5, uint64 5, 'text' or ['a', 'b']".to_owned(),
        ),
        CgroupError::UserScope => Some("leave --systemd-cgroup out, or run paddle as root".to_owned()),
        CgroupError::Systemd { source: ManagerError::Bus(error), .. } => bus(error),
        CgroupError::Occupied { .. } => {
            Some("another container uses it, or one was killed: stop it, or choose another cgroupsPath".to_owned())
        }
        CgroupError::Frozen { path } => Some(format!(
            "thaw it: write 0 to `{0}/cgroup.freeze`, or THAWED to `{0}/freezer.state` in v1", path.display()
        )),
        CgroupError::Threaded { .. } => Some(
            "the group is part of a threaded subtree, or lies below one with processes; put the container somewhere else".to_owned(),
        ),
        CgroupError::Write { limit: Limit::Memory | Limit::Swap, source, .. } if is(source, Errno::BUSY) => {
            Some("the container uses more than that now".to_owned())
        }
        CgroupError::Missing { limit, .. } => limit.missing_hint().map(str::to_owned),
        CgroupError::Create { source, .. } | CgroupError::Enable { source, .. }
            if is(source, Errno::ROFS) =>
        {
            Some("the cgroup file system is mounted read-only here, as in a container".to_owned())
        }
        CgroupError::Enable { source, .. } if is(source, Errno::BUSY) => Some(
            "processes live in that group itself; move them to a group below it".to_owned(),
        ),
        CgroupError::Enable { source, controllers, .. } if is(source, Errno::ACCESS) => Some(format!(
            "let the administrator delegate it: `Delegate={}` for user@.service (systemctl edit user@.service)",
            controllers.replace('+', "")
        )),
        CgroupError::Devices { .. } => {
            Some("the kernel needs CONFIG_CGROUP_BPF, and paddle CAP_SYS_ADMIN".to_owned())
        }
        CgroupError::Timeout { .. } => Some("a process is stuck in the kernel; see `ps -o pid,stat,wchan`".to_owned()),
        _ => None,
    }
}

fn unavailable(controller: Controller, why: &Unavailable) -> String {
    match why {
            Unavailable::NotMounted => format!(
                "see /proc/cgroups whether the kernel has it; mount it, or remove `cgroup_disable={controller}` from the kernel's command line"
            ),
            Unavailable::NotDelegated { .. } => format!(
                "let the user's systemd make the group (--cgroup-manager systemd; `loginctl enable-linger` starts one), with `Delegate={controller}` for user@.service; or run paddle as root"
            ),
            Unavailable::NotEnabled { .. } => format!(
                "let the administrator add `Delegate={controller}` to user@.service (systemctl edit user@.service)"
            ),
            Unavailable::NotJoined => "start the container with any such limit".to_owned(),
            Unavailable::Occupied { .. } => {
                "move those processes to a group below it, then enable the controller in its cgroup.subtree_control".to_owned()
            }
        }
}

fn bus(error: &BusError) -> Option<String> {
    match error {
            BusError::NoAddress => Some(
                "log in as that user, or `loginctl enable-linger` it and set XDG_RUNTIME_DIR=/run/user/UID".to_owned(),
            ),
            BusError::Connect { .. } => Some(
                "does systemd run here? Without it choose --cgroup-manager cgroupfs".to_owned(),
            ),
            _ => None,
        }
}
