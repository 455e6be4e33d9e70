//! What can go wrong while a container starts: which step, on what, and why.

use common::escape::Escaped;
use common::report::{Diagnostic, ExitCode};
use rustix::io::Errno;

use super::step::{Failure, Step};
use crate::cgroup::CgroupError;

/// Why a container did not start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The launcher has more than one thread, so a forked child could find any lock held for ever.
    #[error("the launcher has {0} threads; a container can only be started from one")]
    Threads(usize),
    /// A step failed, in the launcher or in the child.
    #[error("cannot {step} `{object}`: {reason}")]
    Step {
        /// Which.
        step: Step,
        /// On what: a path inside, an option, a limit. Escaped.
        object: String,
        /// What the kernel's answer means here.
        reason: String,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The child died before it could say why (killed, or out of memory in its new cgroup).
    #[error("the container's first process died before its program started ({0})")]
    Died(String),
    /// The scope that the container's cgroup is cannot be made.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
}

impl From<Failure> for SpawnError {
    fn from(Failure { step, object, errno }: Failure) -> Self {
        let object = Escaped(object.as_bytes()).to_string();
        let reason = match (step, errno) {
            // Callers of OCI runtimes look for exactly these words.
            (Step::Find, Errno::NOENT) if object.contains('/') => {
                "no such file or directory".to_owned()
            }
            _ => reason(step, errno),
        };
        Self::Step { step, object, reason, errno }
    }
}

/// The kernel's answer in words, where its own would mislead.
fn reason(step: Step, errno: Errno) -> String {
    let text = match (step, errno) {
        // clone(2), unshare(2): "no space left on device" is what running into a limit of namespaces is called.
        (Step::Clone, Errno::NOSPC) => "too many namespaces",
        (Step::Clone, Errno::PERM) => "this user may not create these namespaces",
        (Step::Mount, Errno::PERM) => {
            "not permitted (a rule of the container's denies the device; or, in a user namespace, the file system needs one that is shared with the host, or parts of it are hidden on the host)"
        }
        (Step::Mount | Step::MountRoot | Step::Mask | Step::Readonly, Errno::NOSPC) => {
            "too many mounts (/proc/sys/fs/mount-max)"
        }
        (Step::MapMount, Errno::INVAL) => "its file system cannot map ids of a mount",
        (Step::MakeDevice, Errno::NXIO) => "the host has something else there",
        (Step::MakeMountPoint, Errno::LOOP) => "the image has links there, in a loop",
        // The end of it is what callers look for.
        (Step::KernelMountPoint, Errno::LOOP) => {
            "the image has links there, but a file system of the kernel must be mounted on ordinary directory"
        }
        (Step::MakeMountPoint | Step::KernelMountPoint, Errno::XDEV) => {
            "a link of the image leads to the root itself"
        }
        (Step::MakeMountPoint | Step::KernelMountPoint, Errno::NOTDIR) => {
            "the image has a file in the way"
        }
        (Step::MakeMountPoint | Step::KernelMountPoint, Errno::ROFS) => {
            "it is missing, and cannot be made on what is read-only"
        }
        (Step::Terminal, Errno::LOOP) => "the image has a link there",
        (Step::Remount, Errno::INVAL) => "nothing is mounted there",
        (Step::Mount, Errno::NODEV) => "this kernel has no such file system",
        (Step::MakeDevice, Errno::EXIST) => "something else is there",
        (Step::CopyUp, Errno::NOSPC) => "the file system in memory is too small for it (`size=`)",
        (Step::CopyUp, Errno::LOOP) => "folders are nested too deep there",
        (Step::Sysctl, Errno::NOSYS) => "the container has no procfs (a volume lies on /proc)",
        (Step::Pivot, Errno::XDEV) => "something is mounted on top of it",
        (Step::Interpreter, Errno::NOENT) => {
            "the file is there, but what it asks to be run by is not: the program of its `#!` line or its dynamic loader"
        }
        (Step::Find, Errno::NOENT) => "executable file not found in $PATH",
        (Step::Hook, Errno::CANCELED) => "it failed",
        (Step::Hook, Errno::TIMEDOUT) => "it took too long and was killed",
        (Step::JoinNamespace, Errno::INVAL) => {
            "it is no namespace of this kind, or cannot be joined by this process"
        }
        (Step::Start, Errno::CONNREFUSED | Errno::NOENT) => "its process 1 does not wait",
        (Step::Exec, Errno::NOEXEC) => {
            "not a program that this kernel can execute (of another architecture, or a script without `#!`)"
        }
        (Step::Exec, Errno::ACCESS) => {
            "permission denied (not executable, a folder, or on a noexec mount)"
        }
        _ => return errno.to_string(),
    };
    text.to_owned()
}

impl Diagnostic for SpawnError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Step { step, errno, .. } => hint(*step, *errno),
            Self::Died(_) => Some(
                "a memory limit that is too low for the start itself kills it there: see --memory"
                    .to_owned(),
            ),
            Self::Cgroup(error) => error.hint(),
            Self::Threads(_) => None,
        }
    }

    /// 127 where the program does not exist, 126 where it cannot be executed, 125 for anything else.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Step { step: Step::Find | Step::Interpreter, .. } => ExitCode::NotFound,
            Self::Step { step: Step::Exec, .. } => ExitCode::NotExecutable,
            _ => ExitCode::Launcher,
        }
    }
}

/// What the person can do about a failed step.
fn hint(step: Step, errno: Errno) -> Option<String> {
    let text = match (step, errno) {
        (Step::Clone, Errno::NOSPC) => {
            "the host's limit of namespaces is reached: see /proc/sys/user/max_*_namespaces"
        }
        (Step::Clone, Errno::PERM) => {
            "run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
        }
        (Step::Limit, Errno::PERM) => {
            "a hard limit cannot be raised above the launcher's own without CAP_SYS_RESOURCE"
        }
        (Step::MountRoot, Errno::INVAL | Errno::NODEV | Errno::PERM) => {
            "the file system of the store may not support this; --store moves it, --read-only avoids the overlay"
        }
        (Step::Listener, Errno::PERM) => {
            "this user may not take the listener from its own container: let the profile allow `sendmsg`"
        }
        (Step::Listener, _) => "is the seccomp agent running, and its socket at listenerPath?",
        (Step::Keyring, Errno::DQUOT) => {
            "the user has too many keys (/proc/sys/kernel/keys/maxkeys); --no-new-keyring does without"
        }
        (Step::Label, _) => "is the profile or policy loaded on this host?",
        (Step::Scheduler | Step::IoPriority, Errno::PERM) => {
            "real-time priorities, and those above the launcher's own, need CAP_SYS_NICE"
        }
        (Step::MemoryPolicy, Errno::NOSYS) => "this kernel is built without NUMA",
        (Step::Find, _) => "check the image's entrypoint, or name the program by its full path",
        _ => return None,
    };
    Some(text.to_owned())
}
