//! The same profiles given to libseccomp, in the way in which runtimes that use it do, and both programs asked the same.
//!
//! They differ where that is meant: what libseccomp does with rules that contradict each other depends on how it merges
//! trees (a rule without tests makes it forget the tests of earlier ones), here the first rule whose tests hold decides;
//! and a call that is newer than the profile is ENOSYS here, which those runtimes add to its programs by themselves.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use launcher::plan::seccomp::{Architecture, Instruction, default_profile};
use launcher::spec::CapabilitySet;
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompArg};
use proptest::prelude::*;
use serde_json::{Value, json};
use tests::cbpf::{self, Data};

use super::compiler::value;
use super::{ENOSYS, Naive, OTHERS, X32, X86, ask, compile, verdict};

/// The helper that asks libseccomp; `None` where it cannot be built.
fn helper() -> Option<PathBuf> {
    tests::require::file("/usr/include/seccomp.h")?;
    Some(tests::samples::helper("libseccomp", &["-lseccomp"]))
}

/// What libseccomp makes of a profile on this machine.
fn compile_by_libseccomp(helper: &Path, profile: &LinuxSeccomp) -> Vec<Instruction> {
    let text = as_lines(profile);
    let mut child =
        Command::new(helper).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    let instruction = |bytes: &[u8]| {
        let k = u32::from_le_bytes(bytes[4..].try_into().unwrap());
        Instruction::from((u16::from_le_bytes([bytes[0], bytes[1]]), bytes[2], bytes[3], k))
    };
    output.stdout.chunks(8).map(instruction).collect()
}

/// A profile as the helper reads it.
fn as_lines(profile: &LinuxSeccomp) -> String {
    let json = serde_json::to_value(profile).unwrap();
    let default = verdict(&json["defaultAction"], &json["defaultErrnoRet"]);
    let mut text = format!("default {default}\n");
    for architecture in profile.architectures().iter().flatten() {
        if [Architecture::X86.oci(), Architecture::X32.oci()].contains(architecture) {
            writeln!(text, "arch {}", *architecture as u32).unwrap();
        }
    }
    let rules = profile.syscalls().iter().flatten();
    for (rule, json) in rules.zip(json["syscalls"].as_array().unwrap()) {
        let action = verdict(&json["action"], &json["errnoRet"]);
        // As runtimes do: the library refuses a rule that changes nothing.
        if action == default {
            continue;
        }
        let tests: Vec<&LinuxSeccompArg> = rule.args().iter().flatten().collect();
        let index = |test: &LinuxSeccompArg| test.index();
        let repeated =
            tests.iter().any(|a| tests.iter().filter(|b| index(a) == index(b)).count() > 1);
        for name in rule.names() {
            if repeated {
                for test in &tests {
                    writeln!(text, "rule {action} {name}{}", words(test)).unwrap();
                }
            } else {
                let tests: String = tests.iter().map(|test| words(test)).collect();
                writeln!(text, "rule {action} {name}{tests}").unwrap();
            }
        }
    }
    text
}

fn words(test: &LinuxSeccompArg) -> String {
    // The specification's numbers are libseccomp's (`enum scmp_compare`).
    let (index, operator) = (test.index(), test.op() as u32);
    format!(" {index} {operator} {} {}", test.value(), test.value_two().unwrap_or(0))
}

/// Both programs say the same of every call, but for those that are newer than the profile.
fn same(profile: &Value, architectures: &[Architecture], arguments: &[[u64; 6]]) {
    let Some(helper) = helper() else { return };
    let ours = compile(profile, Architecture::X86_64).unwrap();
    let theirs = compile_by_libseccomp(&helper, &serde_json::from_value(profile.clone()).unwrap());
    let listed = |architecture: Architecture| {
        let name = json!(architecture.oci().to_string());
        profile["architectures"].as_array().is_some_and(|all| all.contains(&name))
    };
    for &architecture in architectures {
        if architecture != Architecture::X86_64 && !listed(architecture) {
            continue;
        }
        let naive = Naive::new(profile, architecture);
        // Those that are named, and their neighbours.
        let mut numbers: Vec<u32> =
            naive.rules.keys().flat_map(|&number| number.saturating_sub(1)..number + 2).collect();
        numbers.extend([0, 999, X32 + 999]);
        for number in numbers {
            if (architecture == Architecture::X32) != (number >= X32) {
                continue;
            }
            for &arguments in arguments {
                let data = Data {
                    number,
                    architecture: architecture.audit_number(),
                    arguments,
                    ..Data::default()
                };
                let mut expected = cbpf::run(&theirs, &data).0;
                if naive.newest.is_some_and(|newest| number > newest) && naive.refuses() {
                    expected = ENOSYS;
                }
                assert_eq!(
                    ask(&ours, architecture, number, arguments),
                    expected,
                    "{architecture:?} call {number} {arguments:x?} {profile:#}"
                );
            }
        }
    }
}

#[test]
fn every_name_has_the_number_that_libseccomp_gives_it() {
    // One rule a name, with an error of its own: 4095 names would fit.
    let names: Vec<&str> = X86.iter().flat_map(|one| one.calls()).map(|(name, _)| name).collect();
    for names in names.chunks(1000) {
        let rules: Vec<Value> = names.iter().enumerate().map(|(at, name)| {
            json!({"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 2 + at})
        }).collect();
        let profile = json!({
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": OTHERS[..2], "syscalls": rules,
        });
        same(&known_to_libseccomp(&profile), &X86, &[[0; 6]]);
    }
}

/// Without the calls that came after the library (2.5.4 knows those of Linux 5.17).
fn known_to_libseccomp(profile: &Value) -> Value {
    const LAST: u32 = 450;
    const LATER: [u32; 2] = [335, 336];
    let mut profile = profile.clone();
    for rule in profile["syscalls"].as_array_mut().unwrap() {
        rule["names"].as_array_mut().unwrap().retain(|name| {
            let number = |one: Architecture| one.number(name.as_str().unwrap());
            number(Architecture::X86_64)
                .or(number(Architecture::X86))
                .is_some_and(|number| number <= LAST && !LATER.contains(&number))
        });
    }
    profile
}

/// What the rules of the default profile, and of those like it, look at.
fn arguments() -> Vec<[u64; 6]> {
    [0, 1, 2, 8, 9, 16, 38, 40, 41, 0x5412, 0x541c, 0x1000_0000, 0x7e02_0000, 0x2_0008, 0xffff_ffff]
        .iter()
        .flat_map(|&n| [[n, n, n, 0, 0, 0], [n, 1, 9, 0, 0, 0], [1, n, 2, 0, 0, 0]])
        .collect()
}

#[test]
fn podmans_default_profile_means_what_libseccomp_makes_of_it() {
    let Some(file) = tests::require::file("/usr/share/containers/seccomp.json") else { return };
    let template: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for capabilities in [&[][..], &["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]] {
        let profile = known_to_libseccomp(&resolve(&template, capabilities));
        assert!(profile["syscalls"].as_array().unwrap().len() > 5);
        same(&profile, &X86, &arguments());
    }
}

/// A profile out of the form in which engines keep it: rules for some architectures or capabilities only.
fn resolve(template: &Value, capabilities: &[&str]) -> Value {
    let applies = |rule: &Value| {
        let any = |list: &Value, wanted: &[&str]| {
            list.as_array()
                .is_some_and(|list| list.iter().any(|one| wanted.contains(&one.as_str().unwrap())))
        };
        let given = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
        let (includes, excludes) = (&rule["includes"], &rule["excludes"]);
        let here = &["amd64", "x32", "x86"];
        (!given(&includes["caps"]) || any(&includes["caps"], capabilities))
            && (!given(&includes["arches"]) || any(&includes["arches"], here))
            && !any(&excludes["caps"], capabilities)
            && !any(&excludes["arches"], here)
    };
    let rules: Vec<Value> = template["syscalls"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| applies(rule))
        .map(|rule| {
            let mut plain =
                json!({"names": rule["names"], "action": rule["action"], "args": rule["args"]});
            if rule["args"].is_null() {
                plain["args"] = json!([]);
            }
            if rule["action"] == "SCMP_ACT_ERRNO" && rule["errnoRet"].is_u64() {
                plain["errnoRet"] = rule["errnoRet"].clone();
            }
            plain
        })
        .collect();
    let mut profile = json!({
        "defaultAction": template["defaultAction"], "architectures": OTHERS, "syscalls": rules,
    });
    if template["defaultErrnoRet"].is_u64() {
        profile["defaultErrnoRet"] = template["defaultErrnoRet"].clone();
    }
    profile
}

prop_compose! {
    /// Tests of different arguments.
    fn rule(names: &'static [&'static str])(
        name in prop::sample::select(names),
        indices in prop::sample::subsequence(vec![0, 1, 2, 3, 4, 5], 0..4),
        tests in prop::collection::vec((prop::sample::select(
            vec!["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]), value(), value()), 4),
    ) -> Value {
        let tests: Vec<Value> = indices.iter().zip(&tests).map(|(index, (operator, value, two))| {
            json!({"index": index, "value": value, "valueTwo": two & value, "op": format!("SCMP_CMP_{operator}")})
        }).collect();
        json!({"names": [name], "action": "SCMP_ACT_TRAP", "args": tests})
    }
}

fn profile(rules: &[Value]) -> Value {
    json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": OTHERS[..2], "syscalls": rules})
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    // One rule a call: of several that test the same argument libseccomp 2.5.4 loses some (with `arg2 >= 1` beside `arg2 < 2 &&
    // arg4 == 1 << 32` it refuses an `arg2` of 1). What several rules mean, the naive reading says (`compiler.rs`).
    #[test]
    fn a_rule_means_what_libseccomp_makes_of_it(
        one in rule(&["read"]),
        two in rule(&["close"]),
        three in rule(&["clone"]),
        arguments in prop::collection::vec(prop::array::uniform6(value()), 1..20),
    ) {
        same(&profile(&[one, two, three]), &[Architecture::X86_64], &arguments);
    }

    // One rule a call: of several libseccomp 2.5.4 loses track for 32-bit architectures, and compares the word that it has
    // loaded last.
    #[test]
    fn a_rule_means_on_32_bits_what_libseccomp_makes_of_it(
        one in rule(&["read", "dup2"]),
        two in rule(&["socket", "sendto"]),
        three in rule(&["shmctl", "semget"]),
        mut arguments in prop::collection::vec(prop::array::uniform6(value()), 1..6),
    ) {
        arguments.extend((0..25).map(|meaning| [meaning, 1, 2, 0, 0, 0]));
        same(&profile(&[one, two, three]), &X86, &arguments);
    }
}

#[test]
fn the_default_profile_compiles_to_less_than_libseccomp_makes() {
    let Some(helper) = helper() else { return };
    let profile = serde_json::to_value(default_profile(CapabilitySet::DOCKER)).unwrap();
    let profile = known_to_libseccomp(&profile);
    let theirs = compile_by_libseccomp(&helper, &serde_json::from_value(profile.clone()).unwrap());
    let ours = compile(&profile, Architecture::X86_64).unwrap();
    assert!(
        ours.instructions.len() * 2 < theirs.len(),
        "{} {}",
        ours.instructions.len(),
        theirs.len()
    );
}
