//! Who makes the groups of an image's container, if nobody was chosen: we do; and where an ordinary user may make none, as in a
//! login's session, the user's own systemd, which has controllers to give away.

use oci_spec::runtime::Spec;

use crate::cgroup::{CgroupError, Driver};
use crate::host::Host;
use crate::plan::{self, Ground, Plan, PlanError};

/// The plan whose limits can be kept.
pub(super) fn by_whoever_can(
    spec: &Spec,
    ground: &Ground<'_>,
    host: &Host,
) -> Result<Plan, PlanError> {
    let ours = plan::plan(spec, ground, host);
    match &ours {
        Err(PlanError::Cgroup(error)) if out_of_reach(error) && host.user_manager() => {
            let ground = Ground { cgroup_driver: Driver::Systemd, ..ground.clone() };
            plan::plan(spec, &ground, host)
        }
        _ => ours,
    }
}

/// Whether another place in the tree could keep the limit.
fn out_of_reach(error: &CgroupError) -> bool {
    use crate::cgroup::Unavailable::{NotDelegated, Occupied};
    matches!(error, CgroupError::NoController { why: NotDelegated { .. } | Occupied { .. }, .. })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use oci_spec::runtime::Spec;
    use serde_json::json;

    use super::*;
    use crate::host::{Controller, Hierarchy, Kernel, Layout, Version};

    /// A login: its session's scope, and no place where groups may be made.
    fn login() -> Host {
        let controllers = [Controller::Memory, Controller::Pids].into();
        let own = "/user.slice/user-1000.slice/session-3.scope".into();
        let mount = "/sys/fs/cgroup".into();
        let hierarchy =
            Hierarchy { version: Version::V2, mount, controllers, own, anchors: Vec::new() };
        Host::made_up(1000, Kernel::new(6, 1), Layout { hierarchies: vec![hierarchy] })
    }

    fn plan(host: &Host, resources: &serde_json::Value) -> Result<Plan, PlanError> {
        let spec: Spec = serde_json::from_value(json!({
            "ociVersion": "1.3.0",
            "process": {"args": ["/x"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
            "root": {"path": "rootfs"},
            "linux": {"namespaces": [{"type": "user"}, {"type": "mount"}], "resources": resources},
        }))
        .unwrap();
        let ground = Ground::of_image("x", Path::new("/snapshot"), Path::new("/container"));
        by_whoever_can(&spec, &ground, host)
    }

    #[test]
    fn a_limit_in_a_login_is_kept_by_the_users_systemd_if_there_is_one() {
        let limit = json!({"memory": {"limit": 1 << 26}});
        let groups = plan(&login().with_user_manager(), &limit).unwrap().cgroup;
        let path = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice/coracle-x.scope";
        assert_eq!(groups.groups[0].path, Path::new(path));
        assert!(groups.scope.unwrap().unit.user);
        assert!(plan(&login(), &limit).is_err());
    }

    #[test]
    fn without_a_limit_nobody_is_asked() {
        assert!(plan(&login().with_user_manager(), &json!({})).unwrap().cgroup.is_empty());
    }
}
