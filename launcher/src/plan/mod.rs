//! The plan: everything that will be done to start a container, as one printable value.
//!
//! [`plan`] is pure. What was asked for (the OCI [`Spec`](oci_spec::runtime::Spec)), where things lie
//! ([`Ground`]) and what the host can do ([`Host`](crate::host::Host)) go in; a [`Plan`] comes out. It
//! opens nothing and changes nothing: `plan/X.rs` decides, `spawn/X.rs` does.
//! `paddle run --print-plan` prints it as JSON.

mod attributes;
mod below;
mod capabilities;
mod cgroups;
mod decide;
mod devices;
mod enter;
mod error;
mod files;
mod hooks;
mod ids;
mod kernel;
mod labels;
mod mount;
mod mounts;
mod namespaces;
mod network;
mod numbers;
mod options;
mod paths;
mod process;
mod rdt;
mod root;
mod scheduling;
pub mod seccomp;
mod security;
mod sysctls;

use std::collections::BTreeMap;
use std::path::Path;

use common::tree::ImagePath;
use serde::{Deserialize, Serialize};

use crate::cgroup::{CgroupPlan, Driver};
use crate::network::{Network, NetworkDevice};
use crate::resctrl::Class;
use crate::spec::HostEntry;
use crate::store::Format;

pub use attributes::{Attributes, Change};
pub use capabilities::CapabilitySets;
pub use decide::plan;
pub use enter::{EnterPlan, Manner, enter};
pub use error::PlanError;
pub use hooks::{Hook, HookKind, Hooks, hooks_of};
pub use ids::{IdMaps, IdRange, MapWriter, default_maps};
pub use labels::{Keyring, Labels};
pub use mount::{
    Device, DeviceKind, GeneratedFile, Link, Mount, Node, OwnerMaps, Owners, Propagation, Source,
    Sources, Spread,
};
pub use namespaces::{Namespace, NamespaceKind, TimeOffset, new_namespaces};
pub use numbers::Numbers;
pub use options::mount_options;
pub use process::{KEEP_GROUPS, Process, Rlimit, process};
pub use root::RootPlan;
pub use scheduling::{
    Affinity, MemoryPolicy, Scheduler, Scheduling, memory_policy_flags, memory_policy_modes,
};
pub use security::{Listener, Security, Wanted, security};

/// Everything that `spawn` will do, in the order of its fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Namespaces, made new or joined. A kind that is absent is shared with the host.
    pub namespaces: Vec<Namespace>,
    /// How ids inside correspond to ids outside; `None` without a new user namespace.
    pub id_maps: Option<IdMaps>,
    /// What `/` is.
    pub root: RootPlan,
    /// How mounts and unmounts travel between it and the host; `None` for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<Spread>,
    /// What the root's lower layer is on the disk: a folder, or a file that is mounted first.
    #[serde(default, skip_serializing_if = "Format::is_folder")]
    pub lower: Format,
    /// File systems and binds below it, in order.
    pub mounts: Vec<Mount>,
    /// When the host's side of the binds is opened.
    pub sources: Sources,
    /// Nodes of `/dev`.
    pub devices: Vec<Device>,
    /// Symbolic links, of `/dev` and beside mounts.
    pub links: Vec<Link>,
    /// Files that are generated and bound into place (`/etc/hosts` ...).
    pub files: Vec<GeneratedFile>,
    /// Hidden: a folder becomes an empty read-only one, a file `/dev/null`. Absent ones are skipped.
    pub masked: Vec<ImagePath>,
    /// Made read-only, with all below. Absent ones are skipped.
    pub readonly: Vec<ImagePath>,
    /// Host and domain name of the UTS namespace, when it is new.
    pub hostname: Option<String>,
    /// See above.
    pub domainname: Option<String>,
    /// Its cgroups, made by the caller of `spawn`; empty for none.
    pub cgroup: CgroupPlan,
    /// What happens in the network namespace.
    pub network: Network,
    /// Devices of the host that move there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_devices: Vec<NetworkDevice>,
    /// Its class of service; made by the caller of `spawn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rdt: Option<Class>,
    /// What the program may ask of the kernel.
    pub security: Security,
    /// The program.
    pub process: Process,
    /// Whether a reaping process 1 stands in front of the program.
    pub init: bool,
    /// Whether the container dies with its launcher (`PR_SET_PDEATHSIG`): a run in the foreground.
    pub dies_with_parent: bool,
    /// Whether the root is entered by moving its mount and `chroot`, which a host whose root is an initramfs needs.
    pub no_pivot: bool,
    /// By how much the clocks of a new time namespace differ from the host's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub time_offsets: BTreeMap<String, TimeOffset>,
    /// Programs that run at moments of the container's life.
    #[serde(default, skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Hooks,
    /// How many descriptors from 3 on the program keeps.
    #[serde(default)]
    pub preserved_descriptors: u32,
}

/// Where things lie, and how the container is run: what `plan` needs and the specification does not say.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent answers of the caller")]
pub struct Ground<'a> {
    /// The container's id: the default host name.
    pub id: &'a str,
    /// The unpacked image, absolute; only ever read. Or a bundle's own root.
    pub snapshot: &'a Path,
    /// Whether the root is a bundle's own: entered as it is, and written unless the specification forbids that.
    pub bundle: bool,
    /// What that is: a folder, or a file that is mounted first.
    pub format: Format,
    /// The container's own folder, absolute and 0700. Where the plan has a writable layer
    /// ([`RootPlan::writable`]) it must be there before `spawn` is called, receives `upper/` and `work/`, and removing it
    /// is the caller's duty; elsewhere it is not touched.
    pub folder: &'a Path,
    /// Whether every mount point of the specification exists in the snapshot
    /// ([`crate::spec::mount_points_exist`]); a read-only root is then a bind, else sealed after they are made.
    pub mount_points_exist: bool,
    /// `--init`.
    pub init: bool,
    /// `--add-host`.
    pub add_hosts: &'a [HostEntry],
    /// Whether the container is to die with the launcher.
    pub foreground: bool,
    /// Whether a specification without a seccomp profile gets the default one, rather than none.
    pub default_seccomp: bool,
    /// The bundle, of which a seccomp listener is told.
    pub bundle_folder: Option<&'a Path>,
    /// Whether the container gets a session keyring of its own.
    pub session_keyring: bool,
    /// Whether `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` are the launcher's. (A bundle brings its own.)
    pub generate_files: bool,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// Who makes the container's cgroups.
    pub cgroup_driver: Driver,
    /// Whether it gets every controller that is to be had, because an engine will look after it.
    pub all_controllers: bool,
    /// `--preserve-fds`.
    pub preserved_descriptors: u32,
}

impl<'a> Ground<'a> {
    /// A container of an image, run in the foreground, with nothing said of it.
    pub fn of_image(id: &'a str, snapshot: &'a Path, folder: &'a Path) -> Self {
        Self {
            id,
            snapshot,
            bundle: false,
            format: Format::Folder,
            folder,
            mount_points_exist: false,
            init: false,
            add_hosts: &[],
            foreground: true,
            default_seccomp: true,
            bundle_folder: None,
            session_keyring: false,
            generate_files: true,
            no_pivot: false,
            cgroup_driver: Driver::default(),
            all_controllers: false,
            preserved_descriptors: 0,
        }
    }

    /// A container of a bundle, made for an engine, with nothing said of it.
    pub fn of_bundle(id: &'a str, root: &'a Path) -> Self {
        Self {
            bundle: true,
            foreground: false,
            default_seccomp: false,
            session_keyring: true,
            generate_files: false,
            all_controllers: true,
            ..Self::of_image(id, root, root)
        }
    }
}
