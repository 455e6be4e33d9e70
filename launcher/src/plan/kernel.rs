//! Whether this kernel has what every container needs, and what this one needs besides.

use super::{IdMaps, PlanError, RootPlan};
use crate::host::{Host, Kernel};

/// Refuses with the name of what is missing, so that nobody learns it from an ENOSYS halfway.
///
/// `detached`: something is to be mounted, and there is no mount namespace for it.
pub(super) fn check(
    root: &RootPlan,
    maps: Option<&IdMaps>,
    detached: bool,
    host: &Host,
) -> Result<(), PlanError> {
    let has = host.features();
    let overlay = !matches!(root, RootPlan::Folder { .. } | RootPlan::Bind { .. });
    let idmapped = maps.is_some_and(|maps| maps.idmapped_root);
    let needs = [
        (true, has.mount_descriptors, "fsopen and move_mount", Kernel::new(5, 2)),
        (true, has.openat2, "openat2", Kernel::new(5, 6)),
        (true, has.clone_into_cgroup, "clone3", Kernel::new(5, 7)),
        (true, has.mount_setattr, "mount_setattr", Kernel::new(5, 12)),
        (
            overlay && maps.is_some(),
            has.overlay_in_user_namespace,
            "overlayfs in a user namespace",
            Kernel::new(5, 11),
        ),
        (
            overlay && idmapped,
            has.overlay_on_idmapped,
            "overlayfs above an idmapped mount",
            Kernel::new(5, 19),
        ),
        (detached, has.mount_on_detached, "mounting without a mount namespace", Kernel::new(6, 15)),
    ];
    match needs.into_iter().find(|(needed, there, ..)| *needed && !there) {
        Some((.., feature, since)) => {
            Err(PlanError::Kernel { feature, since, running: host.kernel() })
        }
        None => Ok(()),
    }
}
