//! Kernel parameters of the container's namespaces.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstatfs, openat2};
use rustix::io::Errno;

use super::Step;
use super::step::{At, Done};
use crate::plan::Plan;

/// Writes them through the container's procfs, by the descriptor of the mount that was made for it, or the host's where the
/// container has none: what lies at `/proc` of the image plays no part (CVE-2019-16884, CVE-2025-52881). Its magic is
/// checked all the same (R2). Either shows the parameters of the namespaces of whoever opens them.
pub(super) fn set_all(plan: &Plan, proc: Option<&OwnedFd>) -> Done {
    for (path, value) in &plan.security.sysctls {
        write(proc, path, value).at(Step::Sysctl, path)?;
    }
    Ok(())
}

fn write(proc: Option<&OwnedFd>, path: &str, value: &str) -> Result<(), Errno> {
    let proc = proc.ok_or(Errno::NOSYS)?;
    if fstatfs(proc)?.f_type != PROC_SUPER_MAGIC {
        return Err(Errno::MEDIUMTYPE);
    }
    let path = format!("sys/{path}");
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat2(proc, path, flags, Mode::empty(), resolve)?;
    rustix::io::write(file, value.as_bytes()).map(drop)
}
