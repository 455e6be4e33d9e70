//! From an image's configuration to a runtime specification.

use common::oci::ImageConfiguration;
use common::root::Root;
use oci_spec::runtime::Spec;

use super::{Overrides, SpecError};

/// The specification of a container of this image. `root` is the unpacked image: users and groups are looked up in its
/// own `/etc/passwd` and `/etc/group`.
pub fn from_image(
    config: &ImageConfiguration,
    overrides: &Overrides,
    root: &Root,
) -> Result<Spec, SpecError> {
    let _ = (config, overrides, root);
    todo!()
}

/// Whether every mount point of the specification is there in the unpacked image, and of the right sort, so that
/// nothing has to be made (see [`crate::plan::Ground::mount_points_exist`]).
pub fn mount_points_exist(spec: &Spec, root: &Root) -> bool {
    let _ = (spec, root);
    todo!()
}
