//! Which scope a container becomes: its name, its slice, and where that is in the tree. Pure.

use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};

use super::value::{Property, Value};
use super::{annotations, properties};
use crate::cgroup::devices::DeviceRule;
use crate::cgroup::{CgroupError, Request};
use crate::host::{Layout, Version};

/// A scope, as it will be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopePlan {
    /// What it is called.
    pub unit: Unit,
    /// The slice that it is in.
    pub slice: String,
    /// What the group's path starts with: the user's manager is somewhere in the system's tree. Where exactly, the
    /// manager is asked when the scope is made.
    pub manager: PathBuf,
    /// What it is made with; the first ones can be left out where systemd does not know them.
    pub properties: Vec<Property>,
    /// How many of them.
    pub droppable: usize,
}

/// What a scope is found again by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// `coracle-<id>.scope`, or what the bundle says.
    pub name: String,
    /// Whether it belongs to the user's manager, not the system's.
    pub user: bool,
}

/// The scope of a container.
pub(in crate::cgroup) fn plan(
    request: &Request<'_>,
    resources: &LinuxResources,
    rules: Option<&[DeviceRule]>,
    layout: &Layout,
    user: bool,
) -> Result<ScopePlan, CgroupError> {
    let version = if layout.is_pure_v2() { Version::V2 } else { Version::V1 };
    if user && version == Version::V1 {
        return Err(CgroupError::UserScope);
    }
    let (slice, name) = names(request, user)?;
    let mut all = properties::of(resources, version);
    if version == Version::V1 {
        all.extend(rules.map(properties::devices).unwrap_or_default());
    }
    let io = if version == Version::V1 { "BlockIOAccounting" } else { "IOAccounting" };
    // Counted from the start: memory that was charged elsewhere stays there.
    for name in ["MemoryAccounting", "CPUAccounting", io, "TasksAccounting"] {
        all.push(Property::new(name, Value::Bool(true)));
    }
    let droppable = all.len();
    let text = |text: &str| Value::Text(text.to_owned());
    all.push(Property::new("Description", text(&format!("container {}", request.id))));
    all.push(Property::new("Slice", text(&slice)));
    // What is below the scope is ours (systemd.resource-control(5), "Delegate=").
    all.push(Property::new("Delegate", Value::Bool(true)));
    // It may outlive what is stopped at shutdown: whoever started it decides.
    all.push(Property::new("DefaultDependencies", Value::Bool(false)));
    all.extend(annotations::properties(request.annotations)?);
    Ok(ScopePlan {
        unit: Unit { name, user },
        slice,
        manager: if user { own_manager(layout) } else { "/".into() },
        properties: all,
        droppable,
    })
}

/// The slice and the scope of `slice:prefix:name`; each part has a default but the name.
fn names(request: &Request<'_>, user: bool) -> Result<(String, String), CgroupError> {
    let default = if user { "user.slice" } else { "system.slice" };
    let Some(path) = request.path else {
        return Ok((default.to_owned(), format!("coracle-{}.scope", request.id)));
    };
    let refused = || CgroupError::SystemdPath { path: path.to_owned() };
    let text = path.to_str().ok_or_else(refused)?;
    let parts: Vec<_> = text.split(':').collect();
    let &[slice, prefix, name] = parts.as_slice() else { return Err(refused()) };
    let plain =
        |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-\\@".contains(&b));
    if name.is_empty() || name.strip_suffix(".slice").is_some() || !plain(prefix) || !plain(name) {
        return Err(refused());
    }
    let slice = if slice.is_empty() { default } else { slice };
    expand(slice).ok_or_else(refused)?;
    Ok((slice.to_owned(), format!("{prefix}-{name}.scope")))
}

/// Where a slice is: `a-b.slice` is below `a.slice` (`systemd.slice(5)`), `-.slice` is the root.
pub(super) fn expand(slice: &str) -> Option<PathBuf> {
    let stem = slice.strip_suffix(".slice")?;
    if stem == "-" {
        return Some(PathBuf::new());
    }
    let mut path = PathBuf::new();
    let mut prefix = String::new();
    for part in stem.split('-') {
        if part.is_empty() || part.contains('/') {
            return None;
        }
        prefix.push_str(part);
        path.push(format!("{prefix}.slice"));
        prefix.push('-');
    }
    Some(path)
}

impl ScopePlan {
    /// The group's path below a hierarchy's mount.
    pub(in crate::cgroup) fn path(&self) -> PathBuf {
        let manager = self.manager.components().filter(|part| matches!(part, Component::Normal(_)));
        let slice = expand(&self.slice).unwrap_or_default();
        manager.collect::<PathBuf>().join(slice).join(&self.unit.name)
    }
}

/// Where the user's manager most likely is: above us, if it started us.
fn own_manager(layout: &Layout) -> PathBuf {
    let own = layout.v2().map_or(Path::new("/"), |hierarchy| &hierarchy.own);
    let service = own.ancestors().find(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("user@") && name.ends_with(".service")
    });
    // A login's session is beside its manager.
    let slice = || {
        own.ancestors().find_map(|path| {
            let user = path.file_name()?.to_str()?.strip_prefix("user-")?.strip_suffix(".slice")?;
            Some(path.join(format!("user@{user}.service")))
        })
    };
    service.map(Path::to_owned).or_else(slice).unwrap_or_else(|| own.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_where_their_names_say() {
        for (slice, path) in [
            ("system.slice", Some("system.slice")),
            ("kubepods-pod1.slice", Some("kubepods.slice/kubepods-pod1.slice")),
            ("-.slice", Some("")),
            ("a--b.slice", None),
            ("-a.slice", None),
            ("a/b.slice", None),
            ("system", None),
        ] {
            assert_eq!(expand(slice), path.map(PathBuf::from), "{slice}");
        }
    }
}
