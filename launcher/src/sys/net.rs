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
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).or(Err(Errno::INVAL))?;
    // SAFETY: SIOCSIFFLAGS reads a `struct ifreq`, which outlives the call.
    checked(unsafe {
        syscall!(Sysno::ioctl, raw(socket.as_fd()), libc::SIOCSIFFLAGS, &raw const request)
    })
    .map(drop)
}
