//! What cannot be had is refused, with what is wrong and before anything is made.

use serde_json::json;

use super::{Bench, nothing};

#[test]
fn what_cannot_be_had_is_refused() {
    let Some(bench) = Bench::new("refusals") else { return };
    let modules = std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok();
    if !modules {
        bench.refuse(
            &json!({ "apparmorProfile": "x" }),
            &nothing(),
            "AppArmor, which is not enabled",
        );
    }
    if !std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        let label = json!({ "selinuxLabel": "system_u:system_r:container_t:s0" });
        bench.refuse(&label, &nothing(), "SELinux, which is not enabled");
    }
    if !std::path::Path::new("/sys/fs/resctrl/schemata").exists() {
        bench.refuse(&nothing(), &json!({ "intelRdt": { "closID": "gold" } }), "no resctrl");
    }
    let flags = json!({ "personality": { "domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"] } });
    bench.refuse(&nothing(), &flags, "`ADDR_NO_RANDOMIZE` is not supported");
    let priority = json!({ "scheduler": { "policy": "SCHED_OTHER", "priority": 1 } });
    bench.refuse(&priority, &nothing(), "only SCHED_FIFO and SCHED_RR");
    bench.refuse(
        &json!({ "ioPriority": { "class": "IOPRIO_CLASS_BE", "priority": 9 } }),
        &nothing(),
        "`9`",
    );
    bench.refuse(&json!({ "env": ["A"] }), &nothing(), "`A` has no name");
    let memory = json!({ "memoryPolicy": { "mode": "MPOL_BIND" } });
    bench.refuse(&nothing(), &memory, "MPOL_BIND takes at least one node");
}
