//! Which class of service a container's caches and memory bandwidth come from (runtime-spec, config-linux.md, `IntelRdt`).

use oci_spec::runtime::{Linux, LinuxIntelRdt};

use super::PlanError;
use crate::host::Host;
use crate::resctrl::Class;

/// That of a specification.
pub(super) fn of(linux: Option<&Linux>, id: &str, host: &Host) -> Result<Option<Class>, PlanError> {
    let wanted = linux.and_then(|linux| linux.intel_rdt().as_ref());
    wanted.map(|wanted| class(wanted, id, host)).transpose()
}

/// The class that is asked for.
fn class(wanted: &LinuxIntelRdt, id: &str, host: &Host) -> Result<Class, PlanError> {
    if !host.resctrl() {
        return Err(PlanError::Rdt("no resctrl file system is mounted at /sys/fs/resctrl"));
    }
    let given = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
    let bandwidth = given(wanted.mem_bw_schema().as_ref());
    if bandwidth.as_ref().is_some_and(|line| !line.starts_with("MB:")) {
        return Err(PlanError::Rdt("memBwSchema does not start with `MB:`"));
    }
    // The most specific last: what is written later is in force.
    let mut lines: Vec<String> = Vec::new();
    lines.extend(given(wanted.l3_cache_schema().as_ref()));
    lines.extend(bandwidth);
    lines.extend(wanted.schemata().iter().flatten().cloned());
    if lines.iter().any(|line| line.contains('\n')) {
        return Err(PlanError::Rdt("a schema has more than one line"));
    }
    let class = given(wanted.clos_id().as_ref());
    if class.as_deref().is_some_and(|class| class != "/" && !is_folder_name(class)) {
        return Err(PlanError::Rdt("closID is no name of a folder"));
    }
    let own = class.is_none();
    let name = class.unwrap_or_else(|| id.to_owned());
    Ok(Class {
        group: if name == "/" { String::new() } else { name },
        own,
        may_make: own || !lines.is_empty(),
        lines,
        monitor: (wanted.enable_monitoring() == &Some(true)).then(|| id.to_owned()),
    })
}

/// A folder of resctrl itself is none that a class may have.
fn is_folder_name(name: &str) -> bool {
    let reserved = ["info", "mon_groups", "mon_data", ".", ".."];
    !name.contains(['/', '\0', '\n']) && !reserved.contains(&name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::host::{Kernel, Layout};

    fn planned(wanted: Value, mounted: bool) -> Result<Value, String> {
        let wanted: LinuxIntelRdt = serde_json::from_value(wanted).unwrap();
        let host = Host::made_up(0, Kernel::new(6, 1), Layout::default());
        let host = if mounted { host.with_resctrl() } else { host };
        let class = class(&wanted, "box", &host).map_err(|error| error.to_string())?;
        Ok(serde_json::to_value(class).unwrap())
    }

    #[test]
    fn schemata_are_written_from_the_general_to_the_particular() {
        let wanted = json!({
            "closID": "gold", "schemata": ["L2:0=f"], "memBwSchema": "MB:0=20", "l3CacheSchema": "L3:0=7f0",
        });
        let expected = json!({
            "group": "gold", "own": false, "may_make": true, "lines": ["L3:0=7f0", "MB:0=20", "L2:0=f"], "monitor": null,
        });
        assert_eq!(planned(wanted, true), Ok(expected));
        let own =
            json!({"group": "box", "own": true, "may_make": true, "lines": [], "monitor": "box"});
        assert_eq!(planned(json!({"enableMonitoring": true}), true), Ok(own));
        let known =
            json!({"group": "gold", "own": false, "may_make": false, "lines": [], "monitor": null});
        assert_eq!(planned(json!({"closID": "gold"}), true), Ok(known));
        assert_eq!(planned(json!({"closID": "/"}), true).unwrap()["group"], "");
    }

    #[test]
    fn what_the_specification_forbids_is_refused() {
        let check = |wanted: Value, mounted, expected: &str| {
            let error = planned(wanted, mounted).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(json!({"closID": "gold"}), false, "mounted");
        check(json!({"memBwSchema": "L3:0=1"}), true, "MB:");
        check(json!({"schemata": ["L3:0=1\nMB:0=1"]}), true, "more than one line");
        for name in ["a/b", "..", "info", "mon_groups"] {
            check(json!({ "closID": name }), true, "closID");
        }
    }
}
