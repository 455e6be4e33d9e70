//! Limits of a process, by name (getrlimit(2)).

use serde::{Deserialize, Serialize};

macro_rules! rlimits {
    ($($variant:ident = $name:literal => $kernel:ident),* $(,)?) => {
        /// What a limit is about (getrlimit(2)).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        #[expect(missing_docs, reason = "getrlimit(2) describes each")]
        pub enum RlimitKind { $($variant),* }

        impl RlimitKind {
            /// `nofile`, as in `--ulimit nofile=1024`, in any case.
            pub fn from_name(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($name) { return Some(Self::$variant); })*
                None
            }

            /// `nofile`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The kernel's number for it.
            pub(crate) fn kernel(self) -> rustix::process::Resource {
                match self { $(Self::$variant => rustix::process::Resource::$kernel),* }
            }
        }
    };
}

rlimits! {
    As = "as" => As, Core = "core" => Core, Cpu = "cpu" => Cpu, Data = "data" => Data, Fsize = "fsize" => Fsize,
    Locks = "locks" => Locks, Memlock = "memlock" => Memlock, Msgqueue = "msgqueue" => Msgqueue,
    Nice = "nice" => Nice, Nofile = "nofile" => Nofile, Nproc = "nproc" => Nproc, Rss = "rss" => Rss,
    Rtprio = "rtprio" => Rtprio, Rttime = "rttime" => Rttime, Sigpending = "sigpending" => Sigpending,
    Stack = "stack" => Stack,
}
