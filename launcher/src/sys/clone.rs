//! clone3(2): a child in new namespaces and in its cgroup, with a handle, in one call.

use std::convert::Infallible;
use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::libc;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::process::Pid;
use syscalls::{Sysno, syscall};

use super::checked;

/// `struct clone_args` up to `cgroup` (linux/sched.h, `CLONE_ARGS_SIZE_VER2`, Linux 5.7).
#[repr(C, align(8))]
#[derive(Default)]
pub(super) struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    pub(super) exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLONE_VM_AND_WAIT: u64 = (libc::CLONE_VM | libc::CLONE_VFORK) as u64;

/// What a child that borrows its maker's memory has for a stack: some ten times what it uses.
const STACK: usize = 512 * 1024;

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
    if threads()? != 1 {
        return Err(Errno::DEADLK);
    }
    fork_with(namespaces, libc::SIGCHLD as u64, cgroup)
}

/// For a process that has one thread.
fn fork_with(flags: u64, exit_signal: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Side, Errno> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs::new(flags, cgroup, &mut pidfd)?;
    args.exit_signal = exit_signal;
    // SAFETY: without CLONE_VM the child gets a copy of this memory and, with `stack` 0, returns here on its copy of
    // this stack, as fork(2) does. `args` and `pidfd` outlive the call. Both callers see to it that this is the only thread.
    let pid = checked(unsafe { syscall!(Sysno::clone3, &raw mut args, size_of::<CloneArgs>()) })?;
    if pid == 0 {
        return Ok(Side::Child);
    }
    let (pid, pidfd) = made(pid, pidfd)?;
    Ok(Side::Parent { pid, pidfd })
}

/// As [`fork_into`], but the child borrows this process's memory, and this process sleeps until the child has executed
/// its program or ended, as with vfork(2). No page is copied, neither at once nor when either side writes: a fifth
/// of what a start costs. So this is for a child that needs nothing from its maker before it executes.
///
/// What `child` changes in memory stays changed: it must leave values that this process owns as they are, and what it
/// allocates is lost. Descriptors, credentials, masks and namespaces are the child's own. A child that makes itself
/// undumpable makes this process so too, as that is a property of the memory.
///
/// # Errors
///
/// As [`fork_into`]; `ENOMEM` for no stack.
pub fn run_into(
    namespaces: u64,
    cgroup: Option<BorrowedFd<'_>>,
    child: &mut dyn FnMut() -> Infallible,
) -> Result<(Pid, OwnedFd), Errno> {
    if threads()? != 1 {
        return Err(Errno::DEADLK);
    }
    let stack = Stack::new(STACK)?;
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs::new(namespaces | CLONE_VM_AND_WAIT, cgroup, &mut pidfd)?;
    args.set_stack(&stack);
    let mut story = child;
    // SAFETY: the child runs `entry` on a stack of its own, which never returns, so no frame of ours is touched; this
    // thread, the only one (checked above), sleeps meanwhile, so nothing is used by two at a time. `story`, `args` and
    // `pidfd` outlive the child's use of them: with CLONE_VFORK the call returns after that.
    let pid = unsafe { clone_and_call(&raw mut args, entry, (&raw mut story).cast()) }?;
    // The child has its own memory by now, or is gone: its stack is nobody's any more.
    drop(stack);
    made(pid, pidfd)
}

/// What the child of [`run_into`] calls first, and last.
extern "C" fn entry(story: *mut c_void) -> ! {
    // SAFETY: `run_into` passes a pointer to its `story`, which lives until the child is gone.
    let story = unsafe { &mut *story.cast::<&mut dyn FnMut() -> Infallible>() };
    match story() {}
}

/// clone3, after which the child calls `entry(data)` on the stack of `args`.
///
/// # Safety
///
/// `args` has a stack that nothing else uses, and `data` is what `entry` expects, for as long as the child runs.
pub(super) unsafe fn clone_and_call(
    args: *mut CloneArgs,
    entry: extern "C" fn(*mut c_void) -> !,
    data: *mut c_void,
) -> Result<usize, Errno> {
    let result: usize;
    // SAFETY: syscall changes rax, rcx and r11 only. The parent goes on behind the label; the child, in which rax is 0,
    // starts on an empty, aligned stack, with no frame above it, and does not come back.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "and rsp, -16",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") Sysno::clone3 as usize => result,
            in("rdi") args,
            in("rsi") size_of::<CloneArgs>(),
            in("r12") entry,
            in("r13") data,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    // SAFETY: as above; svc changes x0 only.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x21",
            "blr x20",
            "brk #1",
            "2:",
            inlateout("x0") args as usize => result,
            in("x1") size_of::<CloneArgs>(),
            in("x8") Sysno::clone3 as usize,
            in("x20") entry,
            in("x21") data,
        );
    }
    checked(syscalls::Errno::from_ret(result))
}

/// A stack for a process that borrows its maker's memory; unmapped when dropped, so to be kept while that uses it.
#[derive(Debug)]
pub(super) struct Stack {
    lowest: *mut c_void,
    size: usize,
}

impl Stack {
    /// `size` in bytes.
    pub(super) fn new(size: usize) -> Result<Self, Errno> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::STACK;
        // SAFETY: with a null address the kernel chooses a place where nothing is.
        let lowest = unsafe { mmap_anonymous(std::ptr::null_mut(), size, access, flags)? };
        Ok(Self { lowest, size })
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `new`, and whoever made a process on it keeps it while that runs.
        let unmapped = unsafe { rustix::mm::munmap(self.lowest, self.size) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}

impl CloneArgs {
    pub(super) fn set_stack(&mut self, stack: &Stack) {
        (self.stack, self.stack_size) = (stack.lowest as u64, stack.size as u64);
    }

    pub(super) fn new(
        flags: u64,
        cgroup: Option<BorrowedFd<'_>>,
        pidfd: &mut RawFd,
    ) -> Result<Self, Errno> {
        let mut args = Self {
            flags: flags | libc::CLONE_PIDFD as u64,
            pidfd: std::ptr::from_mut(pidfd) as u64,
            exit_signal: libc::SIGCHLD as u64,
            ..Self::default()
        };
        if let Some(cgroup) = cgroup {
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = u64::try_from(cgroup.as_raw_fd()).or(Err(Errno::BADF))?;
        }
        Ok(args)
    }
}

/// The child that clone3 made, from what it returned and stored.
pub(super) fn made(pid: usize, pidfd: RawFd) -> Result<(Pid, OwnedFd), Errno> {
    // SAFETY: CLONE_PIDFD stored a new descriptor, which nothing else owns; the kernel sets close-on-exec on it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::RANGE)?;
    Ok((pid, pidfd))
}

/// In a child of [`run_into`] or [`fork_into`]: closes its copy of a descriptor that its maker goes on using.
pub fn close_copy(descriptor: BorrowedFd<'_>) {
    // SAFETY: the owner's descriptor is one of another process, which may share memory with this one but no descriptors; in
    // this one nobody uses it.
    unsafe { rustix::io::close(descriptor.as_raw_fd()) };
}

/// Forks into the namespaces of `namespaces`, as [`fork_into`] does, but has the caller's parent as the parent of the new
/// process, which announces its end as the caller would. (`Side::Parent` is the caller all the same.)
///
/// For children of [`fork_into`] only: those have one thread, and make no other. It is not asked once more, since in the
/// namespaces that such a child has joined there may be no `/proc` that knows of it.
///
/// # Errors
///
/// What clone3 says.
pub fn fork_sibling(namespaces: u64) -> Result<Side, Errno> {
    // With CLONE_PARENT the kernel takes the caller's signal and refuses another.
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
