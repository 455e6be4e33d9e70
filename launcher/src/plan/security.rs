//! What the program may ask of the kernel.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{ContainerState, Linux, LinuxSeccomp, Process as OciProcess, State};
use serde::{Deserialize, Serialize};

use super::{CapabilitySets, Keyring, Labels, PlanError, seccomp};
use crate::host::Host;
use crate::spec::OCI_VERSION;

/// What the program may ask of the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Security {
    /// Its capabilities.
    pub capabilities: CapabilitySets,
    /// Whether exec can never add privileges (`PR_SET_NO_NEW_PRIVS`).
    pub no_new_privs: bool,
    /// Its labels for the host's security modules.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Its session keyring; `None` keeps the launcher's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyring: Option<Keyring>,
    /// The system call filter; `None` for none.
    pub seccomp: Option<seccomp::Program>,
    /// Who is asked where the filter leaves the answer to somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<Listener>,
    /// Kernel parameters by their path below `/proc/sys`; each belongs to a namespace of the container's own.
    pub sysctls: BTreeMap<String, String>,
}

/// Who is asked about the calls for which a profile says `SCMP_ACT_NOTIFY` (`seccomp_unotify(2)`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Its socket on the host: `AF_UNIX`, `SOCK_STREAM`.
    pub path: PathBuf,
    /// What it is told besides the container's state.
    pub metadata: Option<String>,
    /// The container's state, as it will be told; who starts the process knows its pid.
    pub state: State,
    /// Whether any verdict is its to give. Otherwise it is only told of the container, if it is there.
    pub asked: bool,
}

/// What the specification does not say about a process's rights.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Whether a specification without a profile gets the default one.
    pub default_seccomp: bool,
    /// Whether the process gets the container's session keyring.
    pub session_keyring: bool,
    /// Whether the container has a user namespace.
    pub user_namespace: bool,
    /// The container's bundle; its annotations. A listener is told of both.
    pub bundle: Option<&'a Path>,
    /// See above.
    pub annotations: Option<&'a HashMap<String, String>>,
}

/// The rights of a process of a container; kernel parameters are none of a process's.
///
/// # Errors
///
/// A profile that cannot be compiled, a label that nothing enforces.
pub fn security(
    process: &OciProcess,
    linux: Option<&Linux>,
    wanted: Wanted<'_>,
    host: &Host,
) -> Result<Security, PlanError> {
    let capabilities = CapabilitySets::of(process.capabilities().as_ref());
    let given = linux.and_then(|linux| linux.seccomp().as_ref());
    let program = match given {
        Some(profile) => Some(seccomp::compile(profile)),
        None => wanted.default_seccomp.then(|| seccomp::default_program(capabilities.bounding)),
    };
    let mut program = program.transpose().map_err(PlanError::Seccomp)?;
    let notifies = program.as_ref().is_some_and(|program| program.notifies);
    let listener = given.map_or(Ok(None), |profile| listener(profile, notifies, wanted))?;
    if let Some(program) = &mut program {
        program.notifies = listener.is_some();
    }
    if let Some(program) = &program
        && !host.knows_seccomp_flags(program.kernel_flags())
    {
        return Err(PlanError::SeccompFlag(program.kernel_flags()));
    }
    Ok(Security {
        capabilities,
        no_new_privs: process.no_new_privileges().unwrap_or(false),
        labels: Labels::plan(
            process.apparmor_profile().as_ref(),
            process.selinux_label().as_ref(),
            || host.security_modules(),
        )?,
        keyring: wanted.session_keyring.then(|| Keyring::of(wanted.id, wanted.user_namespace)),
        seccomp: program,
        listener,
        sysctls: BTreeMap::new(),
    })
}

/// Where nothing is asked nobody is needed, but whoever is named waits for the container and is told of it, as by other runtimes.
fn listener(
    profile: &LinuxSeccomp,
    notifies: bool,
    wanted: Wanted<'_>,
) -> Result<Option<Listener>, PlanError> {
    let path = profile.listener_path().as_ref().filter(|path| !path.as_os_str().is_empty());
    let metadata = profile.listener_metadata().as_ref().filter(|text| !text.is_empty());
    match (path, notifies) {
        (None, _) if metadata.is_some() => {
            Err(PlanError::Listener("has metadata for a listener, and no listener"))
        }
        (None, true) => Err(PlanError::Listener("asks a listener, and has no listenerPath")),
        (Some(path), _) => {
            let mut state = State::default();
            state
                .set_version(OCI_VERSION.to_owned())
                .set_id(wanted.id.to_owned())
                .set_status(ContainerState::Creating)
                .set_bundle(wanted.bundle.map(Path::to_owned).unwrap_or_default())
                .set_annotations(wanted.annotations.cloned());
            let (path, metadata) = (path.clone(), metadata.cloned());
            Ok(Some(Listener { path, metadata, state, asked: notifies }))
        }
        (None, false) => Ok(None),
    }
}
