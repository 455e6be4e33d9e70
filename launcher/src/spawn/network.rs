//! Devices of the host that become the container's.
//!
//! The launcher moves them, one at a time, when the child asks for it; the kernel takes their addresses away on the way, so
//! the child, in whose namespace they are then, gives them back. Nothing takes the devices back in the end: those that
//! exist by themselves return to the host with the death of the namespace.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::Pid;

use super::step::{At, Done};
use super::{Step, handshake};
use crate::network::NetworkDevice;
use crate::network::netlink::{Address, Netlink};

/// A device that is about to be moved.
#[derive(Debug)]
pub(super) struct Guest {
    device: NetworkDevice,
    index: u32,
    addresses: Vec<Address>,
}

/// In the launcher, before there is a child: the devices, with the addresses that they are to keep.
pub(super) fn look_up(devices: &[NetworkDevice]) -> Done<Vec<Guest>> {
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    let netlink = Netlink::open().at(Step::Network, "netlink")?;
    let look = |device: &NetworkDevice| {
        let index = netlink.index(&device.name).at(Step::FindDevice, &device.name)?;
        let addresses = netlink.addresses(index).at(Step::FindDevice, &device.name)?;
        Ok(Guest { device: device.clone(), index, addresses })
    };
    devices.iter().map(look).collect()
}

impl Guest {
    /// In the launcher: moves it into the network namespace of the process `pid`.
    pub(super) fn hand_over(&self, pid: Pid) -> Done {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let path = format!("/proc/{}/ns/net", pid.as_raw_nonzero());
        let moved = openat(CWD, path, flags, Mode::empty()).and_then(|namespace| {
            Netlink::open()?.move_to(self.index, namespace.as_fd(), &self.device.inside)
        });
        moved.at(Step::MoveDevice, &self.device.name)
    }

    /// In the child: has it moved, gives it its addresses, and brings it up.
    fn receive(&self, launcher: BorrowedFd<'_>) -> Done {
        let name = &self.device.inside;
        let netlink = Netlink::open().at(Step::Network, name)?;
        // The kernel moves first and renames then: a name that is taken would be found out too late.
        if netlink.index(name).is_ok() {
            return Err(Errno::EXIST).at(Step::MoveDevice, name);
        }
        let before = netlink.all().at(Step::Network, name)?;
        handshake::device(launcher).at(Step::MoveDevice, name)?;
        handshake::await_go(launcher).at(Step::MoveDevice, name)?;
        let index = if name.contains('%') {
            // The kernel has found a name for it: it is the one that was not there before.
            let after = netlink.all().at(Step::Network, name)?;
            after.into_iter().find(|index| !before.contains(index)).ok_or(Errno::NODEV)
        } else {
            netlink.index(name)
        };
        let index = index.at(Step::FindDevice, name)?;
        for address in &self.addresses {
            netlink.add(index, address).at(Step::Address, name)?;
        }
        netlink.bring_up(index).at(Step::Network, name)
    }
}

/// In the child: all of them, in their order.
pub(super) fn receive_all(guests: &[Guest], launcher: BorrowedFd<'_>) -> Done {
    guests.iter().try_for_each(|guest| guest.receive(launcher))
}
