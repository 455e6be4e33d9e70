//! clone3(2): a child in new namespaces and in its cgroup, with a handle, in one call.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::libc;
use rustix::io::Errno;
use rustix::process::Pid;
use syscalls::{Sysno, syscall};

use super::checked;

/// `struct clone_args` up to `cgroup` (linux/sched.h, `CLONE_ARGS_SIZE_VER2`, Linux 5.7).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of the call returned.
#[derive(Debug)]
pub enum Side {
    /// The caller, with its new child.
    Parent {
        /// The child's id in the caller's pid namespace.
        pid: Pid,
        /// Its handle, close-on-exec.
        pidfd: OwnedFd,
    },
    /// The new process.
    Child,
}

/// How many threads this process has. From the link count of `/proc/self/task`, which is two more: one call, no parsing.
pub fn threads() -> Result<usize, Errno> {
    let stat = rustix::fs::stat("/proc/self/task")?;
    usize::try_from(stat.st_nlink).map(|links| links.saturating_sub(2)).or(Err(Errno::RANGE))
}

/// Forks into the namespaces of `namespaces` (`CLONE_NEW*`), optionally into a cgroup v2 folder. The child announces its
/// end by SIGCHLD. Memory is copied, never shared.
///
/// # Errors
///
/// What clone3 says; `EDEADLK`, never given by clone3, when the process has more than one thread: the child would see any
/// lock that another thread holds (of the allocator, say) locked for ever.
pub fn fork_into(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Side, Errno> {
    fork_with(namespaces, libc::SIGCHLD as u64, cgroup)
}

fn fork_with(flags: u64, exit_signal: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Side, Errno> {
    if threads()? != 1 {
        return Err(Errno::DEADLK);
    }
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::try_from(cgroup.as_raw_fd()).or(Err(Errno::BADF))?;
    }
    // SAFETY: without CLONE_VM the child gets a copy of this memory and, with `stack` 0, returns here on its copy of
    // this stack, as fork(2) does. `args` and `pidfd` outlive the call. The only thread was checked above.
    let pid = checked(unsafe { syscall!(Sysno::clone3, &raw mut args, size_of::<CloneArgs>()) })?;
    if pid == 0 {
        return Ok(Side::Child);
    }
    // SAFETY: CLONE_PIDFD stored a new descriptor, which nothing else owns; the kernel sets close-on-exec on it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::RANGE)?;
    Ok(Side::Parent { pid, pidfd })
}

/// Forks into the namespaces of `namespaces`, as [`fork_into`] does, but has the caller's parent as the parent of the new
/// process, which announces its end as the caller would. (`Side::Parent` is the caller all the same.)
///
/// # Errors
///
/// As for [`fork_into`].
pub fn fork_sibling(namespaces: u64) -> Result<Side, Errno> {
    // With CLONE_PARENT the kernel takes the caller's signal and refuses another (clone3, EINVAL).
    fork_with(namespaces | libc::CLONE_PARENT as u64, 0, None)
}

/// Leaves some of the namespaces that the process shares (`CLONE_NEW*` flags only).
pub fn unshare(namespaces: u64) -> Result<(), Errno> {
    let flags = namespaces & ALL_NAMESPACES;
    // SAFETY: only namespace flags pass the mask, never CLONE_FILES, which is what makes unshare unsafe.
    checked(unsafe { syscall!(Sysno::unshare, flags) }).map(drop)
}

/// Every namespace flag that this program uses.
pub const ALL_NAMESPACES: u64 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWTIME) as u64;

/// Ends this process at once: no destructors, no exit handlers, no flushing of buffers that belong to the parent.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(status) }
}

/// fork(2), for a process that may not use clone3; `None` in the child.
///
/// # Errors
///
/// `EDEADLK` as for [`fork_into`], otherwise what fork says.
pub fn fork() -> Result<Option<Pid>, Errno> {
    if threads()? != 1 {
        return Err(Errno::DEADLK);
    }
    // SAFETY: the only thread was checked above, so nothing in the child is locked for ever.
    match unsafe { nix::unistd::fork() } {
        Ok(nix::unistd::ForkResult::Parent { child }) => {
            Pid::from_raw(child.as_raw()).map(Some).ok_or(Errno::RANGE)
        }
        Ok(nix::unistd::ForkResult::Child) => Ok(None),
        Err(errno) => Err(Errno::from_raw_os_error(errno as i32)),
    }
}
