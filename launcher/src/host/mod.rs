//! What this host can do: facts, each a plain value, so that planners are tested with made-up hosts.
//!
//! Only facts are found here; what follows from them is decided by the planners. A fact is looked
//! up when it is first asked for, since a start that needs no user namespace should not read
//! `/etc/subuid`. Nothing here changes the host.
//!
//! ```text
//! mod       Host, Kernel: who we are, where we run
//! layout    Layout: cgroup hierarchies, where groups may be made     (statfs, /proc/self/cgroup)
//! ids       SubordinateIds: /etc/subuid, /etc/subgid, newuidmap, newgidmap
//! features  Features: the system calls that old kernels lack
//! modules   SecurityModules: AppArmor, SELinux
//! pseudo    reading files that the kernel makes up
//! ```

pub mod features;
pub mod ids;
pub mod layout;
mod modules;
pub(crate) mod pseudo;

use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};

use common::report::Diagnostic;
use rustix::process::{getegid, geteuid};
use serde::{Deserialize, Serialize};

pub use features::Features;
pub use ids::{IdRange, SubordinateIds};
pub use layout::{Anchor, Controller, Hierarchy, Layout, Version};
pub use modules::SecurityModules;

/// Where the file system of Intel RDT is mounted (runtime-spec, config-linux, `IntelRdt`).
pub const RESCTRL: &str = "/sys/fs/resctrl";

/// The facts about the host, looked up on first use.
#[derive(Debug, Default, Clone)]
pub struct Host {
    uid: OnceCell<u32>,
    gid: OnceCell<u32>,
    kernel: OnceCell<Kernel>,
    layout: OnceCell<Layout>,
    ids: OnceCell<SubordinateIds>,
    features: OnceCell<Features>,
    initial_user_namespace: OnceCell<bool>,
    modules: OnceCell<SecurityModules>,
    user_manager: OnceCell<bool>,
    resctrl: OnceCell<bool>,
}

/// Why a fact about the host cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file of the host cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Diagnostic for HostError {
    fn hint(&self) -> Option<String> {
        let Self::Read { path, .. } = self;
        path.starts_with("/proc").then(|| "paddle needs /proc; mount it".to_owned())
    }
}

impl Host {
    /// This host. Reads nothing yet.
    ///
    /// # Errors
    /// None today: every fact is looked up when it is asked for.
    pub fn probe() -> Result<Self, HostError> {
        Ok(Self::default())
    }

    /// A made-up host, for planners' tests and for `--print-plan` of another host: everything that a
    /// planner asks is set, nothing is looked up.
    pub fn made_up(uid: u32, kernel: Kernel, layout: Layout) -> Self {
        Self {
            uid: uid.into(),
            gid: uid.into(),
            kernel: kernel.into(),
            layout: layout.into(),
            ids: SubordinateIds::default().into(),
            features: Features::of(kernel).into(),
            initial_user_namespace: true.into(),
            modules: SecurityModules::default().into(),
            user_manager: false.into(),
            resctrl: false.into(),
        }
    }

    /// The same host with these ranges of ids.
    #[must_use]
    pub fn with_ids(mut self, ids: SubordinateIds) -> Self {
        self.ids = ids.into();
        self
    }

    /// The same host with these features.
    #[must_use]
    pub fn with_features(mut self, features: Features) -> Self {
        self.features = features.into();
        self
    }

    /// The same host with a service manager of our own user.
    #[must_use]
    pub fn with_user_manager(mut self) -> Self {
        self.user_manager = true.into();
        self
    }

    /// The same host with Intel RDT.
    #[must_use]
    pub fn with_resctrl(mut self) -> Self {
        self.resctrl = true.into();
        self
    }

    /// The same host seen from inside a user namespace.
    #[must_use]
    pub fn in_user_namespace(mut self) -> Self {
        self.initial_user_namespace = false.into();
        self
    }

    /// The effective user id, as this user namespace numbers it.
    pub fn uid(&self) -> u32 {
        *self.uid.get_or_init(|| geteuid().as_raw())
    }

    /// The effective group id, as this user namespace numbers it.
    pub fn gid(&self) -> u32 {
        *self.gid.get_or_init(|| getegid().as_raw())
    }

    /// Whether we are the root of the host itself: user 0 of the initial user namespace. Root inside a
    /// user namespace cannot make device nodes, load device programs or write foreign cgroups.
    pub fn privileged(&self) -> bool {
        self.uid() == 0 && self.initial_user_namespace()
    }

    /// Whether our user namespace is the initial one: only there does the map cover all 2^32-1 ids
    /// (`user_namespaces(7)`). A `/proc` that cannot be read counts as yes, which is the common case.
    pub fn initial_user_namespace(&self) -> bool {
        *self.initial_user_namespace.get_or_init(|| {
            pseudo::text("/proc/self/uid_map")
                .map_or(true, |map| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]))
        })
    }

    /// Whether a file that stands for a namespace stands for the one that this process is in; `kind` is its name in
    /// `/proc/self/ns`. What cannot be looked at is found out by who joins it.
    pub fn is_in_namespace(&self, kind: &str, file: &Path) -> bool {
        let identity = |path: &Path| rustix::fs::stat(path).map(|stat| (stat.st_dev, stat.st_ino));
        let own = identity(&Path::new("/proc/self/ns").join(kind));
        own.is_ok() && own == identity(file)
    }

    /// Whether the kernel knows these `SECCOMP_FILTER_FLAG_*`.
    pub fn knows_seccomp_flags(&self, flags: u32) -> bool {
        flags == 0 || crate::sys::seccomp::knows(flags)
    }

    /// The running kernel's version.
    pub fn kernel(&self) -> Kernel {
        *self
            .kernel
            .get_or_init(|| Kernel::parse(&rustix::system::uname().release().to_string_lossy()))
    }

    /// The cgroup hierarchies and the places in them where groups may be made.
    ///
    /// # Errors
    /// `/proc/self/cgroup` cannot be read. A host without any cgroup mount is an empty layout.
    pub fn cgroups(&self) -> Result<&Layout, HostError> {
        if let Some(layout) = self.layout.get() {
            return Ok(layout);
        }
        let layout = Layout::probe(self.privileged())?;
        Ok(self.layout.get_or_init(|| layout))
    }

    /// The subordinate ids of our user, and the helpers that map them.
    pub fn ids(&self) -> &SubordinateIds {
        self.ids.get_or_init(|| SubordinateIds::probe(self.uid()))
    }

    /// The security modules that enforce labels.
    pub fn security_modules(&self) -> SecurityModules {
        *self.modules.get_or_init(SecurityModules::probe)
    }

    /// Whether a service manager of our own, ordinary user runs (`user@.service`), which can make groups for us.
    pub fn user_manager(&self) -> bool {
        *self.user_manager.get_or_init(|| {
            self.uid() != 0
                && runtime_folder(self.uid()).join("systemd/private").exists()
                && self.cgroups().is_ok_and(Layout::is_pure_v2)
        })
    }

    /// Whether the file system of Intel RDT is mounted where everybody expects it.
    pub fn resctrl(&self) -> bool {
        /// `RDTGROUP_SUPER_MAGIC` of `linux/magic.h`.
        const MAGIC: u64 = 0x0765_5821;
        *self.resctrl.get_or_init(|| {
            let found = rustix::fs::statfs(RESCTRL);
            found.is_ok_and(|found| found.f_type.unsigned_abs() == MAGIC)
        })
    }

    /// The system calls that old kernels lack.
    pub fn features(&self) -> &Features {
        self.features.get_or_init(|| Features::probe(self.kernel()))
    }
}

/// The folder of a user's sockets: what the session says, or its usual place, for whoever came by other ways than a login
/// (`pam_systemd(8)`).
pub fn runtime_folder(uid: u32) -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    folder
        .filter(|folder| folder.is_absolute())
        .unwrap_or_else(|| format!("/run/user/{uid}").into())
}

/// A kernel's version: the two numbers by which features come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Kernel {
    /// 6 in 6.18.
    pub major: u16,
    /// 18 in 6.18.
    pub minor: u16,
}

impl Kernel {
    /// The version `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// From `uname -r`: `6.1.0-18-amd64`, `5.10.0+`. What does not parse counts as 0.0, the oldest.
    pub fn parse(release: &str) -> Self {
        let mut numbers =
            release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or_default());
        Self {
            major: numbers.next().unwrap_or_default(),
            minor: numbers.next().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_parse() {
        for (release, kernel) in [
            ("6.1.0-18-amd64", Kernel::new(6, 1)),
            ("5.10.0+", Kernel::new(5, 10)),
            ("6.18-rc3", Kernel::new(6, 18)),
            ("custom", Kernel::new(0, 0)),
        ] {
            assert_eq!(Kernel::parse(release), kernel, "{release}");
        }
        assert!(Kernel::new(5, 9) < Kernel::new(5, 10));
    }
}
