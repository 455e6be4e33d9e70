//! Profiles as engines write them, around a real program.

use serde_json::{Value, json};

use super::{Bench, nothing};

fn profile(changes: &Value) -> Value {
    let mut profile = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    profile.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({ "seccomp": profile })
}

#[test]
fn a_profile_judges_the_calls_of_its_program() {
    let Some(bench) = Bench::new("seccomp-calls") else { return };
    let rules = json!({ "syscalls": [
        { "names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 55 },
        { "names": ["mkdir", "no_such_call"], "action": "SCMP_ACT_ERRNO" },
    ] });
    bench.check(&["getcwd", "mkdir=/tmp/x"], &nothing(), &profile(&rules), "ENOANO\nEPERM\n");
    // The same for who may gain privileges: the filter is loaded before others are lost.
    let free = json!({ "noNewPrivileges": false });
    bench.check(&["getcwd"], &free, &profile(&rules), "ENOANO\n");
    let killed = json!({ "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_KILL_PROCESS" }] });
    let (status, ..) = bench.run(&["mkdir=/tmp/x"], &nothing(), &profile(&killed));
    assert_eq!(status, 128 + 31);
}

#[test]
fn calls_of_32_bit_programs_are_judged_where_the_profile_lists_them() {
    let Some(bench) = Bench::new("seccomp-32") else { return };
    if !cfg!(target_arch = "x86_64") {
        return tests::require::skip(format_args!("needs x86-64"));
    }
    // getcwd is 183 there, getpid 20. EBADFD is 77.
    let rules = json!([{ "names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77 }]);
    let listed =
        json!({ "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls": rules });
    bench.check(
        &["getcwd", "i386=183", "i386=20"],
        &nothing(),
        &profile(&listed),
        "EBADFD\nEBADFD\nok\n",
    );
    let (status, found, _) =
        bench.run(&["getcwd", "i386=20"], &nothing(), &profile(&json!({ "syscalls": rules })));
    assert_eq!((status, found.as_str()), (128 + 31, "EBADFD\n"));
}

#[test]
fn a_profile_that_contradicts_itself_is_refused() {
    let Some(bench) = Bench::new("seccomp-refused") else { return };
    let rule = |changes: Value| {
        let mut rule = json!({ "names": ["mkdir"], "action": "SCMP_ACT_ALLOW" });
        rule.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        profile(&json!({ "syscalls": [rule] }))
    };
    bench.refuse(&nothing(), &rule(json!({ "errnoRet": 1 })), "seccomp profile is unusable");
    bench.refuse(&nothing(), &rule(json!({ "action": "SCMP_ACT_NOTIFY" })), "has no listenerPath");
    let metadata = profile(&json!({ "listenerMetadata": "x" }));
    bench.refuse(&nothing(), &metadata, "metadata for a listener, and no listener");
    let flag = profile(&json!({ "flags": ["SECCOMP_FILTER_FLAG_FLY"] }));
    bench.refuse(&nothing(), &flag, "SECCOMP_FILTER_FLAG_FLY");
    // A path without a rule that asks is ignored.
    let idle = profile(&json!({ "listenerPath": "/no/such/socket" }));
    bench.check(&["ids"], &nothing(), &idle, "0 0\n");
}
