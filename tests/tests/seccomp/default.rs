//! The default profile, compared with what its rules say and with what Docker's denies.

use launcher::plan::seccomp::{Architecture, compile_for, default_profile};
use launcher::spec::{Capability, CapabilitySet};
use tests::cbpf::{self, Data};

use super::{ALLOW, BOTH, ENOSYS, EPERM, KILL_PROCESS, X32, agree, ask, numbers};

fn capability_sets() -> [CapabilitySet; 4] {
    [
        CapabilitySet::EMPTY,
        CapabilitySet::DOCKER,
        CapabilitySet::of(&[Capability::SYS_ADMIN, Capability::BPF]),
        CapabilitySet::all(),
    ]
}

#[test]
fn the_default_profile_compiles_to_what_its_rules_say() {
    let interesting =
        [0, 1, 8, 38, 39, 40, 41, 0x5412, 0x541c, 0x1000_0000, 0x1_0000_0026, u64::MAX];
    let arguments: Vec<[u64; 6]> = interesting
        .iter()
        .map(|&n| [n, n, 0, 0, 0, 0])
        .chain([[0x2_0008, 7, 0, 0, 0, 0]])
        .collect();
    for architecture in BOTH {
        for capabilities in capability_sets() {
            let profile = serde_json::to_value(default_profile(capabilities)).unwrap();
            agree(&profile, &[architecture], &arguments);
        }
    }
}

#[test]
fn the_default_profile_denies_what_dockers_denies() {
    let docker = CapabilitySet::DOCKER;
    let admin = docker.union(CapabilitySet::of(&[Capability::SYS_ADMIN]));
    let with = |capability| docker.union(CapabilitySet::of(&[capability]));
    let rows: &[(CapabilitySet, &str, &[u64], u32)] = &[
        (docker, "read", &[], ALLOW),
        (docker, "execve", &[], ALLOW),
        (docker, "chroot", &[], ALLOW),
        (CapabilitySet::EMPTY, "chroot", &[], EPERM),
        (docker, "ptrace", &[], ALLOW),
        (docker, "mount", &[], EPERM),
        (admin, "mount", &[], ALLOW),
        (docker, "unshare", &[0x1000_0000], EPERM),
        (docker, "setns", &[], EPERM),
        (docker, "clone", &[0x0120_0011], ALLOW),
        (docker, "clone", &[0x1000_0011], EPERM),
        (docker, "clone", &[0x0200_0011], EPERM),
        (admin, "clone", &[0x1000_0011], ALLOW),
        (docker, "clone3", &[], ENOSYS),
        (admin, "clone3", &[], ALLOW),
        (docker, "socket", &[2], ALLOW),
        (docker, "socket", &[16], ALLOW),
        (docker, "socket", &[39], ALLOW),
        (docker, "socket", &[38], EPERM),
        (docker, "socket", &[40], EPERM),
        (docker, "socket", &[0x1_0000_0028], EPERM),
        (docker, "socket", &[0xffff_ffff_0000_0026], EPERM),
        (docker, "ioctl", &[0, 0x5401], ALLOW),
        (docker, "ioctl", &[0, 0x5412], EPERM),
        (docker, "ioctl", &[0, 0x1_0000_5412], EPERM),
        (docker, "ioctl", &[0, 0x541c], EPERM),
        (admin, "ioctl", &[0, 0x5412], EPERM),
        (docker, "personality", &[0xffff_ffff], ALLOW),
        (docker, "personality", &[0x0004_0000], EPERM),
        (docker, "keyctl", &[], EPERM),
        (docker, "io_uring_setup", &[], EPERM),
        (docker, "userfaultfd", &[], EPERM),
        (docker, "kexec_load", &[], EPERM),
        (docker, "bpf", &[], EPERM),
        (with(Capability::BPF), "bpf", &[], ALLOW),
        (with(Capability::SYSLOG), "syslog", &[], ALLOW),
        (with(Capability::SYS_TIME), "settimeofday", &[], ALLOW),
        (docker, "settimeofday", &[], EPERM),
        (docker, "pivot_root", &[], EPERM),
        (docker, "newfstatat", &[], ALLOW),
        (docker, "open_tree_attr", &[], ENOSYS),
    ];
    for architecture in BOTH {
        for &(capabilities, name, given, expected) in rows {
            let program = compile_for(&default_profile(capabilities), architecture).unwrap();
            let number = architecture.number(name).expect(name);
            let mut arguments = [0; 6];
            arguments[..given.len()].copy_from_slice(given);
            let verdict = ask(&program, architecture, number, arguments);
            assert_eq!(verdict, expected, "{architecture:?} {name} {given:x?}");
        }
    }
}

#[test]
fn every_call_of_today_is_judged_and_later_ones_do_not_exist() {
    for architecture in BOTH {
        let program = compile_for(&default_profile(CapabilitySet::all()), architecture).unwrap();
        for (name, number) in architecture.calls() {
            let verdict = ask(&program, architecture, number, [u64::MAX; 6]);
            assert_eq!(verdict == ENOSYS, number > 466, "{architecture:?} {name}");
        }
        assert_eq!(ask(&program, architecture, 600, [0; 6]), ENOSYS);
    }
}

#[test]
fn any_call_is_decided_within_32_instructions() {
    for architecture in BOTH {
        let program = compile_for(&default_profile(CapabilitySet::DOCKER), architecture).unwrap();
        assert!(program.instructions.len() < 400, "{}", program.instructions.len());
        for number in numbers() {
            let architecture = architecture.audit_number();
            let data = Data { number, architecture, arguments: [3; 6], ..Data::default() };
            let (_, steps) = cbpf::run(&program.instructions, &data);
            assert!(steps <= 32, "call {number} takes {steps}");
        }
    }
}

#[test]
fn by_default_other_instruction_sets_are_refused() {
    let program =
        compile_for(&default_profile(CapabilitySet::all()), Architecture::X86_64).unwrap();
    // exit of i386, whose number is write's on x86-64.
    let i386 = Data { number: 1, architecture: 0x4000_0003, ..Data::default() };
    assert_eq!(cbpf::run(&program.instructions, &i386).0, KILL_PROCESS);
    assert_eq!(ask(&program, Architecture::X86_64, X32 | 1, [0; 6]), ENOSYS);
}
