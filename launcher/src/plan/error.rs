//! Why a specification cannot be carried out on this host.

use common::escape::Escaped;
use common::report::{Diagnostic, ExitCode};
use common::tree::PathError;

use super::NamespaceKind;
use super::seccomp::SeccompError;
use crate::cgroup::CgroupError;
use crate::host::Kernel;

/// Why a specification cannot be carried out on this host.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Something that this kernel does not have, or that a filter around the launcher hides.
    #[error("this kernel ({running}) has no {feature}, which came with Linux {since}")]
    Kernel {
        /// What is missing.
        feature: &'static str,
        /// The first kernel that has it.
        since: Kernel,
        /// The kernel that runs.
        running: Kernel,
    },
    /// An ordinary user's container is possible only in a user namespace.
    #[error("an ordinary user needs a user namespace")]
    NeedsUserNamespace,
    /// The specification names no program.
    #[error("the specification has no process")]
    NoProcess,
    /// A path of the specification is none.
    #[error("the specification has an unusable path")]
    Path(#[source] PathError),
    /// A kind of namespace twice.
    #[error("the {0} namespace is given twice")]
    DuplicateNamespace(NamespaceKind),
    /// A namespace whose path depends on where the launcher is.
    #[error("the path `{}` of the {kind} namespace is not absolute", path.display())]
    NamespacePath {
        /// Of what kind.
        kind: NamespaceKind,
        /// The path.
        path: std::path::PathBuf,
    },
    /// Clocks cannot differ in the host's time namespace, or in one that exists.
    #[error("clock offsets need a new time namespace")]
    TimeOffsets,
    /// A clock that cannot differ, or an offset that is none.
    #[error("the offset of the clock `{0}` is unusable")]
    Clock(String),
    /// A name for the whole host.
    #[error("the host name `{0}` would change the host's: there is no uts namespace")]
    Hostname(String),
    /// A hook that cannot be run.
    #[error("a `{kind}` hook {problem}")]
    Hook {
        /// `prestart`, `createRuntime` ...
        kind: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A kind of limit that the kernel does not have.
    #[error("`{0}` is no resource limit")]
    Limit(String),
    /// A limit twice.
    #[error("the limit `{0}` is given twice")]
    DuplicateLimit(&'static str),
    /// An environment variable without a name.
    #[error("the environment variable `{}` has no name", Escaped(.0.as_bytes()))]
    Variable(String),
    /// A list of processors or nodes that is none.
    #[error("`{}` is no list of {what}", Escaped(.list.as_bytes()))]
    Numbers {
        /// `processors` ...
        what: &'static str,
        /// The list.
        list: String,
    },
    /// A scheduler that contradicts itself.
    #[error("the scheduler has {0}")]
    Scheduler(&'static str),
    /// An input and output priority that is none.
    #[error("`{0}` is no priority of input and output: 0 to 7")]
    IoPriority(i64),
    /// Nodes of memory where the policy has none, or none where it needs some.
    #[error("the memory policy {mode} takes {}", if *.needs { "at least one node" } else { "no nodes" })]
    MemoryNodes {
        /// `MPOL_*`.
        mode: String,
        /// Whether it needs some.
        needs: bool,
    },
    /// A flag of the execution domain.
    #[error("the personality's flag `{}` is not supported", Escaped(.0.as_bytes()))]
    Personality(String),
    /// A label that nothing enforces.
    #[error("the specification has a label for {0}, which is not enabled on this host")]
    SecurityModule(&'static str),
    /// A flag of the filter that this kernel does not know.
    #[error("this kernel does not know all flags of the seccomp profile ({0:#x})")]
    SeccompFlag(u32),
    /// A class of service that cannot be had.
    #[error("the container cannot have a class of service of Intel RDT: {0}")]
    Rdt(&'static str),
    /// Network devices that cannot be given to the container.
    #[error("the container cannot be given network devices: {0}")]
    NetworkDevices(&'static str),
    /// A name that no network device can have.
    #[error("`{}` is no name of a network device", Escaped(.0.as_bytes()))]
    NetworkDeviceName(String),
    /// A filter that asks a listener, and nobody to listen, or the other way round.
    #[error("the seccomp profile {0}")]
    Listener(&'static str),
    /// A mount without what its sort needs.
    #[error("the mount at `{destination}` {problem}")]
    Mount {
        /// Where.
        destination: common::tree::ImagePath,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A node that cannot be.
    #[error("the device `{path}` {problem}")]
    Device {
        /// Where.
        path: common::tree::ImagePath,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// `rootfsPropagation` is none of its words.
    #[error("`{}` is no way of propagation for the root", common::escape::Escaped(.0.as_bytes()))]
    Propagation(String),
    /// A kernel parameter that is not of a namespace of the container's own.
    #[error("the kernel parameter (sysctl) `{0}` is not one of a namespace of the container's own")]
    Sysctl(String),
    /// `domainname` and the kernel parameter of it differ.
    #[error(
        "the domain name is given twice, as `domainname` and as the kernel parameter (sysctl) `kernel.domainname`"
    )]
    TwoDomainNames,
    /// Nothing to map: the host gives this user no further ids, or root no range.
    #[error("user {uid} and group {gid} do not exist in this user namespace")]
    Unmapped {
        /// Inside.
        uid: u32,
        /// Inside.
        gid: u32,
    },
    /// Maps that leave out root, overlap, or run over.
    #[error("the id maps of the user namespace are unusable")]
    IdMaps,
    /// The cgroup cannot be planned.
    #[error(transparent)]
    Cgroup(CgroupError),
    /// The filter cannot be compiled.
    #[error("the seccomp profile is unusable")]
    Seccomp(#[source] SeccompError),
}

impl Diagnostic for PlanError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Cgroup(error) => return error.hint(),
            Self::Kernel { feature, since, running } if running >= since => format!(
                "a system call filter around paddle may hide {feature}; run paddle outside of that"
            ),
            Self::Kernel { feature, .. } if feature.starts_with("overlayfs") => {
                "use --read-only with an image that has all mount points, or a newer kernel".to_owned()
            }
            Self::Kernel { feature, .. } if feature.starts_with("mounting") => {
                "give it a mount namespace, or neither mounts nor paths that are masked or read-only".to_owned()
            }
            Self::Kernel { .. } => "paddle needs Linux 5.12 or newer".to_owned(),
            Self::Unmapped { .. } => {
                "run as user 0, or give your user ranges in /etc/subuid and /etc/subgid and install newuidmap and newgidmap".to_owned()
            }
            Self::Clock(_) => {
                "`monotonic` and `boottime` can differ, with nanoseconds below 1000000000".to_owned()
            }
            Self::Propagation(_) => {
                "shared, slave, private and unbindable are, and each with an r before it".to_owned()
            }
            Self::NeedsUserNamespace => "use --userns, or run as root".to_owned(),
            Self::Sysctl(_) => {
                "net.* needs a network namespace, kernel.msg*, kernel.sem, kernel.shm* and fs.mqueue.* an ipc namespace, user.* a user namespace; for the host name there is an option".to_owned()
            }
            Self::Variable(_) => "write NAME=VALUE".to_owned(),
            Self::Numbers { .. } => "write numbers and ranges with commas between: 0-3,7".to_owned(),
            Self::SecurityModule(_) => {
                "remove the label, or enable the module on the kernel's command line".to_owned()
            }
            _ => return None,
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Launcher
    }
}
