//! How the container sees its own cgroups.
//!
//! On a pure v2 host that is one file system; otherwise a folder with each hierarchy in which the container has a group, and
//! no other: each costs a mount, and what it would show is the host's. In a cgroup namespace they are mounted anew, and their root is
//! the container's group; without one, its group is bound from the host's.

use std::path::PathBuf;

use common::tree::ImagePath;

use super::mounts::Scope;
use super::{Attributes, Link, Mount, NamespaceKind, PlanError, Source, Spread};
use crate::cgroup::GroupPlan;
use crate::host::{Host, Layout, Version};

/// The mounts at `destination`, and links beside them.
pub(super) fn plan(
    destination: &ImagePath,
    attributes: Attributes,
    scope: &Scope<'_>,
    host: &Host,
) -> Result<(Vec<Mount>, Vec<Link>), PlanError> {
    let layout = host.cgroups().map_err(|error| PlanError::Cgroup(error.into()))?;
    let at = |at: ImagePath, source: Source| {
        let bound = matches!(source, Source::Bind { .. });
        let propagation = bound.then_some(Spread::PRIVATE).into_iter().collect();
        Mount { destination: at, source, attributes, propagation }
    };
    let namespace = scope.has(NamespaceKind::Cgroup);
    if layout.is_pure_v2() {
        let source = match hosts_v2(scope, host) {
            Some(path) => Source::Bind { path, recursive: false, owners: None },
            None => new("cgroup2", Vec::new()),
        };
        return Ok((vec![at(destination.clone(), source)], Vec::new()));
    }
    let mode = vec![("mode".to_owned(), Some("755".to_owned()))];
    let mut all = vec![at(destination.clone(), new("tmpfs", mode))];
    let mut links = Vec::new();
    for group in &scope.cgroup.groups {
        let Some(names) = names(group, layout) else { continue };
        let folder = names.join(",");
        let path = destination.join(&folder).map_err(PlanError::Path)?;
        if names.len() > 1 {
            // The names by which programs look for them.
            for name in &names {
                let path = destination.join(name).map_err(PlanError::Path)?;
                links.push(Link { path, target: folder.clone(), replaces: false });
            }
        }
        let source = match (namespace, group.version) {
            (false, _) => Source::Bind { path: group.path.clone(), recursive: false, owners: None },
            (true, Version::V2) => new("cgroup2", Vec::new()),
            // The kernel wants all controllers of a hierarchy named.
            (true, Version::V1) => {
                new("cgroup", names.iter().map(|&name| (name.to_owned(), None)).collect())
            }
        };
        all.push(at(path, source));
    }
    Ok((all, links))
}

/// The host's v2 hierarchy, for a container without a cgroup namespace. Not an instance of its own, though root of the host could make
/// one: in the host's own namespace that would give the one hierarchy that there is the flags of this mount, and take `nsdelegate`
/// and `memory_recursiveprot` from the whole host (`apply_cgroup_root_flags` in kernel/cgroup/cgroup.c).
pub(super) fn hosts_v2(scope: &Scope<'_>, host: &Host) -> Option<PathBuf> {
    if scope.has(NamespaceKind::Cgroup) {
        return None;
    }
    Some(host.cgroups().ok()?.v2()?.mount.clone())
}

fn new(filesystem: &str, options: Vec<(String, Option<String>)>) -> Source {
    Source::New {
        filesystem: filesystem.to_owned(),
        name: "cgroup".to_owned(),
        options,
        copy_up: false,
    }
}

/// What a hierarchy's folder is called: `memory`, `cpu,cpuacct`, `unified`.
fn names<'a>(group: &GroupPlan, layout: &'a Layout) -> Option<Vec<&'a str>> {
    match group.version {
        Version::V2 => Some(vec!["unified"]),
        Version::V1 => {
            let first = group.controllers().first().copied()?;
            let all = &layout.of(first)?.controllers;
            Some(all.iter().map(|controller| controller.name(Version::V1)).collect())
        }
    }
}
