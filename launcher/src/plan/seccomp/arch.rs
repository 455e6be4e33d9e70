//! The architectures that filters can be made for: their audit numbers and their tables of calls.

use std::str::FromStr as _;

use oci_spec::runtime::Arch;
use syscalls::{aarch64, arm, x86, x86_64};

/// An architecture whose system calls are known by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86, which a 64-bit kernel runs too.
    X86,
    /// 32-bit pointers in 64-bit mode; its calls have bit 30 set, and the audit number of x86-64.
    X32,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM (EABI), which a 64-bit kernel may run too.
    Arm,
}

/// Bit 30 of a number marks the x32 calls.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// The numbers of x32 that are its own (`arch/x86/entry/syscalls/syscall_64.tbl`, "x32"): where a structure differs from the
/// 64-bit one, the call of x86-64 does not exist for it.
const X32_OWN: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];
const X32_OWN_FIRST: u32 = 512;

/// The calls of x86-64 that x32 never had (the same table, "64").
const X32_MISSING: [&str; 11] = [
    "_sysctl",
    "create_module",
    "epoll_ctl_old",
    "epoll_wait_old",
    "get_kernel_syms",
    "get_thread_area",
    "nfsservctl",
    "query_module",
    "set_thread_area",
    "uselib",
    "vserver",
];

/// Calls of 32-bit ARM that no table of the kernel has (arch/arm/include/uapi/asm/unistd.h).
const ARM_PRIVATE: [(&str, u32); 6] = [
    ("breakpoint", 0xf_0001),
    ("cacheflush", 0xf_0002),
    ("usr26", 0xf_0003),
    ("usr32", 0xf_0004),
    ("set_tls", 0xf_0005),
    ("get_tls", 0xf_0006),
];

/// What comes behind one call with many meanings, by which meaning (linux/net.h, linux/ipc.h). The first argument says it.
const SOCKETCALL: [(&str, u64); 20] = [
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];
const IPC: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

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

    /// The specification's name for it.
    pub const fn oci(self) -> Arch {
        match self {
            Self::X86_64 => Arch::ScmpArchX86_64,
            Self::X86 => Arch::ScmpArchX86,
            Self::X32 => Arch::ScmpArchX32,
            Self::Aarch64 => Arch::ScmpArchAarch64,
            Self::Arm => Arch::ScmpArchArm,
        }
    }

    /// `AUDIT_ARCH_*` of `linux/audit.h`, which is what a filter sees.
    pub const fn audit_number(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// What else a kernel of this architecture runs.
    pub const fn beside(self) -> &'static [Self] {
        match self {
            Self::X86_64 => &[Self::X86, Self::X32],
            Self::Aarch64 => &[Self::Arm],
            Self::X86 | Self::X32 | Self::Arm => &[],
        }
    }

    /// Whether arguments are 64 bits wide. Of x32 the kernel looks at the lower halves, too, where they are numbers.
    pub(super) const fn wide(self) -> bool {
        matches!(self, Self::X86_64 | Self::Aarch64)
    }

    /// The number of a call; `None` where the architecture has no such call.
    pub fn number(self, name: &str) -> Option<u32> {
        match self {
            Self::X86_64 => known(x86_64::Sysno::from_str(name).ok()?.id()),
            // A keyword of Rust, and a call that no kernel has had since 1.0.
            Self::X86 if name == "break" => Some(17),
            Self::X86 => known(x86::Sysno::from_str(name).ok()?.id()),
            Self::X32 if X32_MISSING.contains(&name) => None,
            Self::X32 => match X32_OWN.iter().position(|own| *own == name) {
                Some(at) => Some(X32_BIT + X32_OWN_FIRST + u32::try_from(at).ok()?),
                None => Some(X32_BIT + Self::X86_64.number(name)?),
            },
            // libseccomp and the kernel's headers call 79 `newfstatat` on aarch64, our table `fstatat`.
            Self::Aarch64 if name == "newfstatat" => Some(79),
            Self::Aarch64 => known(aarch64::Sysno::from_str(name).ok()?.id())
                .filter(|&number| on_64_bits(number)),
            Self::Arm => match ARM_PRIVATE.iter().find(|(private, _)| *private == name) {
                Some(&(_, number)) => Some(number),
                None => known(arm::Sysno::from_str(name).ok()?.id()),
            },
        }
    }

    /// Where else a call can be asked for: a call that stands for many, and the first argument that means this one. The
    /// others are behind a pointer there.
    pub(super) fn multiplexed(self, name: &str) -> Option<(u32, u64)> {
        if self != Self::X86 {
            return None;
        }
        let among = |list: &[(&str, u64)]| {
            list.iter().find(|(one, _)| *one == name).map(|&(_, meaning)| meaning)
        };
        let (call, meaning) = match among(&SOCKETCALL) {
            Some(meaning) => ("socketcall", meaning),
            None => ("ipc", among(&IPC)?),
        };
        Some((self.number(call)?, meaning))
    }

    /// Whether a number lies beyond the table that grows with each kernel.
    pub(super) fn private(self, number: u32) -> bool {
        self == Self::Arm && number >= ARM_PRIVATE[0].1 - 1
    }

    /// The names and numbers of all calls that are known.
    pub fn calls(self) -> Vec<(&'static str, u32)> {
        let all: Vec<&'static str> = match self {
            Self::X86_64 | Self::X32 => x86_64::Sysno::iter().map(|one| one.name()).collect(),
            Self::X86 => {
                x86::Sysno::iter().map(|one| one.name().trim_start_matches("r#")).collect()
            }
            Self::Aarch64 => aarch64::Sysno::iter().map(|one| one.name()).collect(),
            Self::Arm => arm::Sysno::iter()
                .map(|one| one.name())
                .chain(ARM_PRIVATE.iter().map(|(name, _)| *name))
                .collect(),
        };
        all.into_iter().filter_map(|name| Some((name, self.number(name)?))).collect()
    }
}

fn known(number: i32) -> Option<u32> {
    u32::try_from(number).ok()
}

/// Our table has the calls with 64-bit times for aarch64 too; only 32-bit architectures have them (unistd.h,
/// `__ARCH_WANT_TIME32_SYSCALLS`).
fn on_64_bits(number: u32) -> bool {
    !(403..=423).contains(&number)
}
