//! The seccomp compiler: compiled programs are run by an interpreter and compared with a naive reading
//! of the profile (as JSON, as the runtime specification writes it) and with what libseccomp makes of it; the default
//! profile is compared with what Docker's denies; and filters are really loaded.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failure of a helper fails its test"
)]

mod compiler;
mod default;
mod kernel;
mod libseccomp;

use std::collections::HashMap;

use launcher::plan::seccomp::{Architecture, Program, SeccompError, compile_for};
use serde_json::Value;
use tests::cbpf::{self, Data};

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const X32: u32 = 0x4000_0000;

const BOTH: [Architecture; 2] = [Architecture::X86_64, Architecture::Aarch64];
/// What machines run, their own first, and the specification's words for the others.
const X86: [Architecture; 3] = [Architecture::X86_64, Architecture::X86, Architecture::X32];
const ARM: [Architecture; 2] = [Architecture::Aarch64, Architecture::Arm];
const OTHERS: [&str; 5] =
    ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64", "SCMP_ARCH_S390X"];

fn compile(profile: &Value, architecture: Architecture) -> Result<Program, SeccompError> {
    let profile = serde_json::from_value(profile.clone()).expect("a profile of the specification");
    compile_for(&profile, architecture)
}

fn ask(program: &Program, architecture: Architecture, number: u32, arguments: [u64; 6]) -> u32 {
    let architecture = architecture.audit_number();
    let data = Data { number, architecture, arguments, ..Data::default() };
    cbpf::run(&program.instructions, &data).0
}

/// The profile read rule by rule, as it is written, for calls of one architecture.
struct Naive<'a> {
    profile: &'a Value,
    architecture: Architecture,
    /// What the rules name, in the profile's order: its number, and, where that number stands for many calls, which
    /// first argument means it.
    rules: HashMap<u32, Vec<(Option<u64>, &'a Value)>>,
    newest: Option<u32>,
}

impl<'a> Naive<'a> {
    fn new(profile: &'a Value, architecture: Architecture) -> Self {
        let mut rules: HashMap<u32, Vec<_>> = HashMap::new();
        for rule in profile["syscalls"].as_array().into_iter().flatten() {
            for name in rule["names"].as_array().unwrap() {
                let name = name.as_str().unwrap();
                if let Some(number) = architecture.number(name) {
                    rules.entry(number).or_default().push((None, rule));
                }
                for (call, meanings) in MULTIPLEXED {
                    let meaning = meanings.iter().find(|(meant, _)| *meant == name);
                    if let (Architecture::X86, Some((_, meaning))) = (architecture, meaning) {
                        rules.entry(call).or_default().push((Some(*meaning), rule));
                    }
                }
            }
        }
        let newest = rules.keys().copied().filter(|number| !PRIVATE.contains(number)).max();
        Self { profile, architecture, rules, newest }
    }

    fn ask(&self, number: u32, arguments: [u64; 6]) -> u32 {
        let tests = |rule: &Value| rule["args"].as_array().cloned().unwrap_or_default();
        let rules = self.rules.get(&number).map_or(&[][..], Vec::as_slice);
        let plain = rules
            .iter()
            .find(|(meaning, rule)| meaning.is_none() && tests(rule).is_empty())
            .copied();
        // What is behind a call with many meanings comes after its own rules, and only where none of them is for all of it.
        let (own, behind): (Vec<_>, Vec<_>) =
            rules.iter().copied().partition(|(it, _)| it.is_none());
        let behind = if plain.is_some() { Vec::new() } else { behind };
        let hit = own.iter().chain(&behind).find(|(meaning, rule)| {
            let tests = tests(rule);
            let means = meaning.is_none_or(|meaning| arguments[0] & 0xffff_ffff == meaning);
            (meaning.is_some() || !tests.is_empty())
                && means
                && self.holds(&tests, meaning.is_some(), arguments)
        });
        if let Some((_, rule)) = hit.copied().or(plain) {
            return verdict(&rule["action"], &rule["errnoRet"]);
        }
        if self.architecture == Architecture::X86_64 && number >= X32 {
            return ENOSYS;
        }
        match self.newest {
            Some(newest) if self.refuses() && number > newest && rules.is_empty() => ENOSYS,
            _ => verdict(&self.profile["defaultAction"], &self.profile["defaultErrnoRet"]),
        }
    }

    /// Whether the profile names what is allowed, and refuses the rest.
    fn refuses(&self) -> bool {
        let default = self.profile["defaultAction"].as_str().unwrap();
        !["ALLOW", "LOG", "TRACE", "NOTIFY"].contains(&&default["SCMP_ACT_".len()..])
    }

    /// Whether the tests of a rule hold. Tests of one argument are alternatives; behind a call with many meanings the
    /// first argument is taken.
    fn holds(&self, tests: &[Value], taken: bool, arguments: [u64; 6]) -> bool {
        let narrow =
            matches!(self.architecture, Architecture::X86 | Architecture::X32 | Architecture::Arm);
        let half = |value: u64| if narrow { value & 0xffff_ffff } else { value };
        let index = |test: &Value| usize::try_from(test["index"].as_u64().unwrap()).unwrap();
        let one = |test: &Value| {
            let actual = half(arguments[index(test)]);
            let value = half(test["value"].as_u64().unwrap());
            match test["op"].as_str().unwrap() {
                "SCMP_CMP_NE" => actual != value,
                "SCMP_CMP_LT" => actual < value,
                "SCMP_CMP_LE" => actual <= value,
                "SCMP_CMP_EQ" => actual == value,
                "SCMP_CMP_GE" => actual >= value,
                "SCMP_CMP_GT" => actual > value,
                "SCMP_CMP_MASKED_EQ" => {
                    actual & value == half(test["valueTwo"].as_u64().unwrap_or(0))
                }
                other => panic!("{other}"),
            }
        };
        let repeated =
            tests.iter().any(|a| tests.iter().filter(|b| index(a) == index(b)).count() > 1);
        let mut holding = tests.iter().map(|test| (taken && index(test) == 0) || one(test));
        if repeated { holding.any(|holds| holds) } else { holding.all(|holds| holds) }
    }
}

/// socketcall and ipc of i386: their numbers, and what their first argument means (socketcall(2), ipc(2)).
const MULTIPLEXED: [(u32, &[(&str, u64)]); 2] = [
    (102, &[("socket", 1), ("connect", 3), ("accept", 5), ("sendto", 11), ("accept4", 18)]),
    (117, &[("semop", 1), ("semget", 2), ("msgget", 13), ("shmat", 21), ("shmctl", 24)]),
];

/// Calls of 32-bit ARM that are beyond the kernel's table.
const PRIVATE: [u32; 6] = [0xf_0001, 0xf_0002, 0xf_0003, 0xf_0004, 0xf_0005, 0xf_0006];

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
    let own = (0..560).chain(PRIVATE).chain([1023, 0xf_0000, 0xf_0007]);
    own.flat_map(|number| [number, number | X32]).chain([X32 - 1, u32::MAX - 1, u32::MAX])
}

/// A profile means on each of these architectures, as a machine of the first runs them, what its rules say.
fn agree(profile: &Value, architectures: &[Architecture], arguments: &[[u64; 6]]) {
    let machine = architectures[0];
    let program = compile(profile, machine).unwrap();
    for &architecture in architectures {
        let naive = Naive::new(profile, architecture);
        let with_x32 = architectures.contains(&Architecture::X32);
        for number in numbers() {
            // Which of the two that share an audit number a call is of.
            match architecture {
                Architecture::X86_64 if with_x32 && number >= X32 => continue,
                Architecture::X32 if number < X32 => continue,
                _ => {}
            }
            for &arguments in arguments {
                assert_eq!(
                    ask(&program, architecture, number, arguments),
                    naive.ask(number, arguments),
                    "{architecture:?} call {number} {arguments:x?}"
                );
            }
        }
    }
}
