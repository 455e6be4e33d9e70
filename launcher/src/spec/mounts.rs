//! What is mounted in every container (runtime-spec, config-linux "Default Filesystems"; moby, `oci/defaults.go`), then the
//! person's volumes and file systems in memory.

use common::root::Root;
use common::tree::ImagePath;
use oci_spec::runtime::{Mount, MountBuilder, Spec};
use rustix::fs::FileType;

use super::image::built;
use super::{Overrides, SpecError};

/// Destination, file system, options.
const DEFAULT: [(&str, &str, &[&str]); 7] = [
    ("/proc", "proc", &["nosuid", "noexec", "nodev"]),
    // Nodes are opened through the mounts that they are, and nowhere else.
    ("/dev", "tmpfs", &["nosuid", "noexec", "nodev", "mode=755", "size=65536k"]),
    (
        "/dev/pts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    ),
    ("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "ro"]),
    ("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
];

/// All mounts, parents before what lies below them.
pub(super) fn of(overrides: &Overrides) -> Result<Vec<Mount>, SpecError> {
    let mut all = Vec::new();
    for (destination, filesystem, options) in DEFAULT {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        all.push(mount(destination.as_ref(), filesystem, filesystem.as_ref(), options)?);
    }
    let mut own: Vec<(ImagePath, Mount)> = Vec::new();
    for tmpfs in &overrides.tmpfs {
        let defaults = ["nosuid", "nodev", "noexec"].map(str::to_owned);
        let options = defaults.into_iter().chain(tmpfs.options.iter().cloned()).collect();
        let destination = tmpfs.destination.as_path();
        let mount = mount(destination, "tmpfs", "tmpfs".as_ref(), options)?;
        own.push((tmpfs.destination.clone(), mount));
    }
    for volume in &overrides.volumes {
        // Of all that is mounted below it, too.
        let mut options = vec!["rbind", "rnosuid"];
        options.extend((!volume.devices).then_some("rnodev"));
        options.extend(volume.readonly.then_some("rro"));
        let options = options.into_iter().map(str::to_owned).collect();
        let mount = mount(volume.destination.as_path(), "bind", &volume.source, options)?;
        own.push((volume.destination.clone(), mount));
    }
    // `/a/b` given before `/a` would be hidden by it.
    own.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(pair) = own.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(SpecError::DuplicateMount(pair[0].0.clone()));
    }
    // A person who mounts something at a default's place wants that instead.
    all.retain(|mount| own.iter().all(|(path, _)| path.as_path() != mount.destination()));
    all.extend(own.into_iter().map(|(_, mount)| mount));
    Ok(all)
}

fn mount(
    destination: &std::path::Path,
    filesystem: &str,
    source: &std::path::Path,
    options: Vec<String>,
) -> Result<Mount, SpecError> {
    let mount = MountBuilder::default()
        .destination(destination)
        .typ(filesystem)
        .source(source)
        .options(options)
        .build();
    built(mount)
}

/// Whether every mount point of the specification is there in the unpacked image, and of the right sort, so that
/// nothing has to be made (see [`crate::plan::Ground::mount_points_exist`]). Those below another mount do not matter.
pub fn mount_points_exist(spec: &Spec, root: &Root) -> bool {
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    let paths: Option<Vec<ImagePath>> = mounts
        .iter()
        .map(|mount| ImagePath::new(mount.destination().as_os_str().as_encoded_bytes()).ok())
        .collect();
    let Some(paths) = paths else { return false };
    let is = |path: &[u8], folder: bool| {
        root.metadata(path).is_ok_and(|stat| {
            (FileType::from_raw_mode(stat.st_mode) == FileType::Directory) == folder
        })
    };
    let below_another =
        |path: &ImagePath| paths.iter().any(|other| other != path && path.starts_with(other));
    let mounts_there = mounts.iter().zip(&paths).all(|(mount, path)| {
        let folder = mount.typ().as_deref() != Some("bind")
            || std::fs::metadata(mount.source().as_deref().unwrap_or("/".as_ref()))
                .is_ok_and(|source| source.is_dir());
        below_another(path) || is(path.as_bytes(), folder)
    });
    let files = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
    let cwd = spec.process().as_ref().map(|process| process.cwd().clone());
    mounts_there
        && files.iter().all(|file| is(file.as_bytes(), false))
        && cwd.is_none_or(|cwd| {
            let path = cwd.as_os_str().as_encoded_bytes();
            ImagePath::new(path).is_ok_and(|path| below_another(&path) || is(path.as_bytes(), true))
        })
}
