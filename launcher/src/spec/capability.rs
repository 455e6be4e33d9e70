//! Capabilities: names, sets, and Docker's default set (capabilities(7)).

use oci_spec::runtime::Capability as OciCapability;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! capabilities {
    ($($variant:ident = $number:literal $oci:ident),* $(,)?) => {
        /// One capability, by its number in the kernel's interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(non_camel_case_types, reason = "the kernel's own names")]
        #[expect(missing_docs, reason = "capabilities(7) describes each; a copy here would only age")]
        #[repr(u8)]
        pub enum Capability { $($variant = $number),* }

        impl Capability {
            /// All that this program knows, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// `CAP_CHOWN`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => concat!("CAP_", stringify!($variant))),* }
            }

            /// As a specification has it.
            pub fn to_oci(self) -> OciCapability {
                match self { $(Self::$variant => OciCapability::$oci),* }
            }

            /// From a specification.
            pub fn from_oci(oci: OciCapability) -> Self {
                match oci { $(OciCapability::$oci => Self::$variant),* }
            }
        }
    };
}

capabilities! {
    CHOWN = 0 Chown, DAC_OVERRIDE = 1 DacOverride, DAC_READ_SEARCH = 2 DacReadSearch,
    FOWNER = 3 Fowner, FSETID = 4 Fsetid, KILL = 5 Kill, SETGID = 6 Setgid, SETUID = 7 Setuid,
    SETPCAP = 8 Setpcap, LINUX_IMMUTABLE = 9 LinuxImmutable, NET_BIND_SERVICE = 10 NetBindService,
    NET_BROADCAST = 11 NetBroadcast, NET_ADMIN = 12 NetAdmin, NET_RAW = 13 NetRaw,
    IPC_LOCK = 14 IpcLock, IPC_OWNER = 15 IpcOwner, SYS_MODULE = 16 SysModule,
    SYS_RAWIO = 17 SysRawio, SYS_CHROOT = 18 SysChroot, SYS_PTRACE = 19 SysPtrace,
    SYS_PACCT = 20 SysPacct, SYS_ADMIN = 21 SysAdmin, SYS_BOOT = 22 SysBoot, SYS_NICE = 23 SysNice,
    SYS_RESOURCE = 24 SysResource, SYS_TIME = 25 SysTime, SYS_TTY_CONFIG = 26 SysTtyConfig,
    MKNOD = 27 Mknod, LEASE = 28 Lease, AUDIT_WRITE = 29 AuditWrite,
    AUDIT_CONTROL = 30 AuditControl, SETFCAP = 31 Setfcap, MAC_OVERRIDE = 32 MacOverride,
    MAC_ADMIN = 33 MacAdmin, SYSLOG = 34 Syslog, WAKE_ALARM = 35 WakeAlarm,
    BLOCK_SUSPEND = 36 BlockSuspend, AUDIT_READ = 37 AuditRead, PERFMON = 38 Perfmon, BPF = 39 Bpf,
    CHECKPOINT_RESTORE = 40 CheckpointRestore,
}

impl Capability {
    /// A name, in any case, with or without `CAP_`.
    pub fn from_name(text: &str) -> Option<Self> {
        let upper = text.to_ascii_uppercase();
        let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
        Self::ALL.iter().copied().find(|one| one.name().strip_prefix("CAP_") == Some(short))
    }
}

/// A set of capabilities: bit `n` is capability `n`. Serialised as a list of names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// Nothing.
    pub const EMPTY: Self = Self(0);

    /// What Docker leaves to a container (moby, `oci/caps/defaults.go`): what a daemon that starts
    /// as root and drops to a user needs, and nothing that reaches the host.
    pub const DOCKER: Self = Self::of(&[
        Capability::CHOWN,
        Capability::DAC_OVERRIDE,
        Capability::FSETID,
        Capability::FOWNER,
        Capability::MKNOD,
        Capability::NET_RAW,
        Capability::SETGID,
        Capability::SETUID,
        Capability::SETFCAP,
        Capability::SETPCAP,
        Capability::NET_BIND_SERVICE,
        Capability::SYS_CHROOT,
        Capability::KILL,
        Capability::AUDIT_WRITE,
    ]);

    /// Exactly these.
    pub const fn of(list: &[Capability]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < list.len() {
            bits |= 1 << (list[index] as u8);
            index += 1;
        }
        Self(bits)
    }

    /// From the kernel's bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The kernel's bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Every capability that this program knows.
    pub const fn all() -> Self {
        Self::of(Capability::ALL)
    }

    /// Both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it is in the set.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << (capability as u8)) != 0
    }

    /// Those in the set, by number.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.iter().copied().filter(move |&capability| self.contains(capability))
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(all: I) -> Self {
        all.into_iter().fold(Self::EMPTY, |set, one| set.union(Self::of(&[one])))
    }
}

impl Serialize for CapabilitySet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Capability::name))
    }
}

impl<'de> Deserialize<'de> for CapabilitySet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .map(|name| {
                Capability::from_name(name).ok_or_else(|| {
                    serde::de::Error::custom(format!(
                        "unknown capability `{}`",
                        name.escape_debug()
                    ))
                })
            })
            .collect()
    }
}
