//! The architectures that filters can be made for: their audit numbers and their tables of calls.

use std::str::FromStr as _;

use oci_spec::runtime::Arch;

/// An architecture whose system calls are known by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Architecture {
    /// What this program was built for, which is what it runs on.
    pub const fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else {
            None
        }
    }

    /// `AUDIT_ARCH_*` of `linux/audit.h`, which is what a filter sees.
    pub const fn audit_number(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
        }
    }

    /// The number of a call; `None` where the architecture has no such call.
    pub fn number(self, name: &str) -> Option<u32> {
        // libseccomp and the kernel's headers call 79 `newfstatat` on aarch64, our table `fstatat`.
        let name = match (self, name) {
            (Self::Aarch64, "newfstatat") => "fstatat",
            _ => name,
        };
        let number = match self {
            Self::X86_64 => syscalls::x86_64::Sysno::from_str(name).ok()?.id(),
            Self::Aarch64 => syscalls::aarch64::Sysno::from_str(name).ok()?.id(),
        };
        u32::try_from(number).ok()
    }

    /// The names and numbers of all calls that are known.
    pub fn calls(self) -> Vec<(&'static str, u32)> {
        let known = |name, number: i32| Some((name, u32::try_from(number).ok()?));
        match self {
            Self::X86_64 => {
                syscalls::x86_64::Sysno::iter().filter_map(|n| known(n.name(), n.id())).collect()
            }
            Self::Aarch64 => {
                syscalls::aarch64::Sysno::iter().filter_map(|n| known(n.name(), n.id())).collect()
            }
        }
    }

    /// Whether a profile names an instruction set, other than our own, that the same kernel also runs.
    pub(super) fn runs_beside(self, other: Arch) -> bool {
        match self {
            Self::X86_64 => matches!(other, Arch::ScmpArchX86 | Arch::ScmpArchX32),
            Self::Aarch64 => matches!(other, Arch::ScmpArchArm),
        }
    }
}
