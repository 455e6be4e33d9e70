//! Network device ioctls (netdevice(7)).

use std::os::fd::AsFd;

use nix::libc;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use syscalls::{Sysno, syscall};

use super::{checked, raw};

/// Brings the loopback device of this network namespace up. The kernel gives it its addresses itself.
pub fn loopback_up() -> Result<(), Errno> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: all bytes zero is a valid `struct ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    // IFF_UP is 1 and IFF_RUNNING 0x40: both fit.
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads a `struct ifreq`, which outlives the call.
    checked(unsafe {
        syscall!(Sysno::ioctl, raw(socket.as_fd()), libc::SIOCSIFFLAGS, &raw const request)
    })
    .map(drop)
}
