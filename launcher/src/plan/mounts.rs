//! What is mounted below the root, and which nodes `/dev` has.

use common::tree::ImagePath;
use oci_spec::runtime::{Mount as OciMount, Spec};

use super::ids::outside;
use super::mount::{Attributes, Device, DeviceKind, Mount, Source};
use super::{IdMaps, PlanError, cgroups, paths};
use crate::cgroup::CgroupPlan;
use crate::host::Host;

/// What decides how file systems of the kernel can be mounted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) id_maps: Option<&'a IdMaps>,
    /// Whether the network namespace is new.
    pub(super) own_network: bool,
    pub(super) cgroup: &'a CgroupPlan,
}

/// The specification's mounts, in its order.
pub(super) fn plan(spec: &Spec, scope: &Scope<'_>, host: &Host) -> Result<Vec<Mount>, PlanError> {
    let mut all = Vec::new();
    for mount in spec.mounts().as_deref().unwrap_or_default() {
        let destination = paths::one(mount.destination())?;
        match mount.typ().as_deref() {
            Some("cgroup" | "cgroup2") => {
                all.extend(cgroups::plan(&destination, scope.cgroup, host)?);
            }
            _ => all.push(one(mount, destination, scope)?),
        }
    }
    Ok(all)
}

fn one(mount: &OciMount, destination: ImagePath, scope: &Scope<'_>) -> Result<Mount, PlanError> {
    let refused = |problem| PlanError::Mount { destination: destination.clone(), problem };
    let words = Words::parse(mount.options().as_deref().unwrap_or_default());
    if words.shared {
        return Err(refused("asks to be shared with the host"));
    }
    let filesystem = mount.typ().as_deref().unwrap_or("bind");
    let bind = words.bind.or((filesystem == "bind").then_some(true));
    let mut attributes = words.attributes;
    // Nodes are opened through the mounts that `devices` makes and nowhere else; a terminal's are devpts's business.
    attributes.nodev |= filesystem != "devpts" && !words.dev;
    if let Some(recursive) = bind {
        let path = mount.source().clone().ok_or_else(|| refused("has no source"))?;
        if !path.is_absolute() {
            return Err(refused("has a source that is not absolute"));
        }
        return Ok(Mount { destination, source: Source::Bind { path, recursive }, attributes });
    }
    // The kernel shows devices of a network namespace there, and only to the owner of that.
    if filesystem == "sysfs" && scope.id_maps.is_some() && !scope.own_network {
        let source = Source::Bind { path: "/sys".into(), recursive: true };
        attributes.readonly = true;
        return Ok(Mount { destination, source, attributes });
    }
    let mut options = words.rest;
    if let Some(maps) = scope.id_maps {
        // devpts refuses a group that does not exist in the namespace.
        options.retain(|(key, value)| {
            let id = value.as_deref().and_then(|value| value.parse().ok());
            !(filesystem == "devpts" && key == "gid")
                || id.is_some_and(|id| outside(&maps.gids, id).is_some())
        });
    }
    let name = mount
        .source()
        .as_ref()
        .map_or_else(|| filesystem.to_owned(), |source| source.to_string_lossy().into_owned());
    let source = Source::New { filesystem: filesystem.to_owned(), name, options };
    Ok(Mount { destination, source, attributes })
}

/// mount(8)'s words, sorted by what they are.
#[derive(Debug, Default)]
struct Words {
    attributes: Attributes,
    /// `bind` (false) or `rbind` (true).
    bind: Option<bool>,
    /// `dev` was said.
    dev: bool,
    shared: bool,
    /// For the file system itself.
    rest: Vec<(String, Option<String>)>,
}

impl Words {
    fn parse(options: &[String]) -> Self {
        let mut words = Self::default();
        let set = &mut words.attributes;
        for option in options {
            match option.as_str() {
                "ro" => set.readonly = true,
                "rw" => set.readonly = false,
                "nosuid" => set.nosuid = true,
                "suid" => set.nosuid = false,
                "nodev" => (set.nodev, words.dev) = (true, false),
                "dev" => (set.nodev, words.dev) = (false, true),
                "noexec" => set.noexec = true,
                "exec" => set.noexec = false,
                "noatime" => set.noatime = true,
                "nosymfollow" => set.nosymfollow = true,
                "bind" => words.bind = Some(words.bind.unwrap_or(false)),
                "rbind" => words.bind = Some(true),
                "shared" | "rshared" => words.shared = true,
                // What holds anyway: mounts are private, times relative, devpts instances always new.
                "private" | "rprivate" | "slave" | "rslave" | "relatime" | "strictatime"
                | "defaults" | "newinstance" | "async" => {}
                other => words.rest.push(match other.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (other.to_owned(), None),
                }),
            }
        }
        words
    }
}

/// The nodes that every container has (runtime-spec, config-linux "Default Devices").
pub(super) fn devices() -> Result<Vec<Device>, PlanError> {
    [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    ]
    .into_iter()
    .map(|(name, major, minor)| {
        let path = ImagePath::new(format!("/dev/{name}")).map_err(PlanError::Path)?;
        let source = path.as_path().to_owned();
        Ok(Device { path, source, kind: DeviceKind::Character, major, minor })
    })
    .collect()
}
