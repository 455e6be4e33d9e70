//! Whether the kernel has a system call: it is tried with arguments that it must refuse.
#![expect(unsafe_code, reason = "this folder is where raw system calls are made")]

use syscalls::{Errno, Sysno, syscall};

/// The calls that can be asked for. Each refuses the arguments that [`exists`] passes before it has
/// any effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `clone3(2)`.
    Clone3,
    /// `openat2(2)`.
    Openat2,
    /// `fsopen(2)`.
    Fsopen,
    /// `move_mount(2)`.
    MoveMount,
    /// `mount_setattr(2)`.
    MountSetattr,
    /// `close_range(2)`.
    CloseRange,
}

/// Whether the kernel knows the call: any refusal but `ENOSYS`.
pub fn exists(call: Call) -> bool {
    let number = match call {
        Call::Clone3 => Sysno::clone3,
        Call::Openat2 => Sysno::openat2,
        Call::Fsopen => Sysno::fsopen,
        Call::MoveMount => Sysno::move_mount,
        Call::MountSetattr => Sysno::mount_setattr,
        Call::CloseRange => Sysno::close_range,
    };
    // clone3 and openat2 refuse a null structure of size 0 (EINVAL), fsopen a null name (EFAULT),
    // move_mount a null path behind a descriptor that is none (EINVAL or EFAULT), mount_setattr unknown
    // flags and no structure (EINVAL), close_range unknown flags (EINVAL).
    let [first, second, third] = match call {
        Call::Clone3 => [0, 0, 0],
        Call::Openat2 => [usize::MAX, 0, 0],
        Call::Fsopen => [0, usize::MAX, 0],
        Call::MoveMount | Call::MountSetattr | Call::CloseRange => [usize::MAX, 0, usize::MAX],
    };
    // SAFETY: the arguments are refused by every kernel that has the call (see above), hold no pointer
    // but null, and so neither memory nor the process is changed.
    let answer = unsafe { syscall!(number, first, second, third, 0, 0, 0) };
    answer != Err(Errno::ENOSYS)
}
