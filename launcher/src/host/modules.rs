//! Which security modules of the host enforce labels.

use rustix::fs::statfs;

/// Whether each is in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecurityModules {
    /// `AppArmor`.
    pub apparmor: bool,
    /// `SELinux`.
    pub selinux: bool,
}

/// `SELINUX_MAGIC` of linux/magic.h.
const SELINUX_MAGIC: u64 = 0xf97c_ff8c;

impl SecurityModules {
    /// This host's: a module is in force when it shows its interface.
    pub fn probe() -> Self {
        let parameter = std::fs::read("/sys/module/apparmor/parameters/enabled");
        let magic = statfs("/sys/fs/selinux").map(|stat| stat.f_type);
        Self {
            apparmor: parameter.is_ok_and(|value| value.starts_with(b"Y")),
            selinux: magic.is_ok_and(|magic| magic.unsigned_abs() & 0xffff_ffff == SELINUX_MAGIC),
        }
    }
}
