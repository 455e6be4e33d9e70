//! Everything that the root is given from outside: mounts, nodes, links and generated files.

use common::tree::ImagePath;
use oci_spec::runtime::Spec;

use super::mounts::Scope;
use super::{
    CgroupPlan, Device, GeneratedFile, Ground, IdMaps, Link, Mount, Namespace, NamespaceKind,
    PlanError, Sources, Spread, devices, files, mounts, paths,
};
use crate::host::Host;

/// See the fields of the same names of [`Plan`](super::Plan).
#[derive(Debug)]
pub(super) struct Below {
    pub(super) propagation: Option<Spread>,
    pub(super) mounts: Vec<Mount>,
    pub(super) sources: Sources,
    pub(super) devices: Vec<Device>,
    pub(super) links: Vec<Link>,
    pub(super) files: Vec<GeneratedFile>,
    pub(super) masked: Vec<ImagePath>,
    pub(super) readonly: Vec<ImagePath>,
}

impl Below {
    /// Whether anything is mounted for it, and it has no mount namespace in which that could be.
    pub(super) fn is_detached(&self, namespaces: &[Namespace]) -> bool {
        if namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::Mount) {
            return false;
        }
        !(self.mounts.is_empty()
            && self.masked.is_empty()
            && self.readonly.is_empty()
            && self.devices.iter().all(|device| device.node.is_some()))
    }
}

/// What was decided before: namespaces, id maps, cgroups and host name.
type Known<'a> = (&'a [Namespace], Option<&'a IdMaps>, &'a CgroupPlan, Option<&'a str>);

/// What is mounted and made below the root.
pub(super) fn plan(
    spec: &Spec,
    known: Known<'_>,
    ground: &Ground<'_>,
    host: &Host,
) -> Result<Below, PlanError> {
    let propagation = mounts::root_propagation(spec)?;
    let (namespaces, id_maps, cgroup, hostname) = known;
    let scope =
        Scope { namespaces, id_maps, cgroup, root: propagation, bundle: ground.bundle_folder };
    let linux = spec.linux().as_ref();
    let isolated = scope.has_new(NamespaceKind::Network);
    let (mut mounts, mut links) = mounts::plan(spec, &scope, host)?;
    let making = devices::making(&scope, ground, host);
    links.extend(devices::links(&mounts)?);
    let devices = devices::plan(spec, &mounts, making, id_maps)?;
    if ground.generate_files {
        let resolver = files::resolver(isolated, &mounts)?;
        mounts.extend(resolver);
    }
    Ok(Below {
        propagation,
        sources: mounts::sources(&mounts, &scope, ground, host),
        devices,
        links,
        files: files::plan(ground, hostname, isolated, &mounts)?,
        mounts,
        masked: paths::all(linux.and_then(|linux| linux.masked_paths().as_deref()))?,
        readonly: paths::all(linux.and_then(|linux| linux.readonly_paths().as_deref()))?,
    })
}
