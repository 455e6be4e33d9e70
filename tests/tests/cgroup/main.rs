//! Groups for real: made, joined, measured from inside and outside, killed and removed, on whatever
//! layout this host has; v2's own code on the v2 mount of a hybrid host and in a made-up folder.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failure of a helper fails its test"
)]

mod life;
mod limits;
mod stats;
mod unified;
mod update;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::report::Diagnostic as _;
use launcher::cgroup::OomEvent;
use launcher::cgroup::{
    self, Cgroup, CgroupError, CgroupPlan, Driver, GroupPlan, Limit, Request, Setting,
};
use launcher::host::{Anchor, Controller, Hierarchy, Host, Kernel, Layout, Version};
use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::{Value, json};
use tests::require;

/// A container's groups, removed at the end of the test whatever happens.
struct Group {
    cgroup: Box<dyn Cgroup>,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.cgroup.kill().ok();
        self.cgroup.remove().ok();
    }
}

fn plan(host: &Host, name: &str, resources: &Value, complete: bool) -> CgroupPlan {
    let path = PathBuf::from(format!("/coracle-test-{}-{name}", std::process::id()));
    let resources = serde_json::from_value(resources.clone()).expect("resources");
    let request = Request {
        id: name,
        path: Some(&path),
        resources: Some(&resources),
        driver: Driver::Cgroupfs,
        annotations: None,
        complete,
    };
    cgroup::plan(&request, host).expect("this host can keep the limits")
}

impl Group {
    fn new(name: &str, resources: &Value) -> Self {
        let plan = plan(&Host::probe().unwrap(), name, resources, true);
        Self { cgroup: cgroup::create(&plan).unwrap() }
    }

    /// Starts a shell inside, joined as paddle's child joins: by a thread's `0` in v1. (A v2 group
    /// would need `CLONE_INTO_CGROUP`; a thread cannot leave its process there, so the shell moves.)
    fn start(&self, script: &str) -> Child {
        let join = self.cgroup.join().unwrap();
        let unified = self.cgroup.paths().groups.iter().find(|g| g.version == Version::V2).cloned();
        let script = match unified {
            Some(group) => format!("echo 0 > {}/cgroup.procs; {script}", group.path.display()),
            None => script.to_owned(),
        };
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                for tasks in &join.v1 {
                    rustix::io::write(tasks, b"0").expect("the thread joins");
                }
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &script]).stdin(Stdio::null());
                shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell")
            });
            thread.join().expect("the thread ends")
        })
    }

    fn run(&self, script: &str) -> ExitStatus {
        self.start(script).wait().unwrap()
    }

    fn folders(&self) -> Vec<PathBuf> {
        self.cgroup.paths().groups.iter().map(|group| group.path.clone()).collect()
    }
}

fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The content of a file of the group of that controller, by its name in either interface.
fn value(group: &Group, controller: Controller, v1: &str, v2: &str) -> String {
    let paths = &group.cgroup.paths().groups;
    let found = paths.iter().find(|path| path.controllers.contains(&controller)).expect("a group");
    let name = if found.version == Version::V1 { v1 } else { v2 };
    fs::read_to_string(found.path.join(name)).expect(name).trim().to_owned()
}

/// The v2 mount of this host.
fn unified() -> Option<Hierarchy> {
    if !require::root() {
        return None;
    }
    let layout = Host::probe().unwrap().cgroups().unwrap().clone();
    let found = layout.hierarchies.into_iter().find(|h| h.version == Version::V2);
    if found.is_none() {
        require::skip(format_args!("needs a cgroup2 mount"));
    }
    found
}

/// This host, were v2 all it had.
fn only_v2(unified: &Hierarchy) -> Host {
    let hierarchies = vec![unified.clone()];
    Host::made_up(0, Kernel::new(5, 14), Layout { hierarchies })
}

#[test]
fn this_hosts_layout_is_what_the_mount_table_says() {
    let host = Host::probe().unwrap();
    let layout = host.cgroups().unwrap();
    for name in ["cpu", "cpuset", "memory", "pids"] {
        let Some(found) = require::controller(name) else { continue };
        let controller = Controller::parse_list(name, Version::V2).into_iter().next().unwrap();
        let hierarchy = layout.of(controller).expect(name);
        let expected = match found {
            require::Hierarchy::V1(mount) => (Version::V1, mount),
            require::Hierarchy::V2(mount) => (Version::V2, mount),
        };
        assert_eq!((hierarchy.version, hierarchy.mount.clone()), expected, "{name}");
        if rustix::process::geteuid().is_root() {
            let root: Vec<&Path> =
                hierarchy.anchors.iter().map(|a: &Anchor| a.path.as_path()).collect();
            assert_eq!(root, [Path::new("/")], "{name}");
        }
    }
}
