//! Steps on the way to a running program, and what is known of one that failed.

use std::fmt::{self, Display};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

macro_rules! steps {
    ($($variant:ident = $text:literal),* $(,)?) => {
        /// A step on the way from a plan to a running program, named so that `cannot <step> <object>` reads well.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "each variant's text is its description")]
        #[repr(u8)]
        pub enum Step { $($variant),* }

        impl Step {
            /// All, in the order of their numbers.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        impl fmt::Display for Step {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),* })
            }
        }
    };
}

steps! {
    Prepare = "prepare",
    Protect = "keep out of containers' reach",
    Clone = "create namespaces",
    MapIds = "map ids of",
    MapMount = "show with mapped ids",
    JoinNamespace = "join namespace",
    JoinCgroup = "join cgroup",
    Clocks = "set the clocks of",
    Hook = "run hook",
    Propagation = "make mounts private in",
    OpenSource = "open",
    MountRoot = "mount the root from",
    MakeMountPoint = "make mount point",
    KernelMountPoint = "make mount point",
    Mount = "mount",
    Remount = "remount",
    CopyUp = "copy what is at",
    Link = "make link",
    MakeDevice = "make device",
    Mask = "hide",
    Readonly = "make read-only",
    Pivot = "enter the new root",
    Hostname = "set host name",
    Network = "bring up network device",
    FindDevice = "find network device",
    MoveDevice = "move network device",
    Address = "give an address to network device",
    Sysctl = "set kernel parameter",
    Terminal = "set up terminal",
    Limit = "set limit",
    Scheduler = "set scheduling policy",
    IoPriority = "set priority of input and output",
    MemoryPolicy = "set memory policy",
    Personality = "set personality",
    Affinity = "set processors of",
    Keyring = "join session keyring",
    Label = "set label",
    OomScore = "set oom_score_adj to",
    WorkDir = "enter working directory",
    Credentials = "become user",
    Capabilities = "set capabilities",
    NoNewPrivs = "set no_new_privs for",
    Seccomp = "load the seccomp filter for",
    Listener = "give the seccomp listener to",
    Descriptors = "close descriptors",
    Init = "start process 1 for",
    Find = "find program",
    Interpreter = "find the interpreter of",
    Exec = "execute",
    Start = "start",
}

/// A step that failed in the child: what it was doing, on what, and the kernel's answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) object: String,
    pub(super) errno: Errno,
}

/// The result of a step.
pub(super) type Done<T = ()> = Result<T, Failure>;

/// Gives an error of the kernel its step and object.
pub(super) trait At<T> {
    fn at(self, step: Step, object: impl Display) -> Done<T>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, step: Step, object: impl Display) -> Done<T> {
        self.map_err(|errno| Failure { step, object: object.to_string(), errno })
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, step: Step, object: impl Display) -> Done<T> {
        self.map_err(|error| Failure {
            step,
            object: object.to_string(),
            errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
        })
    }
}
