//! Which cgroups the process joins: the container's, or groups below them (`--cgroup`).

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use crate::cgroup::CgroupPaths;
use crate::host::{Controller, Version};

/// A group below the container's: `[CONTROLLER[,CONTROLLER...]:]PATH`. Controllers name v1 hierarchies; without them it is
/// v2's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subgroup {
    controllers: Vec<Controller>,
    path: PathBuf,
}

/// A group that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubgroupError {
    /// Not of the form.
    #[error("`{0}` is no group below the container's: [CONTROLLER[,CONTROLLER]:]PATH")]
    Syntax(String),
    /// The container has no group there.
    #[error("the container has no group in the hierarchy of `{0}`")]
    Hierarchy(&'static str),
}

impl FromStr for Subgroup {
    type Err = SubgroupError;

    fn from_str(text: &str) -> Result<Self, SubgroupError> {
        let refused = || SubgroupError::Syntax(text.escape_debug().to_string());
        let (controllers, path) = match text.split_once(':') {
            Some((names, path)) => {
                let controller = |name: &str| {
                    let found = Controller::parse_list(name, Version::V1);
                    found.into_iter().next().ok_or_else(refused)
                };
                (names.split(',').map(controller).collect::<Result<_, _>>()?, path)
            }
            None => (Vec::new(), text),
        };
        // Nothing leads out of the container's group.
        let below = Path::new(path).components().filter(|part| *part != Component::RootDir);
        let below: Option<PathBuf> =
            below.map(|part| matches!(part, Component::Normal(_)).then_some(part)).collect();
        Ok(Self { controllers, path: below.ok_or_else(refused)? })
    }
}

/// The container's groups, with those of `wanted` in their places.
pub(super) fn paths(own: &CgroupPaths, wanted: &[Subgroup]) -> Result<CgroupPaths, SubgroupError> {
    let mut paths = own.clone();
    for Subgroup { controllers, path } in wanted {
        if controllers.is_empty() {
            let unified = paths.groups.iter_mut().find(|group| group.version == Version::V2);
            let group = unified.ok_or(SubgroupError::Hierarchy("cgroup v2"))?;
            group.path.push(path);
            continue;
        }
        let mut moved = Vec::new();
        for controller in controllers {
            let at = paths.groups.iter().position(|group| {
                group.version == Version::V1 && group.controllers.contains(controller)
            });
            let name = controller.name(Version::V1);
            let at = at.ok_or(SubgroupError::Hierarchy(name))?;
            // Controllers of one hierarchy share its group.
            if !moved.contains(&at) {
                paths.groups[at].path.push(path);
                moved.push(at);
            }
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::GroupPath;

    fn own() -> CgroupPaths {
        let group = |version, controllers: &[Controller], path: &str| GroupPath {
            version,
            controllers: controllers.iter().copied().collect(),
            path: PathBuf::from(path),
        };
        CgroupPaths {
            groups: vec![
                group(Version::V1, &[Controller::Cpu, Controller::Cpuacct], "/cpu/c"),
                group(Version::V1, &[Controller::Memory], "/memory/c"),
                group(Version::V2, &[], "/unified/c"),
            ],
            unit: None,
        }
    }

    #[test]
    fn groups_below_are_named_by_hierarchy() {
        let check = |wanted: &[&str], expected: Result<[&str; 3], SubgroupError>| {
            let wanted: Vec<Subgroup> = wanted.iter().map(|text| text.parse().unwrap()).collect();
            let found = paths(&own(), &wanted)
                .map(|paths| paths.groups.into_iter().map(|group| group.path).collect::<Vec<_>>());
            assert_eq!(found, expected.map(|paths| paths.map(PathBuf::from).to_vec()));
        };
        check(&[], Ok(["/cpu/c", "/memory/c", "/unified/c"]));
        check(&["/a/b"], Ok(["/cpu/c", "/memory/c", "/unified/c/a/b"]));
        check(&["cpu,cpuacct:a", "memory:/b"], Ok(["/cpu/c/a", "/memory/c/b", "/unified/c"]));
        check(&["pids:a"], Err(SubgroupError::Hierarchy("pids")));
    }

    #[test]
    fn nothing_leads_out_of_the_containers_group() {
        for text in ["..", "a/../../b", "memory:/../x", "nothing:a", "cpu,:a", ":a"] {
            assert!(text.parse::<Subgroup>().is_err(), "{text}");
        }
    }
}
