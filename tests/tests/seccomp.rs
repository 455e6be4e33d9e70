//! The seccomp compiler: compiled programs are run by an interpreter and compared with a naive reading
//! of the profile (as JSON, as the runtime specification writes it); the default profile is compared
//! with what Docker's denies; and filters are really loaded.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failure of a helper fails its test"
)]

use std::collections::HashMap;

use launcher::plan::seccomp::{
    Architecture, MAX_LENGTH, Program, SeccompError, compile_for, default_profile,
};
use launcher::spec::{Capability, CapabilitySet};
use proptest::prelude::*;
use serde_json::{Value, json};
use tests::cbpf::{self, Data};

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const X32: u32 = 0x4000_0000;

const BOTH: [Architecture; 2] = [Architecture::X86_64, Architecture::Aarch64];

fn compile(profile: &Value, architecture: Architecture) -> Result<Program, SeccompError> {
    let profile = serde_json::from_value(profile.clone()).expect("a profile of the specification");
    compile_for(&profile, architecture)
}

fn ask(program: &Program, architecture: Architecture, number: u32, arguments: [u64; 6]) -> u32 {
    let architecture = architecture.audit_number();
    let data = Data { number, architecture, arguments, ..Data::default() };
    cbpf::run(&program.instructions, &data).0
}

/// The profile read rule by rule, as it is written.
struct Naive<'a> {
    profile: &'a Value,
    architecture: Architecture,
    /// The rules that name each number, in the profile's order.
    rules: HashMap<u32, Vec<&'a Value>>,
}

impl<'a> Naive<'a> {
    fn new(profile: &'a Value, architecture: Architecture) -> Self {
        let calls: HashMap<_, _> = architecture.calls().into_iter().collect();
        let mut rules: HashMap<u32, Vec<&Value>> = HashMap::new();
        for rule in profile["syscalls"].as_array().into_iter().flatten() {
            for name in rule["names"].as_array().unwrap() {
                let name = name.as_str().unwrap();
                let name = if name == "newfstatat" { "fstatat" } else { name };
                let number =
                    calls.get(name).or(calls.get("newfstatat").filter(|_| name == "fstatat"));
                if let Some(&number) = number {
                    rules.entry(number).or_default().push(rule);
                }
            }
        }
        Self { profile, architecture, rules }
    }

    fn ask(&self, number: u32, arguments: [u64; 6]) -> u32 {
        let tested = |rule: &Value| rule["args"].as_array().is_some_and(|args| !args.is_empty());
        let rules = self.rules.get(&number).map_or(&[][..], Vec::as_slice);
        let hit = rules.iter().find(|rule| tested(rule) && holds(&rule["args"], arguments));
        if let Some(rule) = hit.or(rules.iter().find(|rule| !tested(rule))) {
            return verdict(&rule["action"], &rule["errnoRet"]);
        }
        if self.architecture == Architecture::X86_64 && number >= X32 {
            return ENOSYS;
        }
        let default = self.profile["defaultAction"].as_str().unwrap();
        let refuses = !["ALLOW", "LOG", "TRACE", "NOTIFY"].contains(&&default["SCMP_ACT_".len()..]);
        match self.rules.keys().max() {
            Some(&newest) if refuses && number > newest => ENOSYS,
            _ => verdict(&self.profile["defaultAction"], &self.profile["defaultErrnoRet"]),
        }
    }
}

fn holds(args: &Value, arguments: [u64; 6]) -> bool {
    let args = args.as_array().expect("args");
    let index = |arg: &Value| usize::try_from(arg["index"].as_u64().unwrap()).unwrap();
    let one = |arg: &Value| {
        let (actual, value) = (arguments[index(arg)], arg["value"].as_u64().unwrap());
        match arg["op"].as_str().unwrap() {
            "SCMP_CMP_NE" => actual != value,
            "SCMP_CMP_LT" => actual < value,
            "SCMP_CMP_LE" => actual <= value,
            "SCMP_CMP_EQ" => actual == value,
            "SCMP_CMP_GE" => actual >= value,
            "SCMP_CMP_GT" => actual > value,
            "SCMP_CMP_MASKED_EQ" => actual & value == arg["valueTwo"].as_u64().unwrap_or(0),
            other => panic!("{other}"),
        }
    };
    let repeated = args.iter().any(|a| args.iter().filter(|b| index(a) == index(b)).count() > 1);
    if repeated { args.iter().any(one) } else { args.iter().all(one) }
}

fn verdict(action: &Value, errno: &Value) -> u32 {
    let errno = errno.as_u64().map_or(1, |errno| u32::try_from(errno).unwrap());
    match action.as_str().unwrap() {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => KILL_PROCESS,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_ERRNO" => 0x0005_0000 | errno,
        "SCMP_ACT_NOTIFY" => 0x7fc0_0000,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 | errno,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_ALLOW" => ALLOW,
        other => panic!("{other}"),
    }
}

/// Every number that any architecture uses, the gaps between, and the ends of the range.
fn numbers() -> impl Iterator<Item = u32> {
    (0..520).chain([1023, X32 - 1, X32, X32 + 5, u32::MAX - 1, u32::MAX])
}

fn agree(profile: &Value, architecture: Architecture, arguments: &[[u64; 6]]) {
    let program = compile(profile, architecture).unwrap();
    let naive = Naive::new(profile, architecture);
    for number in numbers() {
        for &arguments in arguments {
            assert_eq!(
                ask(&program, architecture, number, arguments),
                naive.ask(number, arguments),
                "{architecture:?} call {number} {arguments:x?}"
            );
        }
    }
}

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
            agree(&profile, architecture, &arguments);
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
fn calls_of_other_instruction_sets_are_refused() {
    let program =
        compile_for(&default_profile(CapabilitySet::all()), Architecture::X86_64).unwrap();
    // exit of i386, whose number is write's on x86-64.
    let i386 = Data { number: 1, architecture: 0x4000_0003, ..Data::default() };
    assert_eq!(cbpf::run(&program.instructions, &i386).0, KILL_PROCESS);
    assert_eq!(ask(&program, Architecture::X86_64, X32 | 1, [0; 6]), ENOSYS);
    // A profile that lists it was written with a runtime in mind that compiles for it.
    let listed = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"]});
    let program = compile(&listed, Architecture::X86_64).unwrap();
    assert_eq!(cbpf::run(&program.instructions, &i386).0, ENOSYS);
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

/// A profile in which no two neighbours are alike, with tests that make the program long.
fn long_profile(tests: u64) -> Value {
    let rules: Vec<Value> = Architecture::X86_64
        .calls()
        .iter()
        .flat_map(|&(name, number)| {
            (0..tests).map(move |n| {
                json!({"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 + number,
                       "args": [{"index": 0, "value": u64::from(number) + (n << 33), "op": "SCMP_CMP_EQ"}]})
            })
        })
        .collect();
    json!({"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": rules})
}

#[test]
fn jumps_reach_farther_than_255_instructions() {
    let profile = long_profile(1);
    let program = compile(&profile, Architecture::X86_64).unwrap();
    assert!(program.instructions.len() > 2000, "{}", program.instructions.len());
    let arguments: Vec<[u64; 6]> =
        [0, 1, 2, 59, 59 + (1 << 33), 231, 334, 450].map(|n| [n; 6]).into();
    agree(&profile, Architecture::X86_64, &arguments);
    let program = compile(&profile, Architecture::X86_64).unwrap();
    for (_, number) in Architecture::X86_64.calls() {
        let verdict = ask(&program, Architecture::X86_64, number, [u64::from(number); 6]);
        assert_eq!(verdict, 0x0005_0000 | (1 + number));
    }
}

#[test]
fn a_profile_that_the_kernel_would_refuse_is_refused() {
    let x86 = Architecture::X86_64;
    assert!(matches!(
        compile(&long_profile(4), x86),
        Err(SeccompError::TooLong(length)) if length > MAX_LENGTH
    ));
    let rule = |extra: Value| {
        let mut rule = json!({"names": ["read"], "action": "SCMP_ACT_ERRNO"});
        rule.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        compile(&json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}), x86)
    };
    assert_eq!(rule(json!({"errnoRet": 4096})), Err(SeccompError::Errno(4096)));
    assert!(matches!(
        rule(json!({"action": "SCMP_ACT_ALLOW", "errnoRet": 1})),
        Err(SeccompError::ErrnoWithoutErrno(_))
    ));
    assert_eq!(
        rule(json!({"args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]})),
        Err(SeccompError::Argument { name: "read".into(), index: 6 })
    );
}

#[test]
fn a_listener_is_asked_for_only_where_a_rule_notifies() {
    let profile = |action| {
        json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [{"names": ["mkdir"], "action": action}]})
    };
    let program = compile(&profile("SCMP_ACT_NOTIFY"), Architecture::X86_64).unwrap();
    assert!(program.notifies);
    assert_eq!(program.flags, 2);
    assert!(!compile(&profile("SCMP_ACT_TRAP"), Architecture::X86_64).unwrap().notifies);
}

/// Loads the filter of these capabilities into a thread of its own (a filter belongs to a thread, and
/// ends with it), and asks the kernel there.
fn under_filter<T: Send>(capabilities: CapabilitySet, ask: impl FnOnce() -> T + Send) -> T {
    let program = launcher::plan::seccomp::compile(&default_profile(capabilities)).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            launcher::sys::seccomp::Filter::from(&program).load().unwrap();
            ask()
        });
        thread.join().unwrap()
    })
}

#[test]
fn the_kernel_takes_the_default_filter_and_does_as_it_says() {
    use rustix::io::Errno;
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("f")).unwrap();
    let (chroot, ordinary, status, unshare) = under_filter(CapabilitySet::EMPTY, || {
        // Each fails in its own way without a filter: ENOENT, ENOTTY, success.
        let chroot = rustix::process::chroot("/no/such/folder").unwrap_err();
        let ordinary = rustix::termios::tcgetattr(&file).unwrap_err();
        let status = std::fs::read("/proc/thread-self/status").unwrap();
        let unshare = nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS);
        (chroot, ordinary, status, unshare)
    });
    assert_eq!(chroot, Errno::PERM);
    assert_eq!(ordinary, Errno::NOTTY);
    assert!(String::from_utf8(status).unwrap().contains("NoNewPrivs:\t1"));
    assert_eq!(unshare, Err(nix::errno::Errno::EPERM));
    let allowed = under_filter(CapabilitySet::of(&[Capability::SYS_CHROOT]), || {
        rustix::process::chroot("/no/such/folder").unwrap_err()
    });
    assert_eq!(allowed, Errno::NOENT);
}

#[test]
fn the_kernel_takes_a_program_with_far_jumps() {
    let mut profile = long_profile(1);
    profile["defaultAction"] = json!("SCMP_ACT_ALLOW");
    let architecture = Architecture::native().unwrap();
    if architecture != Architecture::X86_64 {
        tests::require::skip(format_args!("needs x86-64"));
        return;
    }
    // Its errors are for calls whose first argument is their own number; reading from the descriptor 0
    // is such a call (number 0), anything else goes on.
    let program = compile(&profile, architecture).unwrap();
    let read = std::thread::spawn(move || {
        rustix::thread::set_no_new_privs(true).unwrap();
        launcher::sys::seccomp::Filter::from(&program).load().unwrap();
        nix::unistd::read(std::io::stdin(), &mut [0; 0])
    });
    assert_eq!(read.join().unwrap(), Err(nix::errno::Errno::EPERM));
}

/// Values around which comparisons turn, in both halves.
fn value() -> impl Strategy<Value = u64> {
    let half = prop_oneof![
        Just(0_u64),
        Just(1),
        Just(2),
        Just(0x7fff_ffff),
        Just(0x8000_0000),
        Just(0xffff_ffff)
    ];
    (half.clone(), half).prop_map(|(high, low)| high << 32 | low)
}

prop_compose! {
    fn argument()(
        index in 0..6, value in value(), two in value(),
        op in prop::sample::select(vec!["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]),
    ) -> Value {
        json!({"index": index, "value": value, "valueTwo": two, "op": format!("SCMP_CMP_{op}")})
    }
}

prop_compose! {
    fn rule()(
        names in prop::collection::vec(
            prop::sample::select(vec!["read", "write", "open", "close", "dup2", "clone", "statx", "no_such"]), 1..4),
        action in prop::sample::select(vec!["ALLOW", "ERRNO", "TRAP", "LOG", "KILL_PROCESS", "KILL", "TRACE"]),
        args in prop::collection::vec(argument(), 0..4),
    ) -> Value {
        json!({"names": names, "action": format!("SCMP_ACT_{action}"), "args": args})
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_profile_compiles_to_what_its_rules_say(
        default in prop::sample::select(vec!["ALLOW", "ERRNO", "KILL", "LOG"]),
        rules in prop::collection::vec(rule(), 0..12),
        arguments in prop::collection::vec(prop::array::uniform6(value()), 1..6),
    ) {
        let profile = json!({"defaultAction": format!("SCMP_ACT_{default}"), "syscalls": rules});
        let program = compile(&profile, Architecture::X86_64).unwrap();
        let naive = Naive::new(&profile, Architecture::X86_64);
        for number in [0, 1, 2, 3, 4, 33, 56, 332, 333, 400] {
            for &arguments in &arguments {
                let verdict = ask(&program, Architecture::X86_64, number, arguments);
                prop_assert_eq!(verdict, naive.ask(number, arguments));
            }
        }
    }
}
