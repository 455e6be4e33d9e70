//! Namespaces made ahead, beside the launcher's own work (runtime-spec: all of them exist when `create` returns; nothing says
//! when they begin to).
//!
//! A network namespace takes the kernel a third of a millisecond, a tenth of a start, and depends on nothing that a launcher
//! decides. So on a host with a second processor a process beside the launcher makes it, while that reads, decides and makes cgroups;
//! the child then joins it (6 us). What cannot be made so is made by the child's clone, as if nobody had tried: who may not is told
//! so there.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};

use crate::plan::{NamespaceKind, Plan};
use crate::sys;
use crate::sys::beside::{Beside, Slot, beside};

/// What is made so: what takes long, and what comes almost for nothing with it. Not mounts: whoever joins such a
/// namespace loses its root and its working folder.
const KINDS: [(NamespaceKind, &CStr); 2] =
    [(NamespaceKind::Network, c"/proc/self/ns/net"), (NamespaceKind::Ipc, c"/proc/self/ns/ipc")];

/// Namespaces on their way. Dropped, they are waited for and forgotten.
#[derive(Debug)]
pub struct Ahead {
    process: Beside,
    order: &'static Order,
}

/// What is to be made, and where it is left.
#[derive(Debug)]
struct Order {
    flags: u64,
    /// In the order of [`KINDS`].
    links: [Slot; KINDS.len()],
}

impl Ahead {
    /// Begins with those of `new`, which are all the new namespaces of a container. `None` where it is not worth it: no network of
    /// its own, no second processor; or a user namespace, which has to be there before those that it owns.
    pub fn begin(new: &[NamespaceKind]) -> Option<Self> {
        let worth = new.contains(&NamespaceKind::Network) && !new.contains(&NamespaceKind::User);
        if !worth || !there_is_another_processor() {
            return None;
        }
        let wanted = KINDS.iter().filter(|(kind, _)| new.contains(kind));
        let flags = wanted.fold(0, |flags, (kind, _)| flags | kind.flag());
        // For as long as this process lives: two words.
        let order = Box::leak(Box::new(Order { flags, links: [const { Slot::empty() }; _] }));
        let process = beside(order, make).ok()?;
        Some(Self { process, order })
    }

    /// Waits until they are made: to be called before this process becomes another program.
    pub fn wait(&mut self) {
        self.process.wait();
    }

    /// Those of them that `plan` wants.
    pub(super) fn finish(mut self, plan: &Plan) -> Vec<(NamespaceKind, OwnedFd)> {
        self.wait();
        if plan.has(NamespaceKind::User) || plan.needs_between() {
            return Vec::new();
        }
        let links = KINDS.iter().zip(&self.order.links);
        let wanted = links.filter(|((kind, _), _)| plan.has_new(*kind));
        wanted.filter_map(|((kind, _), link)| Some((*kind, link.take()?))).collect()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.wait();
        self.order.links.iter().for_each(|link| drop(link.take()));
    }
}

/// In the process beside: all of them, or nothing is left.
fn make(order: &Order) {
    if sys::clone::unshare(order.flags).is_err() || sys::net::loopback_up().is_err() {
        return;
    }
    for ((kind, link), slot) in KINDS.iter().zip(&order.links) {
        if order.flags & kind.flag() != 0
            && let Ok(link) =
                rustix::fs::open(*link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        {
            slot.put(link);
        }
    }
}

fn there_is_another_processor() -> bool {
    rustix::thread::sched_getaffinity(None).is_ok_and(|all| all.count() > 1)
}
