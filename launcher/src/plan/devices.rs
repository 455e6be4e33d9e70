//! Which nodes and links `/dev` has.

use std::path::Path;

use common::tree::ImagePath;
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType, Spec};

use super::ids::outside;
use super::mounts::Scope;
use super::{
    Device, DeviceKind, Ground, IdMaps, Link, Mount, NamespaceKind, Node, PlanError, Source,
};
use crate::host::Host;

/// What every container has (runtime-spec, config-linux "Default Devices"); `/dev/console` comes with a terminal.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Links that programs expect (config-linux, "Default Devices", and "Dev symbolic links" of runtime-linux).
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// How nodes come into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Making {
    /// Each is a bind of the host's: nothing else of what the container can write opens devices, or it may not make any.
    Bound,
    /// Each is made.
    Made,
    /// The specification's own are made by the launcher, and bound; the others are as if they were bound.
    Lent,
}

/// Images' containers get binds: everything that they can write is mounted `nodev`, so a node that such a container makes itself
/// (`CAP_MKNOD` is in Docker's default set) cannot be opened, whatever the cgroup says. In a user namespace nobody can make
/// any, and nobody open any that were made.
pub(super) fn making(scope: &Scope<'_>, ground: &Ground<'_>, host: &Host) -> Making {
    if !ground.bundle || !host.privileged() {
        return Making::Bound;
    }
    match (scope.has(NamespaceKind::User), scope.has_new(NamespaceKind::Mount)) {
        (false, _) => Making::Made,
        (true, true) => Making::Lent,
        (true, false) => Making::Bound,
    }
}

/// The nodes: the default ones, and the specification's own, which go before a default one of the same path.
pub(super) fn plan(
    spec: &Spec,
    mounts: &[Mount],
    making: Making,
    id_maps: Option<&IdMaps>,
) -> Result<Vec<Device>, PlanError> {
    let own = spec.linux().as_ref().and_then(|linux| linux.devices().as_deref());
    let own: Vec<Device> = own
        .unwrap_or_default()
        .iter()
        .map(|device| one(device, making, id_maps))
        .collect::<Result<_, _>>()?;
    let mut all = Vec::new();
    if !dev_is_the_hosts(mounts) {
        for (name, major, minor) in DEFAULT {
            let path = ImagePath::new(name).map_err(PlanError::Path)?;
            if own.iter().any(|device| device.path == path) {
                continue;
            }
            let node = Node { mode: 0o666, uid: 0, gid: 0, explicit: false };
            all.push(Device {
                source: path.as_path().to_owned(),
                path,
                kind: DeviceKind::Character,
                major,
                minor,
                node: (making == Making::Made).then_some(node),
                lent: None,
            });
        }
        // `/dev/ptmx` is the container's own terminals', whatever else is asked for there.
        all.extend(own.into_iter().filter(|device| device.path.as_bytes() != b"/dev/ptmx"));
    }
    Ok(all)
}

/// The links of `/dev`.
pub(super) fn links(mounts: &[Mount]) -> Result<Vec<Link>, PlanError> {
    if dev_is_the_hosts(mounts) {
        return Ok(Vec::new());
    }
    let link = |path: &str, target: &str, replaces| {
        let path = ImagePath::new(path).map_err(PlanError::Path)?;
        Ok(Link { path, target: target.to_owned(), replaces })
    };
    let mut all: Vec<Link> =
        LINKS.iter().map(|(path, target)| link(path, target, false)).collect::<Result<_, _>>()?;
    all.push(link("/dev/ptmx", "pts/ptmx", true)?);
    Ok(all)
}

/// Whether `/dev` is a bind: then it has what it has, and making something in it would make it on the host.
fn dev_is_the_hosts(mounts: &[Mount]) -> bool {
    mounts.iter().any(|mount| {
        matches!(mount.source, Source::Bind { .. }) && mount.destination.as_bytes() == b"/dev"
    })
}

fn one(
    device: &LinuxDevice,
    making: Making,
    id_maps: Option<&IdMaps>,
) -> Result<Device, PlanError> {
    let path = super::paths::one(device.path())?;
    let refused = |problem| PlanError::Device { path: path.clone(), problem };
    let kind = match device.typ() {
        LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Character,
        LinuxDeviceType::B => DeviceKind::Block,
        LinuxDeviceType::P => DeviceKind::Fifo,
        LinuxDeviceType::A => return Err(refused("is of no type that a node can have")),
    };
    let number = |number: i64| match kind {
        DeviceKind::Fifo => Ok(0),
        _ => u32::try_from(number).or(Err(refused("has a number that no device has"))),
    };
    let (major, minor) = (number(device.major())?, number(device.minor())?);
    let node = Node {
        // Go's encoders write the type's bits along.
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
        explicit: true,
    };
    let made = making == Making::Made || kind == DeviceKind::Fifo;
    let lent = id_maps.filter(|_| making == Making::Lent && !made).and_then(|maps| {
        let (uid, gid) = (outside(&maps.uids, node.uid)?, outside(&maps.gids, node.gid)?);
        Some(Node { uid, gid, ..node })
    });
    Ok(Device {
        source: host_node(&path, kind, major, minor),
        path,
        kind,
        major,
        minor,
        node: made.then_some(node),
        lent,
    })
}

/// Where the host has a device: at the same path, or by its number, which udev(7) links for every device.
fn host_node(path: &ImagePath, kind: DeviceKind, major: u32, minor: u32) -> std::path::PathBuf {
    if path.as_path().starts_with("/dev") {
        return path.as_path().to_owned();
    }
    let folder = if kind == DeviceKind::Block { "block" } else { "char" };
    Path::new("/dev").join(folder).join(format!("{major}:{minor}"))
}
