//! What profiles may say here, by the specification's names: for `paddle features`.

use oci_spec::runtime::{LinuxSeccompAction, LinuxSeccompFilterFlag, LinuxSeccompOperator};

use super::Architecture;

/// `SCMP_ACT_*`.
pub fn actions() -> Vec<String> {
    use LinuxSeccompAction as Action;
    names(&[
        Action::ScmpActAllow,
        Action::ScmpActErrno,
        Action::ScmpActKill,
        Action::ScmpActKillProcess,
        Action::ScmpActKillThread,
        Action::ScmpActLog,
        Action::ScmpActNotify,
        Action::ScmpActTrace,
        Action::ScmpActTrap,
    ])
}

/// `SCMP_CMP_*`.
pub fn operators() -> Vec<String> {
    use LinuxSeccompOperator as Operator;
    names(&[
        Operator::ScmpCmpEq,
        Operator::ScmpCmpGe,
        Operator::ScmpCmpGt,
        Operator::ScmpCmpLe,
        Operator::ScmpCmpLt,
        Operator::ScmpCmpMaskedEq,
        Operator::ScmpCmpNe,
    ])
}

/// `SCMP_ARCH_*` of this machine: those whose calls are judged. (Others may be listed, and have no effect.)
pub fn architectures() -> Vec<String> {
    let native = Architecture::native();
    let all = native.into_iter().flat_map(|native| [&[native], native.beside()].concat());
    all.map(|one| one.oci().to_string()).collect()
}

/// `SECCOMP_FILTER_FLAG_*` that a profile may have.
pub fn known_flags() -> Vec<String> {
    names(&FLAGS.map(|(flag, _)| flag))
}

/// Those of them that this kernel can do.
pub fn supported_flags() -> Vec<String> {
    let supported = FLAGS.iter().filter(|(_, number)| crate::sys::seccomp::knows(*number));
    supported.map(|(flag, _)| flag.to_string()).collect()
}

/// With what shows whether the kernel knows each. The last is for listeners only.
const FLAGS: [(LinuxSeccompFilterFlag, u32); 4] = [
    (LinuxSeccompFilterFlag::SeccompFilterFlagTsync, 1),
    (LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow, 1 << 2),
    (LinuxSeccompFilterFlag::SeccompFilterFlagLog, 1 << 1),
    (LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv, 1 << 5 | 1 << 3),
];

fn names<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(T::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_specifications() {
        assert!(actions().contains(&"SCMP_ACT_KILL_PROCESS".to_owned()), "{:?}", actions());
        assert!(operators().contains(&"SCMP_CMP_MASKED_EQ".to_owned()), "{:?}", operators());
        assert!(known_flags().contains(&"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV".to_owned()));
        let here = architectures();
        let native =
            if cfg!(target_arch = "x86_64") { "SCMP_ARCH_X86_64" } else { "SCMP_ARCH_AARCH64" };
        assert_eq!(here.first().map(String::as_str), Some(native));
        // Every kernel that paddle runs on has the first three.
        assert_eq!(supported_flags().get(..3), known_flags().get(..3));
        for name in actions() {
            let json = serde_json::Value::String(name);
            serde_json::from_value::<LinuxSeccompAction>(json).unwrap();
        }
    }
}
