//! A process that is watched: the few calls of `ptrace(2)` and `seccomp(2)` that this takes, each a thin
//! safe wrapper. What a stop means is said by whoever watches (`builder::trace`).
//!
//! A crate of its own because `builder` has no unsafe code, and because the safe wrappers that others
//! offer name signals by an enumeration that ends at 31: a tracer that cannot pass a real-time signal on
//! stops every program whose threads change their user together (`nptl(7)`).
#![allow(unsafe_code, reason = "this crate is where system calls are wrapped")]

use std::io::IoSliceMut;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus};
use syscalls::{Sysno, syscall};

/// `PTRACE_SEIZE` and its like (`linux/ptrace.h`).
mod request {
    pub(super) const CONT: usize = 7;
    pub(super) const SYSCALL: usize = 24;
    pub(super) const GETEVENTMSG: usize = 0x4201;
    pub(super) const SEIZE: usize = 0x4206;
    pub(super) const LISTEN: usize = 0x4208;
    pub(super) const GET_SYSCALL_INFO: usize = 0x420e;
}

/// What a tracer of a tree of programs wants: `PTRACE_O_TRACESYSGOOD`, `TRACEFORK`, `TRACEVFORK`,
/// `TRACECLONE`, `TRACEEXEC`, `TRACESECCOMP`, and `EXITKILL`: nothing outlives its tracer.
const OPTIONS: usize = 1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 7 | 1 << 20;

/// A stop of a seized thread that `waitpid` told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The filter says that somebody wants to see this call, which has not happened yet.
    Filter,
    /// A call has happened.
    CallEnd,
    /// A thread or process has been made; [`message`] is its number.
    Birth,
    /// It runs another program; [`message`] is the number that the thread had before.
    Exec,
    /// It has just been made, or goes on after a stop of its group.
    Begin,
    /// Its group was stopped by a signal.
    Group,
    /// A signal is about to be delivered.
    Signal(i32),
    /// Anything else, which the tracer did not ask for.
    Other,
}

const TRAP: i32 = 5;
/// `SIGSTOP`, `SIGTSTP`, `SIGTTIN`, `SIGTTOU`.
const STOPPING: [i32; 4] = [19, 20, 21, 22];

impl Stop {
    /// What a wait status means, if it is that of a stopped thread.
    #[must_use]
    pub fn of(status: WaitStatus) -> Option<Self> {
        let signal = status.stopping_signal()?;
        // `status >> 16` is the event, `linux/ptrace.h`.
        Some(match (status.as_raw() >> 16, signal) {
            (1..=3, _) => Self::Birth,
            (4, _) => Self::Exec,
            (7, _) => Self::Filter,
            (128, signal) if STOPPING.contains(&signal) => Self::Group,
            (128, _) => Self::Begin,
            (0, signal) if signal == TRAP | 0x80 => Self::CallEnd,
            (0, signal) => Self::Signal(signal),
            _ => Self::Other,
        })
    }
}

/// A call that is about to happen, as the kernel tells it (`struct ptrace_syscall_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// `AUDIT_ARCH_*`: which table its number belongs to.
    pub architecture: u32,
    /// Its number.
    pub number: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// How a stopped thread goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Until the next event.
    Run,
    /// Until the end of the call that it is in, or the next event.
    ToCallEnd,
    /// As its group: it stays stopped until that goes on.
    Stopped,
}

/// `struct ptrace_syscall_info` of Linux 5.3; the union as words.
#[repr(C)]
#[derive(Default)]
struct Info {
    operation: u8,
    reserved: [u8; 3],
    architecture: u32,
    instruction: u64,
    stack: u64,
    words: [u64; 8],
}

/// `PTRACE_SYSCALL_INFO_EXIT` and `PTRACE_SYSCALL_INFO_SECCOMP`.
const AT_END: u8 = 2;
const AT_FILTER: u8 = 3;

/// Begins to watch a running process, and all that it will start. It is not stopped by this.
///
/// # Errors
/// `EPERM` where the kernel, a security module or a sandbox forbids it (`ptrace(2)`).
pub fn seize(process: Pid) -> Result<(), Errno> {
    // SAFETY: the kernel writes nothing into this process.
    unsafe { ptrace(request::SEIZE, process, 0, OPTIONS) }
}

/// Lets a stopped thread go on. `signal` is delivered to it; 0 is none.
///
/// # Errors
/// `ESRCH` if it was killed meanwhile.
pub fn resume(thread: Pid, how: Resume, signal: i32) -> Result<(), Errno> {
    let request = match how {
        Resume::Run => request::CONT,
        Resume::ToCallEnd => request::SYSCALL,
        Resume::Stopped => request::LISTEN,
    };
    // SAFETY: the kernel writes nothing into this process.
    unsafe { ptrace(request, thread, 0, usize::try_from(signal).unwrap_or(0)) }
}

/// What an event tells besides itself.
///
/// # Errors
/// `ESRCH` if the thread was killed meanwhile.
pub fn message(thread: Pid) -> Result<u64, Errno> {
    let mut message = 0_u64;
    // SAFETY: the kernel writes one unsigned long, which has 64 bits on both architectures.
    unsafe { ptrace(request::GETEVENTMSG, thread, 0, (&raw mut message).expose_provenance()) }?;
    Ok(message)
}

/// The call of a thread that stands at [`Stop::Filter`].
///
/// # Errors
/// `ESRCH` if the thread was killed meanwhile, `EINVAL` if it stands elsewhere, `EIO` before Linux 5.3.
pub fn call(thread: Pid) -> Result<Call, Errno> {
    let info = info(thread)?;
    if info.operation != AT_FILTER {
        return Err(Errno::INVAL);
    }
    let [number, arguments @ .., _] = info.words;
    Ok(Call { architecture: info.architecture, number, arguments })
}

/// The result of the call of a thread that stands at [`Stop::CallEnd`].
///
/// # Errors
/// The inner one is the call's own; the outer ones are those of [`call`].
pub fn result(thread: Pid) -> Result<Result<u64, Errno>, Errno> {
    let info = info(thread)?;
    if info.operation != AT_END {
        return Err(Errno::INVAL);
    }
    let [value, is_error, ..] = info.words;
    // One byte, the first of its word.
    if is_error.to_le_bytes()[0] == 0 {
        return Ok(Ok(value));
    }
    let errno = i32::try_from(value.wrapping_neg()).or(Err(Errno::INVAL))?;
    Ok(Err(Errno::from_raw_os_error(errno)))
}

/// Bytes of the memory of a stopped thread; fewer, where its memory ends before.
///
/// # Errors
/// `EFAULT` if nothing is there.
pub fn read(thread: Pid, address: u64, into: &mut [u8]) -> Result<usize, Errno> {
    let base = usize::try_from(address).or(Err(Errno::FAULT))?;
    let remote = [RemoteIoVec { base, len: into.len() }];
    process_vm_readv(thread, &mut [IoSliceMut::new(into)], &remote)
        .map_err(|errno| Errno::from_raw_os_error(errno as i32))
}

/// A change of any child, or watched thread, of this thread, if there is one by now.
///
/// # Errors
/// `ECHILD` if there is nobody left.
pub fn changed() -> Result<Option<(Pid, WaitStatus)>, Errno> {
    // `__WALL` and `__WNOTHREAD`: clones too, and nobody else's.
    let options = WaitOptions::from_bits_retain(0x4000_0000 | 0x2000_0000);
    let changed = rustix::process::wait(options | WaitOptions::NOHANG)?;
    Ok(changed.map(|(pid, status)| (Pid::from_raw(pid.as_raw_pid()), status)))
}

/// `struct sock_filter`, `struct sock_fprog`.
#[repr(C)]
struct Instruction(u16, u8, u8, u32);

#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

/// Puts this thread and all that it will start under a filter of classic BPF, each instruction
/// `(code, jt, jf, k)`, for good.
///
/// # Errors
/// `EACCES` without `no_new_privs`, `EINVAL` for a program that the kernel's checker refuses.
pub fn load_filter(program: &[(u16, u8, u8, u32)]) -> Result<(), Errno> {
    const SET_MODE_FILTER: usize = 1;
    let instructions: Vec<Instruction> =
        program.iter().map(|&(code, jt, jf, k)| Instruction(code, jt, jf, k)).collect();
    let length = u16::try_from(instructions.len()).or(Err(Errno::INVAL))?;
    let program = Program { length, instructions: instructions.as_ptr() };
    // SAFETY: `program` points to `length` instructions of the kernel's layout (`repr(C)`, above); both
    // outlive the call, which copies them.
    let answer = unsafe { syscall!(Sysno::seccomp, SET_MODE_FILTER, 0, &raw const program) };
    answer.map(drop).map_err(|errno| Errno::from_raw_os_error(errno.into_raw()))
}

fn info(thread: Pid) -> Result<Info, Errno> {
    let mut info = Info::default();
    let data = (&raw mut info).expose_provenance();
    // SAFETY: the kernel writes no more than the size that it is told, the buffer's; any bytes are
    // numbers.
    unsafe { ptrace(request::GET_SYSCALL_INFO, thread, size_of::<Info>(), data) }?;
    Ok(info)
}

/// # Safety
/// What `request` makes the kernel write into this process goes where `data` points to, and fits there.
unsafe fn ptrace(request: usize, thread: Pid, address: usize, data: usize) -> Result<(), Errno> {
    let thread = usize::try_from(thread.as_raw()).or(Err(Errno::SRCH))?;
    // SAFETY: the caller's promise.
    let answer = unsafe { syscall!(Sysno::ptrace, request, thread, address, data) };
    answer.map(drop).map_err(|errno| Errno::from_raw_os_error(errno.into_raw()))
}
