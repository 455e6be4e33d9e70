//! keyctl(2), as far as a session keyring of the container's own needs it.

use std::ffi::CStr;

use nix::libc;
use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::checked;

/// A key, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(usize);

/// Joins the session keyring of this name, or makes it.
pub fn join_session(name: &CStr) -> Result<Key, Errno> {
    // SAFETY: `name` ends with NUL; the kernel copies it.
    checked(unsafe { syscall!(Sysno::keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) })
        .map(Key)
}

/// Who may do what with a key (`keyctl_setperm(3)`).
pub fn permissions(key: Key) -> Result<u32, Errno> {
    // `type;uid;gid;permissions in hexadecimal;description` (keyctl_describe(3)); a description has 4095 bytes at most.
    let mut bytes = [0_u8; 4096 + 64];
    // SAFETY: the kernel writes at most the length that is passed.
    let length = checked(unsafe {
        syscall!(Sysno::keyctl, libc::KEYCTL_DESCRIBE, key.0, bytes.as_mut_ptr(), bytes.len())
    })?;
    let text = bytes.get(..length).ok_or(Errno::RANGE)?;
    let field = text.split(|&byte| byte == b';').nth(3);
    field
        .and_then(|field| std::str::from_utf8(field).ok())
        .and_then(|field| u32::from_str_radix(field, 16).ok())
        .ok_or(Errno::BADMSG)
}

/// Sets who may do what with a key.
pub fn set_permissions(key: Key, permissions: u32) -> Result<(), Errno> {
    // SAFETY: this operation takes numbers only.
    checked(unsafe { syscall!(Sysno::keyctl, libc::KEYCTL_SETPERM, key.0, permissions) }).map(drop)
}
