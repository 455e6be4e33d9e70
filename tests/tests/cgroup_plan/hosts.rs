//! Hosts that are made up.

use std::collections::BTreeSet;
use std::path::Path;

use launcher::host::{Anchor, Controller, Hierarchy, Host, Kernel, Layout, Version};

pub(crate) const SCOPE: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice/term.scope";
pub(crate) const SLICE: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice";

pub(crate) fn set(names: &str) -> BTreeSet<Controller> {
    Controller::parse_list(names, Version::V2)
}

pub(crate) fn anchor(path: &str, controllers: &str, busy: bool) -> Anchor {
    let enabled = if busy { BTreeSet::new() } else { set(controllers) };
    Anchor { path: path.into(), controllers: set(controllers), busy, enabled }
}

pub(crate) fn v2(own: &str, anchors: Vec<Anchor>) -> Hierarchy {
    Hierarchy {
        version: Version::V2,
        mount: "/sys/fs/cgroup".into(),
        controllers: set("cpu cpuset io memory pids hugetlb"),
        own: own.into(),
        anchors,
    }
}

pub(crate) fn v1(name: &str, anchors: &[&str]) -> Hierarchy {
    let controllers = Controller::parse_list(name, Version::V1);
    Hierarchy {
        version: Version::V1,
        mount: Path::new("/sys/fs/cgroup").join(name),
        own: "/user".into(),
        anchors: anchors
            .iter()
            .map(|path| Anchor {
                path: path.into(),
                controllers: controllers.clone(),
                busy: false,
                enabled: controllers.clone(),
            })
            .collect(),
        controllers,
    }
}

pub(crate) fn host(uid: u32, hierarchies: Vec<Hierarchy>) -> Host {
    Host::made_up(uid, Kernel::new(6, 1), Layout { hierarchies })
}

/// Root on a systemd host.
pub(crate) fn v2_root() -> Host {
    host(
        0,
        vec![v2("/system.slice/x.service", vec![anchor("/", "cpu cpuset io memory pids", false)])],
    )
}

/// A user in a terminal of a desktop session: the scope holds the shell, the slice above is free.
pub(crate) fn v2_user() -> Host {
    let anchors = vec![anchor(SCOPE, "memory pids", true), anchor(SLICE, "memory pids", false)];
    host(1000, vec![v2(SCOPE, anchors)])
}

/// A user who came by ssh: nothing is delegated.
pub(crate) fn v2_ssh() -> Host {
    host(1000, vec![v2("/user.slice/user-1000.slice/session-1.scope", Vec::new())])
}

/// One controller a hierarchy, and a v2 mount without any.
pub(crate) fn hybrid(uid: u32, anchors: &[&str]) -> Host {
    let mut all: Vec<_> =
        ["cpu,cpuacct", "cpuset", "memory", "blkio", "pids", "freezer", "devices"]
            .iter()
            .map(|name| v1(name, anchors))
            .collect();
    all.push(Hierarchy {
        mount: "/sys/fs/cgroup/unified".into(),
        controllers: set("hugetlb"),
        ..v2("/", vec![anchor("/", "hugetlb", false)])
    });
    host(uid, all)
}
