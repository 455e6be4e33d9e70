//! Any profile: compiled, run by an interpreter, and compared with a naive reading of it.

use launcher::plan::seccomp::{Architecture, MAX_LENGTH, SeccompError};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ARM, KILL_PROCESS, OTHERS, X32, X86, agree, ask, compile};

const TRAP: u32 = 0x0003_0000;

/// A profile in which no two neighbours are alike, with tests that make the program long.
pub(super) fn long_profile(tests: u64) -> Value {
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
    agree(&profile, &[Architecture::X86_64], &arguments);
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

/// Values around which comparisons turn, in both halves.
pub(super) fn value() -> impl Strategy<Value = u64> {
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
    pub(super) fn rule()(
        names in prop::collection::vec(prop::sample::select(vec![
            "read", "write", "open", "close", "dup2", "clone", "statx", "socket", "connect", "semop", "shmctl", "ioctl",
            "execve", "socketcall", "cacheflush", "fstatat64", "no_such",
        ]), 1..4),
        action in prop::sample::select(vec!["ALLOW", "ERRNO", "TRAP", "LOG", "KILL_PROCESS", "KILL", "TRACE"]),
        args in prop::collection::vec(argument(), 0..4),
    ) -> Value {
        json!({"names": names, "action": format!("SCMP_ACT_{action}"), "args": args})
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_profile_compiles_to_what_its_rules_say(
        default in prop::sample::select(vec!["ALLOW", "ERRNO", "KILL", "LOG"]),
        rules in prop::collection::vec(rule(), 0..12),
        mut arguments in prop::collection::vec(prop::array::uniform6(value()), 1..4),
        meaning in 0..25_u64,
    ) {
        arguments.push([meaning, 1, 2, 0, 0, 0]);
        let profile = json!({
            "defaultAction": format!("SCMP_ACT_{default}"), "architectures": OTHERS, "syscalls": rules,
        });
        agree(&profile, &X86, &arguments);
        agree(&profile, &ARM, &arguments);
    }
}

#[test]
fn an_instruction_set_is_judged_only_where_it_is_listed() {
    let rules = json!([{"names": ["exit"], "action": "SCMP_ACT_ALLOW"}]);
    let check = |listed: Value, architecture, number, expected| {
        let profile =
            json!({"defaultAction": "SCMP_ACT_TRAP", "architectures": listed, "syscalls": rules});
        let program = compile(&profile, Architecture::X86_64).unwrap();
        assert_eq!(ask(&program, architecture, number, [0; 6]), expected, "{listed}");
    };
    let (x86, arm) = (Architecture::X86, Architecture::Arm);
    check(json!([]), x86, 1, KILL_PROCESS);
    check(json!(["SCMP_ARCH_X32"]), x86, 1, KILL_PROCESS);
    check(json!(["SCMP_ARCH_X86"]), x86, 1, super::ALLOW);
    check(json!(["SCMP_ARCH_X86"]), x86, 0, TRAP);
    check(json!(["SCMP_ARCH_ARM"]), arm, 1, KILL_PROCESS);
    // x32's exit is 60, with its bit.
    check(json!(["SCMP_ARCH_X32"]), Architecture::X32, X32 + 60, super::ALLOW);
    check(json!(["SCMP_ARCH_X86"]), Architecture::X32, X32 + 60, super::ENOSYS);
    check(json!(["SCMP_ARCH_X32"]), Architecture::X86_64, 60, super::ALLOW);
}

#[test]
fn flags_are_those_that_make_a_difference() {
    let check = |flags: Value, action: &str, expected: u32| {
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": flags,
                             "syscalls": [{"names": ["mkdir"], "action": action}]});
        let program = compile(&profile, Architecture::X86_64).unwrap();
        assert_eq!(program.kernel_flags(), expected, "{flags}");
    };
    let flag = |name: &str| json!([format!("SECCOMP_FILTER_FLAG_{name}")]);
    check(json!([]), "SCMP_ACT_LOG", 0);
    check(flag("LOG"), "SCMP_ACT_LOG", 2);
    check(flag("SPEC_ALLOW"), "SCMP_ACT_LOG", 4);
    check(flag("TSYNC"), "SCMP_ACT_NOTIFY", 8);
    check(flag("WAIT_KILLABLE_RECV"), "SCMP_ACT_LOG", 0);
    check(flag("WAIT_KILLABLE_RECV"), "SCMP_ACT_NOTIFY", 32 + 8);
}

#[test]
fn a_listener_is_sent_by_those_who_can() {
    let check = |rules: Value, sends: bool| {
        let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules});
        assert_eq!(compile(&profile, Architecture::X86_64).unwrap().sends, sends, "{rules}");
    };
    let rule =
        |action: &str, args: Value| json!([{"names": ["sendmsg"], "action": action, "args": args}]);
    check(json!([]), false);
    check(rule("SCMP_ACT_ALLOW", json!([])), true);
    check(rule("SCMP_ACT_LOG", json!([])), true);
    check(rule("SCMP_ACT_NOTIFY", json!([])), false);
    let tested = json!([{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]);
    check(rule("SCMP_ACT_ALLOW", tested), false);
}
