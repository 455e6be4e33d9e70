//! What every image has, whatever the program: somewhere to write, somewhere to mount, somebody to
//! be.
//!
//! `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname` are what a launcher mounts its own over.
//! The host's are never copied: they say where an image was built.

use common::tree::ImagePath;

use super::conflict::{Draft, Rank};
use super::error::PlanError;
use super::users::User;
use super::{Generated, Node, Source, Why};
use crate::spec::ImageSpec;

/// Folders: path, mode, what for.
const FOLDERS: [(&str, u32, &str); 6] = [
    ("/dev", 0o755, "a launcher mounts devices here"),
    ("/proc", 0o555, "a launcher mounts proc here"),
    ("/sys", 0o555, "a launcher mounts sysfs here"),
    ("/run", 0o755, "programs keep state of the running system here"),
    ("/tmp", 0o1777, "programs keep temporary files here"),
    ("/var/tmp", 0o1777, "programs keep temporary files here"),
];

pub(super) fn add(draft: &mut Draft, spec: &ImageSpec, user: &User) -> Result<(), PlanError> {
    draft.put(ImagePath::root(), Node::Folder { mode: 0o755 }, Rank::Always, &[])?;
    for (path, mode, purpose) in FOLDERS {
        put(draft, path, Node::Folder { mode }, purpose)?;
    }
    let files = [
        ("/etc/passwd", Generated::Passwd { user: user.clone() }, "who runs the image"),
        ("/etc/group", Generated::Group { user: user.clone() }, "who runs the image"),
        ("/etc/hosts", Generated::Hosts, "the name localhost; a launcher mounts its own here"),
        ("/etc/resolv.conf", Generated::Empty, "a launcher mounts its own here"),
        ("/etc/hostname", Generated::Empty, "a launcher mounts its own here"),
    ];
    for (path, what, purpose) in files {
        let source = Source::Generated { what };
        put(draft, path, Node::File { mode: 0o644, source }, purpose)?;
    }
    // Where an ordinary user launches the image, all of it belongs to the container's root
    // (docs/security.md): a user that is not root could not write to a folder of mode 0755.
    let mode = if user.uid == 0 { 0o755 } else { 0o1777 };
    let volume = Node::Volume { mode, uid: user.uid, gid: user.gid };
    let volumes = spec.run.volumes.iter().map(|path| ("volumes", path, &volume));
    let workdir = Node::Folder { mode: 0o755 };
    for (key, path, node) in volumes.chain([("workdir", &spec.run.workdir, &workdir)]) {
        let why = [Why::Configured { key: key.to_owned() }];
        if *path != ImagePath::root() {
            draft.put(path.clone(), node.clone(), Rank::Rule, &why)?;
        }
    }
    Ok(())
}

fn put(draft: &mut Draft, path: &str, node: Node, purpose: &str) -> Result<(), PlanError> {
    let path =
        ImagePath::new(path).map_err(|source| PlanError::Path { of: ImagePath::root(), source })?;
    draft.put(path, node, Rank::Always, &[Why::Always { purpose: purpose.to_owned() }])
}
