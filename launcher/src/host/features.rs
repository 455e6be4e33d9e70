//! Which system calls the running kernel has. Kernel versions are only a guess for that (seccomp
//! filters and vendors' kernels differ), so each call is tried with arguments that cannot succeed.

use serde::{Deserialize, Serialize};

use super::Kernel;

/// The calls that Coracle uses where it finds them; `docs/kernel.md` lists what happens without.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each asked on its own")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Features {
    /// `clone3(2)` with `CLONE_INTO_CGROUP` (Linux 5.7).
    pub clone_into_cgroup: bool,
    /// `openat2(2)` (Linux 5.6).
    pub openat2: bool,
    /// `open_tree(2)`, `fsopen(2)`, `fsmount(2)`, `move_mount(2)` (Linux 5.2).
    pub mount_descriptors: bool,
    /// `mount_setattr(2)` (Linux 5.12).
    pub mount_setattr: bool,
    /// `close_range(2)` with `CLOSE_RANGE_CLOEXEC` (Linux 5.11).
    pub close_range_cloexec: bool,
    /// overlayfs mounted inside a user namespace (Linux 5.11).
    pub overlay_in_user_namespace: bool,
    /// overlayfs above an idmapped mount (Linux 5.19).
    pub overlay_on_idmapped: bool,
    /// Mounting on a mount that is attached nowhere (Linux 6.15).
    pub mount_on_detached: bool,
}

impl Features {
    /// What a vanilla kernel of this version has.
    pub fn of(kernel: Kernel) -> Self {
        let since = |major, minor| kernel >= Kernel::new(major, minor);
        Self {
            clone_into_cgroup: since(5, 7),
            openat2: since(5, 6),
            mount_descriptors: since(5, 2),
            mount_setattr: since(5, 12),
            close_range_cloexec: since(5, 11),
            overlay_in_user_namespace: since(5, 11),
            overlay_on_idmapped: since(5, 19),
            mount_on_detached: since(6, 15),
        }
    }

    /// What the running kernel has. Flags of calls cannot be tried without effect, so they follow the
    /// version where the call exists.
    pub fn probe(kernel: Kernel) -> Self {
        use crate::sys::probe::{Call, exists};
        let version = Self::of(kernel);
        Self {
            clone_into_cgroup: version.clone_into_cgroup && exists(Call::Clone3),
            openat2: exists(Call::Openat2),
            mount_descriptors: exists(Call::Fsopen) && exists(Call::MoveMount),
            mount_setattr: exists(Call::MountSetattr),
            close_range_cloexec: version.close_range_cloexec && exists(Call::CloseRange),
            overlay_in_user_namespace: version.overlay_in_user_namespace,
            overlay_on_idmapped: version.overlay_on_idmapped,
            mount_on_detached: version.mount_on_detached,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probed_kernel_has_what_its_version_has() {
        let kernel = Kernel::parse(&rustix::system::uname().release().to_string_lossy());
        assert_eq!(Features::probe(kernel), Features::of(kernel));
    }

    #[test]
    fn debian_11_lacks_mount_setattr_only_in_part() {
        let features = Features::of(Kernel::new(5, 10));
        assert!(features.openat2 && features.mount_descriptors && features.clone_into_cgroup);
        assert!(!features.mount_setattr && !features.overlay_in_user_namespace);
    }
}
