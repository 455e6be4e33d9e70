//! Which file systems of a plan can be made before its container's first process is there.

use std::os::fd::OwnedFd;

use super::KINDS;
use crate::plan::{Mount, NamespaceKind, Plan, Source};
use crate::spawn::filesystem::{self, Opt};
use crate::sys::beside::Slot;

/// A new instance of a file system, and where it is left. What it is called and told is copied from the plan, which may not live
/// as long as the process that makes it.
#[derive(Debug)]
pub(super) struct Instance {
    filesystem: String,
    name: String,
    options: Vec<Opt>,
    made: Slot,
}

impl Instance {
    fn of(mount: &Mount, plan: &Plan) -> Option<Self> {
        let Source::New { filesystem, name, options, copy_up: _ } = &mount.source else {
            return None;
        };
        let possible = match filesystem.as_str() {
            // Without a mode it takes that of its mount point, which is not there yet.
            "tmpfs" => options.iter().any(|(key, _)| key == "mode"),
            "devpts" => true,
            // They show the namespace that their maker is in.
            "sysfs" => is_made(plan, NamespaceKind::Network),
            "mqueue" => is_made(plan, NamespaceKind::Ipc),
            // procfs, above all: it shows the processes of the child's namespace.
            _ => false,
        };
        (possible && filesystem::is_made_without_memory(name, options)).then(|| Self {
            filesystem: filesystem.clone(),
            name: name.clone(),
            options: options.clone(),
            made: Slot::empty(),
        })
    }

    /// In the process beside.
    pub(super) fn make(&self) {
        if let Ok(made) = filesystem::make(&self.filesystem, &self.name, &self.options) {
            self.made.put(made);
        }
    }

    pub(super) fn take(&self) -> Option<OwnedFd> {
        self.made.take()
    }
}

/// In the order of the plan's mounts.
pub(super) fn wanted(plan: &Plan) -> Vec<Option<Instance>> {
    plan.mounts.iter().map(|mount| Instance::of(mount, plan)).collect()
}

/// Whether a container's new namespace of this kind is made by the process beside.
fn is_made(plan: &Plan, kind: NamespaceKind) -> bool {
    plan.has_new(kind) && KINDS.iter().any(|(made, _)| *made == kind)
}
