//! What will be done to bring a further process into a container that runs (`exec`).

use std::path::Path;

use oci_spec::runtime::{
    ContainerState, LinuxNamespace, LinuxNamespaceType, Process as OciProcess, Spec,
};
use serde::{Deserialize, Serialize};

use super::{Affinity, PlanError, Process, Security, Wanted, process, security};
use crate::host::Host;

/// Everything that `spawn::enter` will do, but for where the container is: its first process is asked for that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnterPlan {
    /// The program.
    pub process: Process,
    /// What it may ask of the kernel.
    pub security: Security,
    /// Whether it dies with its launcher: somebody waits for it there.
    pub dies_with_parent: bool,
    /// How many descriptors of the caller's, from 3 on, it keeps.
    pub preserved_descriptors: u32,
    /// Whether the root of the container's mount namespace is the container's. One that was joined has somebody else's, and all of
    /// its files: then the first process's own root is what confines.
    pub owns_mounts: bool,
}

/// What the specification does not say.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Its first process, as the host numbers it.
    pub first: i32,
    /// The folder of its bundle; an image's has none.
    pub bundle: Option<&'a Path>,
    /// Whether somebody waits for the process.
    pub foreground: bool,
    /// How many descriptors of the caller's, from 3 on, it keeps.
    pub preserved: u32,
    /// Whether it gets the container's session keyring.
    pub session_keyring: bool,
}

/// Plans `process` for the container that was made by `spec`. Pure.
///
/// # Errors
/// The process asks for what cannot be.
pub fn enter(
    spec: &Spec,
    wanted: &OciProcess,
    manner: Manner<'_>,
    host: &Host,
) -> Result<EnterPlan, PlanError> {
    let linux = spec.linux().as_ref();
    let namespaces = linux.and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
    let rights = Wanted {
        id: manner.id,
        default_seccomp: manner.bundle.is_none(),
        session_keyring: manner.session_keyring,
        user_namespace: namespaces.iter().any(|one| one.typ() == LinuxNamespaceType::User),
        bundle: manner.bundle,
        annotations: spec.annotations().as_ref(),
    };
    let mut security = security(wanted, linux, rights, host)?;
    if let Some(listener) = &mut security.listener {
        listener.state.set_status(ContainerState::Running).set_pid(Some(manner.first));
    }
    if let Some(keyring) = &mut security.keyring {
        // It is the first process's, who may do what with it.
        keyring.permissions = None;
    }
    let mut process = process(wanted, linux)?;
    process.own_streams = manner.bundle.is_some();
    process.keep_groups_as_annotated(spec);
    process.affinity = match Affinity::of(wanted.exec_cpu_affinity().as_ref())? {
        none if none == Affinity::default() && manner.bundle.is_some() => Affinity::of_the_cgroup(),
        wanted => wanted,
    };
    Ok(EnterPlan {
        process,
        security,
        dies_with_parent: manner.foreground,
        preserved_descriptors: manner.preserved,
        owns_mounts: namespaces.iter().any(is_new_mount_namespace),
    })
}

fn is_new_mount_namespace(namespace: &LinuxNamespace) -> bool {
    let path = namespace.path().as_ref().filter(|path| !path.as_os_str().is_empty());
    namespace.typ() == LinuxNamespaceType::Mount && path.is_none()
}
