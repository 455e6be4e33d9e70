//! How the container sees its own cgroups: read-only (R10; CVE-2022-0492, CVE-2023-25809).

use common::tree::ImagePath;

use super::{Attributes, Mount, PlanError, Source};
use crate::cgroup::CgroupPlan;
use crate::host::{Host, Version};

const ATTRIBUTES: Attributes = Attributes {
    readonly: true,
    nosuid: true,
    nodev: true,
    noexec: true,
    noatime: false,
    nosymfollow: false,
};

/// On a pure v2 host its one file system; otherwise a folder with each hierarchy in which the container has a group, and
/// no other: each costs a mount, and what it would show is the host's.
pub(super) fn plan(
    destination: &ImagePath,
    cgroup: &CgroupPlan,
    host: &Host,
) -> Result<Vec<Mount>, PlanError> {
    let layout = host.cgroups().map_err(|error| PlanError::Cgroup(error.into()))?;
    let new = |at: ImagePath, filesystem: &str, options: Vec<(String, Option<String>)>| Mount {
        destination: at,
        source: Source::New {
            filesystem: filesystem.to_owned(),
            name: "cgroup".to_owned(),
            options,
        },
        attributes: ATTRIBUTES,
    };
    if layout.is_pure_v2() {
        return Ok(vec![new(destination.clone(), "cgroup2", Vec::new())]);
    }
    let mode = vec![("mode".to_owned(), Some("755".to_owned()))];
    let mut all = vec![new(destination.clone(), "tmpfs", mode)];
    for group in &cgroup.groups {
        let first = group.controllers().first().copied();
        match (group.version, first.and_then(|controller| layout.of(controller))) {
            (Version::V1, Some(hierarchy)) => {
                // The kernel wants all controllers of a hierarchy named.
                let names: Vec<&str> = hierarchy
                    .controllers
                    .iter()
                    .map(|controller| controller.name(Version::V1))
                    .collect();
                let at = destination.join(names.join(",")).map_err(PlanError::Path)?;
                let options = names.iter().map(|&name| (name.to_owned(), None)).collect();
                all.push(new(at, "cgroup", options));
            }
            (Version::V1, None) => {}
            (Version::V2, _) => {
                let at = destination.join("unified").map_err(PlanError::Path)?;
                all.push(new(at, "cgroup2", Vec::new()));
            }
        }
    }
    Ok(all)
}
