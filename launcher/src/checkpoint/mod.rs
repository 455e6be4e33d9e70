//! `checkpoint`: the processes of a container become files, from which `restore` makes them again.
//!
//! ```text
//! mod        Request -> what is asked of criu -> files; then the container is gone, unless it is to go on
//! criu       what the program criu is told, and how it is run
//! external   what of a container's mounts and descriptors is not its own
//! ```
//!
//! Beside criu's own files lies `descriptors.json`: for the descriptors 0, 1 and 2 the names by which `restore` puts its
//! caller's in their places, or `""`.

mod criu;
mod error;
mod external;

use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use crate::host::{Controller, Version};
use crate::lifecycle;
use crate::runtime::{self, Container, ContainerId, StateDirectory, Status};

pub use criu::{CgroupsMode, Common, Restore};
pub use error::CheckpointError;
pub use external::{descriptors, sources};

use criu::Dump;

/// Where the names of descriptors are, among the images.
pub const DESCRIPTORS: &str = "descriptors.json";

/// What `paddle checkpoint` was asked for.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the command line")]
pub struct Request {
    /// Which container.
    pub id: ContainerId,
    /// What criu is told whatever it does.
    pub common: Common,
    /// Only memory, while the container goes on.
    pub pre: bool,
    /// The container goes on afterwards.
    pub leave_running: bool,
    /// Data on the way in TCP connections is left out.
    pub skip_in_flight: bool,
    /// Files that were removed while open get a name again.
    pub link_remap: bool,
    /// An earlier image, relative to the images.
    pub parent: Option<PathBuf>,
    /// Address and port of a page server.
    pub page_server: Option<(String, u16)>,
    /// A descriptor that is told when pages can be fetched.
    pub status: Option<i32>,
}

/// Writes the container.
///
/// # Errors
/// It cannot be written; then it goes on.
pub fn checkpoint(request: Request, states: &StateDirectory) -> Result<(), CheckpointError> {
    let container = runtime::find(states, &request.id)?;
    container.process()?;
    let Status::Running { process } = container.state.status else {
        return Err(CheckpointError::NotRunning(request.id));
    };
    if container.state.bundle.is_none() {
        return Err(CheckpointError::Image(request.id));
    }
    let spec = container.spec()?;
    refuse_terminal(&spec)?;
    make_folders(&request.common, request.parent.as_deref())?;
    let mut common = request.common;
    common.empty_network |= has_new_network(&spec);
    let images = common.images.clone();
    let (id, stays) = (request.id, request.leave_running || request.pre);
    let mut dump = Dump {
        common,
        pid: process.pid,
        root: root_of(&spec),
        pre: request.pre,
        leave_running: request.leave_running,
        skip_in_flight: request.skip_in_flight,
        link_remap: request.link_remap,
        parent: request.parent,
        page_server: request.page_server,
        status: request.status,
        freezer: freezer(&container),
        external: Vec::new(),
    };
    if !dump.pre {
        let inside = external::Inside::of(process.pid).map_err(CheckpointError::Inside)?;
        dump.external = inside.external(&spec);
        dump.external.extend(namespaces(&spec)?);
        let names = serde_json::to_vec(&inside.descriptors).map_err(std::io::Error::from);
        names
            .and_then(|names| std::fs::write(images.join(DESCRIPTORS), names))
            .map_err(|source| CheckpointError::Write { path: images.join(DESCRIPTORS), source })?;
    }
    dump.run()?;
    if !stays {
        // Whoever looks after it clears it away himself.
        lifecycle::delete(states, &id, true)
            .map_err(|error| CheckpointError::Delete(Box::new(error)))?;
    }
    Ok(())
}

/// The other side of a terminal is a process outside, which cannot be written.
pub fn refuse_terminal(spec: &Spec) -> Result<(), CheckpointError> {
    let terminal = spec.process().as_ref().and_then(oci_spec::runtime::Process::terminal);
    if terminal == Some(true) { Err(CheckpointError::Terminal) } else { Ok(()) }
}

/// The root file system on the host.
pub fn root_of(spec: &Spec) -> PathBuf {
    spec.root().as_ref().map(|root| root.path().clone()).unwrap_or_default()
}

/// Whether the container has a network namespace of its own: devices in it are somebody else's to make.
pub fn has_new_network(spec: &Spec) -> bool {
    paths(spec).any(|(kind, path)| kind == LinuxNamespaceType::Network && path.is_none())
}

/// The kinds of its namespaces, and where those are that exist.
pub fn paths(spec: &Spec) -> impl Iterator<Item = (LinuxNamespaceType, Option<&Path>)> {
    let all = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref());
    all.unwrap_or_default()
        .iter()
        .map(|one| (one.typ(), one.path().as_deref().filter(|path| !path.as_os_str().is_empty())))
}

/// Namespaces of network and pids that exist belong to whoever made them.
fn namespaces(spec: &Spec) -> Result<Vec<String>, CheckpointError> {
    let mut all = Vec::new();
    for (kind, path) in paths(spec) {
        let (Some(name), Some(path)) = (external_key(kind), path) else { continue };
        let stat = rustix::fs::stat(path).map_err(|errno| CheckpointError::Namespace {
            path: path.to_owned(),
            source: errno.into(),
        })?;
        all.push(format!("{}[{}]:{}", name.0, stat.st_ino, name.1));
    }
    Ok(all)
}

/// criu's word for a kind of namespace that stays somebody else's, and the key by which it is found again.
pub fn external_key(kind: LinuxNamespaceType) -> Option<(&'static str, &'static str)> {
    match kind {
        LinuxNamespaceType::Network => Some(("net", "extRootNetNS")),
        LinuxNamespaceType::Pid => Some(("pid", "extRootPidNS")),
        _ => None,
    }
}

/// The group by which all processes are stopped at once.
fn freezer(container: &Container) -> Option<PathBuf> {
    let groups = &container.state.cgroup.groups;
    let v1 = groups.iter().find(|group| group.controllers.contains(&Controller::Freezer));
    let v2 = || groups.iter().find(|group| group.version == Version::V2);
    v1.or_else(v2).map(|group| group.path.clone())
}

fn make_folders(common: &Common, parent: Option<&Path>) -> Result<(), CheckpointError> {
    use std::os::unix::fs::DirBuilderExt as _;
    for folder in std::iter::once(&common.images).chain(&common.work) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| CheckpointError::Write { path: folder.clone(), source })?;
    }
    match parent {
        Some(parent) if parent.is_absolute() || !common.images.join(parent).is_dir() => {
            Err(CheckpointError::Parent(parent.to_owned()))
        }
        _ => Ok(()),
    }
}
