//! What is made ahead, beside the launcher's own work (runtime-spec: all of it exists when `create` returns; nothing says when
//! it begins to).
//!
//! A network namespace takes the kernel a third of a millisecond, a tenth of a start, and depends on nothing that a launcher
//! decides; new instances of file systems, a twentieth, on nothing but the plan. So on a host with a second processor a process
//! beside the launcher makes them: the namespaces while the launcher reads and decides, and then, inside these, the file systems,
//! while the launcher makes cgroups. The child joins and mounts them (6 us each). What cannot be made so is made by the
//! child, as if nobody had tried: who may not is told so there.

mod instances;

use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use crate::plan::{NamespaceKind, Plan};
use crate::sys;
use crate::sys::beside::{Beside, Letter, Slot, Turn, beside};
use instances::Instance;

/// The namespaces that are made so: what takes long, and what comes almost for nothing with it. Not mounts: whoever joins such a
/// namespace loses its root and its working folder.
const KINDS: [(NamespaceKind, &CStr); 2] =
    [(NamespaceKind::Network, c"/proc/self/ns/net"), (NamespaceKind::Ipc, c"/proc/self/ns/ipc")];

/// What is on its way. Dropped, it is waited for and forgotten.
#[derive(Debug)]
pub struct Ahead {
    process: Beside,
    order: &'static Order,
    /// In the order of the plan's mounts, once that is known.
    instances: &'static [Option<Instance>],
}

/// What is to be made, and where it is left.
#[derive(Debug)]
struct Order {
    flags: u64,
    namespaces: Part,
    /// In the order of [`KINDS`].
    links: [Slot; KINDS.len()],
    instances: Part,
    wanted: Letter<Vec<Option<Instance>>>,
}

/// One half of it. On a busy host the process beside may not have come to it when it is needed: then the child does it, and
/// nobody waits.
#[derive(Debug)]
struct Part {
    turn: Turn,
    done: Letter<()>,
}

impl Part {
    const fn open() -> Self {
        Self { turn: Turn::open(), done: Letter::unsent() }
    }

    /// Waits until it is done, if it has been begun; otherwise it will not be.
    fn settle(&self, process: &Beside) {
        if self.turn.take() {
            self.done.send(None);
        }
        process.receive(&self.done);
    }
}

/// What was made of a container ahead.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) namespaces: Vec<(NamespaceKind, OwnedFd)>,
    /// In the order of the plan's mounts.
    instances: Vec<Option<OwnedFd>>,
    /// Waited for when the child is on its way.
    process: Option<Ahead>,
}

impl Made {
    /// The file system of the plan's mount of this index.
    pub(super) fn instance(&self, index: usize) -> Option<BorrowedFd<'_>> {
        Some(self.instances.get(index)?.as_ref()?.as_fd())
    }

    /// Waits for the end of the process that made it, which is near.
    pub(super) fn wait(&mut self) {
        self.process = None;
    }
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
        // For as long as this process lives, as all that both sides have: some hundred bytes.
        let order = Box::leak(Box::new(Order {
            flags: wanted.fold(0, |flags, (kind, _)| flags | kind.flag()),
            namespaces: Part::open(),
            links: [const { Slot::empty() }; KINDS.len()],
            instances: Part::open(),
            wanted: Letter::unsent(),
        }));
        let process = beside(order, make).ok()?;
        Some(Self { process, order, instances: &[] })
    }

    /// Begins with all that there is, for a container that will want it by its look.
    pub fn guess() -> Option<Self> {
        Self::begin(&KINDS.map(|(kind, _)| kind))
    }

    /// Goes on, now that the plan is there.
    pub fn go_on(&mut self, plan: &Plan) {
        if usable(plan) {
            let wanted: &'static Vec<_> = Box::leak(Box::new(instances::wanted(plan)));
            self.instances = wanted;
            self.order.wanted.send(Some(wanted));
        }
    }

    /// Waits until all is made that has been begun, and nothing runs beside this process: to be called before this becomes another
    /// program.
    pub fn wait(&mut self) {
        self.settle();
        self.process.wait();
    }

    fn settle(&self) {
        self.order.namespaces.settle(&self.process);
        self.order.wanted.send(None);
        self.order.instances.settle(&self.process);
    }

    /// What `plan` wants of it.
    pub(super) fn finish(self, plan: &Plan) -> Made {
        self.settle();
        if !usable(plan) {
            return Made::default();
        }
        let links = KINDS.iter().zip(&self.order.links);
        let wanted = links.filter(|((kind, _), _)| plan.has_new(*kind));
        let namespaces =
            wanted.filter_map(|((kind, _), link)| Some((*kind, link.take()?))).collect();
        let instances = self.instances.iter().map(|wanted| wanted.as_ref()?.take()).collect();
        Made { namespaces, instances, process: Some(self) }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.wait();
        self.order.links.iter().for_each(|link| drop(link.take()));
        self.instances.iter().flatten().for_each(|instance| drop(instance.take()));
    }
}

/// Whether what is made ahead can be the container's: not if another user namespace has to own it, or the child is born elsewhere.
fn usable(plan: &Plan) -> bool {
    !plan.has(NamespaceKind::User) && !plan.needs_between()
}

/// In the process beside.
fn make(order: &Order) {
    if !order.namespaces.turn.take() {
        return;
    }
    let made = make_namespaces(order);
    order.namespaces.done.send(Some(&()));
    if !made {
        return;
    }
    let wanted = order.wanted.receive();
    if order.instances.turn.take() {
        wanted.into_iter().flatten().flatten().for_each(Instance::make);
        order.instances.done.send(Some(&()));
    }
}

/// Whether all of them are left: otherwise the container has others, and file systems made in these would show the wrong ones.
fn make_namespaces(order: &Order) -> bool {
    if sys::clone::unshare(order.flags).is_err() || sys::net::loopback_up().is_err() {
        return false;
    }
    let wanted = KINDS.iter().zip(&order.links);
    wanted.filter(|((kind, _), _)| order.flags & kind.flag() != 0).all(|((_, link), slot)| {
        let link = rustix::fs::open(*link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        link.map(|link| slot.put(link)).is_ok()
    })
}

fn there_is_another_processor() -> bool {
    rustix::thread::sched_getaffinity(None).is_ok_and(|all| all.count() > 1)
}
