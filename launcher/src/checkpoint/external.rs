//! What a container has that is not its own: mounts of the host's files, and the caller's descriptors.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use oci_spec::runtime::{Mount, Spec};

use super::{CheckpointError, DESCRIPTORS};

/// The host's `/dev/null` hides files. criu knows all of these by one name.
const NULL: &str = "/dev/null";

/// A container as its first process shows it.
#[derive(Debug)]
pub(super) struct Inside {
    mounts: Vec<Mounted>,
    /// Names of the descriptors 0, 1 and 2; empty for one of the container's own.
    pub(super) descriptors: Vec<String>,
}

/// A line of `proc_pid_mountinfo(5)`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mounted {
    id: u64,
    device: String,
    root: String,
    point: String,
    kind: String,
}

impl Inside {
    pub(super) fn of(pid: i32) -> io::Result<Self> {
        let mounts = parse(&std::fs::read_to_string(format!("/proc/{pid}/mountinfo"))?);
        let descriptors =
            (0..3).map(|number| descriptor(pid, number, &mounts)).collect::<io::Result<_>>()?;
        Ok(Self { mounts, descriptors })
    }

    /// What criu is told of it.
    pub(super) fn external(&self, spec: &Spec) -> Vec<String> {
        let mut all = external_mounts(&self.mounts, spec);
        let mut files: Vec<String> =
            self.descriptors.iter().filter(|name| name.starts_with("file[")).cloned().collect();
        files.sort_unstable();
        files.dedup();
        all.append(&mut files);
        all
    }
}

fn parse(text: &str) -> Vec<Mounted> {
    let line = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ');
        let id = left.next()?.parse().ok()?;
        let device = left.nth(1)?.to_owned();
        let (root, point) = (unescape(left.next()?), unescape(left.next()?));
        Some(Mounted { id, device, root, point, kind: right.split(' ').next()?.to_owned() })
    };
    text.lines().filter_map(line).collect()
}

/// Blanks and backslashes are octal there.
fn unescape(text: &str) -> String {
    let codes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    codes.iter().fold(text.to_owned(), |text, (code, real)| text.replace(code, real))
}

/// Those that show files of the host: the specification's binds, and whatever else is a part of a file system of which
/// the container has not the whole. criu makes the others by itself, cgroups among them.
fn external_mounts(mounts: &[Mounted], spec: &Spec) -> Vec<String> {
    let binds: Vec<String> = binds(spec).map(|mount| path_of(mount.destination())).collect();
    let masked = spec.linux().as_ref().and_then(|linux| linux.masked_paths().as_deref());
    let masked = masked.unwrap_or_default();
    let whole = |mount: &Mounted| {
        mounts.iter().any(|other| other.device == mount.device && other.root == "/")
    };
    mounts
        .iter()
        .filter(|mount| mount.point != "/" && !mount.kind.starts_with("cgroup"))
        .filter(|mount| binds.contains(&mount.point) || mount.root != "/" && !whole(mount))
        .map(|mount| {
            let hidden = mount.root.ends_with("null") && masked.contains(&mount.point);
            let name = if hidden { NULL } else { mount.point.as_str() };
            format!("mnt[{}]:{name}", mount.point)
        })
        .collect()
}

/// What stands for them at a restore, each by its name.
pub fn sources(spec: &Spec, bundle: &Path) -> Vec<String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for device in ["null", "zero", "full", "random", "urandom", "tty"] {
        let path = format!("/dev/{device}");
        all.insert(path.clone(), path);
    }
    for device in spec.linux().iter().filter_map(|linux| linux.devices().as_deref()).flatten() {
        all.insert(path_of(device.path()), path_of(device.path()));
    }
    for mount in binds(spec) {
        let source = mount.source().as_deref().unwrap_or(Path::new(""));
        all.insert(path_of(mount.destination()), path_of(&bundle.join(source)));
    }
    all.into_iter().map(|(name, source)| format!("mnt[{name}]:{source}")).collect()
}

fn binds(spec: &Spec) -> impl Iterator<Item = &Mount> {
    spec.mounts().iter().flatten().filter(|mount| {
        let options = mount.options().as_deref().unwrap_or_default();
        mount.typ().as_deref() == Some("bind")
            || options.iter().any(|option| option == "bind" || option == "rbind")
    })
}

fn path_of(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.len() > 1 { text.trim_end_matches('/').to_owned() } else { text.into_owned() }
}

/// criu's name of a descriptor that the caller gave. A pipe is one whatever mount it is on.
fn descriptor(pid: i32, number: u32, mounts: &[Mounted]) -> io::Result<String> {
    let Ok(link) = std::fs::read_link(format!("/proc/{pid}/fd/{number}")) else {
        // Closed.
        return Ok(String::new());
    };
    let link = link.to_string_lossy().into_owned();
    if link.starts_with("pipe:[") {
        return Ok(link);
    }
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}"))?;
    let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    let mount: Option<u64> = mount.and_then(|id| id.trim().parse().ok());
    match mount.filter(|id| mounts.iter().all(|mount| mount.id != *id)) {
        Some(id) => {
            let inode = rustix::fs::stat(format!("/proc/{pid}/fd/{number}"))?.st_ino;
            Ok(format!("file[{id:x}:{inode:x}]"))
        }
        None => Ok(String::new()),
    }
}

/// The names of the descriptors of a container that was written.
pub fn descriptors(images: &Path) -> Result<Vec<String>, CheckpointError> {
    let path = images.join(DESCRIPTORS);
    let failed = |source| CheckpointError::Read { path: path.clone(), source };
    let text = std::fs::read(&path).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|error| failed(error.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MOUNTS: &str = "\
171 93 254:0 /b/rootfs / rw - ext4 /dev/vda rw
172 171 0:80 / /proc rw - proc proc rw
173 171 0:81 / /dev rw shared:1 - tmpfs tmpfs rw
179 178 0:36 /coracle/t /sys/fs/cgroup/pids ro - cgroup cgroup rw
188 172 0:80 /bus /proc/bus ro - proc proc rw
193 172 0:6 /null /proc/keys rw - devtmpfs devtmpfs rw
194 173 0:6 /tty /dev/tty rw - devtmpfs devtmpfs rw
195 171 254:0 /host/a\\040b /data rw - ext4 /dev/vda rw
196 171 0:99 / /whole rw - tmpfs tmpfs rw
";

    fn spec() -> Spec {
        serde_json::from_value(json!({
            "ociVersion": "1.3.0",
            "mounts": [
                { "destination": "/data", "source": "data", "options": ["rbind"] },
                { "destination": "/whole/", "type": "bind", "source": "/shm" },
                { "destination": "/dev", "type": "tmpfs" }
            ],
            "linux": { "maskedPaths": ["/proc/keys", "/proc/acpi"] }
        }))
        .unwrap()
    }

    #[test]
    fn what_is_the_hosts_is_told_apart() {
        let mounts = parse(MOUNTS);
        assert_eq!(mounts[7].root, "/host/a b");
        assert_eq!(
            external_mounts(&mounts, &spec()),
            [
                "mnt[/proc/keys]:/dev/null",
                "mnt[/dev/tty]:/dev/tty",
                "mnt[/data]:/data",
                "mnt[/whole]:/whole"
            ]
        );
    }

    #[test]
    fn a_restore_finds_all_that_was_external() {
        let found = sources(&spec(), Path::new("/bundle"));
        for expected in ["mnt[/data]:/bundle/data", "mnt[/whole]:/shm", "mnt[/dev/null]:/dev/null"]
        {
            assert!(found.iter().any(|one| one == expected), "{found:?}");
        }
    }

    #[test]
    fn descriptors_are_named_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(DESCRIPTORS), r#"["pipe:[5]","","file[18:3]"]"#).unwrap();
        assert_eq!(descriptors(folder.path()).unwrap(), ["pipe:[5]", "", "file[18:3]"]);
        assert!(descriptors(Path::new("/nowhere")).is_err());
    }
}
