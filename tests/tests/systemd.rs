//! The systemd driver against a real message bus and a stand-in for systemd (`src/systemd.py`), which has the reference
//! implementation of D-Bus look at every message, and moves processes for real. The real systemd is met in a virtual
//! machine.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failure of a helper fails its test"
)]

mod sandbox_support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use launcher::cgroup::{self, CgroupPlan, Driver, Request};
use launcher::host::{Hierarchy, Host, Kernel, Layout, Version};
use launcher::spec::Overrides;
use sandbox_support::{Box, Ran, without_cgroup_namespace};
use serde_json::{Value, json};
use tests::require;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A private bus with a stand-in for systemd on it.
struct Systemd {
    folder: tempfile::TempDir,
    daemon: Child,
    manager: Child,
    said: BufReader<std::process::ChildStdout>,
    unified: Hierarchy,
    /// A name that no other test has.
    name: String,
}

impl Systemd {
    fn start(options: &[&str]) -> Option<Self> {
        if !require::root() {
            return None;
        }
        require::program("dbus-daemon")?;
        let packages = "/usr/lib/python3/dist-packages";
        require::file(&format!("{packages}/dbus/__init__.py"))?;
        require::file(&format!("{packages}/gi/__init__.py"))?;
        let layout = Host::probe().unwrap().cgroups().unwrap().clone();
        let unified = layout.hierarchies.into_iter().find(|h| h.version == Version::V2);
        let Some(unified) = unified else {
            require::skip(format_args!("needs a cgroup2 mount"));
            return None;
        };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("coracletest{}x{count}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let configuration = folder.path().join("bus.conf");
        let socket = folder.path().join("bus");
        fs::write(
            &configuration,
            format!(
                "<busconfig><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context='default'>\
                 <allow own='*'/><allow send_destination='*'/><allow eavesdrop='false'/></policy></busconfig>",
                socket.display()
            ),
        )
        .unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", configuration.display()))
            .args(["--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            // That it may not raise its own limit of files.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Printed once it listens.
        let mut line = String::new();
        BufReader::new(daemon.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/systemd.py");
        let mut manager = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(&unified.mount)
            .args(options)
            .env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", socket.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(manager.stdout.take().unwrap());
        let mut systemd = Self { folder, daemon, manager, said, unified, name };
        assert_eq!(systemd.next()["call"], "ready");
        Some(systemd)
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.folder.path().join("bus").display())
    }

    /// The next call.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("`{line}`: {error}"))
    }

    /// This host, were v2 all it had.
    fn host(&self) -> Host {
        let hierarchies = vec![self.unified.clone()];
        Host::made_up(0, Kernel::new(5, 14), Layout { hierarchies })
    }

    fn plan(&self, host: &Host, resources: Value) -> CgroupPlan {
        let path = PathBuf::from(format!("{0}.slice:test:{0}", self.name));
        let resources = serde_json::from_value(resources).unwrap();
        let annotations = [("org.systemd.property.TimeoutStopSec", "uint64 3"), ("other", "x")];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let request = Request {
            id: "c1",
            path: Some(&path),
            resources: Some(&resources),
            driver: Driver::Systemd,
            annotations: Some(&annotations),
            complete: false,
        };
        cgroup::plan(&request, host).unwrap()
    }

    /// Runs a container with these groups, which prints its own.
    fn run(&self, cgroup: CgroupPlan) -> Ran {
        let container = Box::new("systemd");
        let mut plan = container.plan(&Overrides::default(), &["cat=/proc/self/cgroup"]);
        plan.cgroup = cgroup;
        let plan = without_cgroup_namespace(&plan);
        let file = self.folder.path().join("plan.json");
        fs::write(&file, serde_json::to_vec(&plan).unwrap()).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_spawn-plan"))
            .arg(file)
            .env("DBUS_SYSTEM_BUS_ADDRESS", self.address())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        output.into()
    }

    /// The slices that the stand-in and we have made are nobody's to remove but the real systemd's.
    fn slices(&self) -> Vec<PathBuf> {
        let slice = format!("{}.slice", self.name);
        let layout = Host::probe().unwrap().cgroups().unwrap().clone();
        layout.hierarchies.iter().map(|hierarchy| hierarchy.mount.join(&slice)).collect()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        for child in [&mut self.manager, &mut self.daemon] {
            child.kill().ok();
            child.wait().ok();
        }
        for slice in self.slices() {
            fs::remove_dir(slice.join(format!("test-{}.scope", self.name))).ok();
            fs::remove_dir(slice).ok();
        }
    }
}

#[test]
fn a_container_is_a_scope_with_its_limits_as_properties() {
    let Some(mut systemd) = Systemd::start(&[]) else { return };
    let limits = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]});
    let mut plan = systemd.plan(&systemd.host(), limits);
    let name = systemd.name.clone();
    let group = systemd.unified.mount.join(format!("{name}.slice/test-{name}.scope"));
    assert_eq!(plan.groups[0].path, group);
    // What this kernel's v2 has no controller for: only systemd hears of it.
    let numbers = [("AllowedCPUs", cgroup::systemd::Value::Bytes(vec![3]))];
    for (name, value) in numbers {
        let scope = plan.scope.as_mut().unwrap();
        scope.properties.insert(0, cgroup::systemd::Property { name: name.to_owned(), value });
        scope.droppable += 1;
    }
    let ran = systemd.run(plan);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.stdout.contains(&format!("0::/{name}.slice/test-{name}.scope\n")), "{ran:?}");
    assert_eq!(systemd.next()["call"], "Subscribe");
    let mut start = systemd.next();
    let pids = start["properties"]["PIDs"].take();
    assert_eq!(pids.as_array().map(Vec::len), Some(1), "{pids}");
    assert_eq!(
        start,
        json!({
            "call": "StartTransientUnit", "unit": format!("test-{name}.scope"), "mode": "fail", "auxiliary": [],
            "properties": {
                "AllowedCPUs": [3],
                "MemoryAccounting": true, "CPUAccounting": true, "IOAccounting": true,
                "TasksAccounting": true, "Description": "container c1", "Slice": format!("{name}.slice"),
                "Delegate": true, "DefaultDependencies": false, "TimeoutStopUSec": 3_000_000, "PIDs": null,
            },
        })
    );
    // Another connection removes it.
    assert_eq!(systemd.next()["call"], "Subscribe");
    let unit = format!("test-{name}.scope");
    assert_eq!(systemd.next(), json!({"call": "StopUnit", "unit": unit, "mode": "replace"}));
    assert_eq!(systemd.next(), json!({"call": "ResetFailedUnit", "unit": unit}));
    assert!(!group.exists());
}

#[test]
fn groups_in_hierarchies_that_systemd_does_not_know_are_ours() {
    if require::controller("pids").is_none() {
        return;
    }
    let Some(systemd) = Systemd::start(&[]) else { return };
    let plan = systemd.plan(&Host::probe().unwrap(), json!({"pids": {"limit": 5}}));
    let name = &systemd.name;
    let own = format!("/{name}.slice/test-{name}.scope\n");
    let ran = systemd.run(plan.clone());
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    // The stand-in knows v2's hierarchy alone.
    let ours = plan.groups.iter().filter(|group| group.version == Version::V1);
    let joined = ran.stdout.lines().filter(|line| !line.starts_with("0::"));
    let joined = joined.filter(|line| format!("{line}\n").ends_with(&own));
    assert_eq!(joined.count(), ours.count(), "{ran:?}");
    assert!(plan.groups.iter().all(|group| !group.path.exists()));
}

#[test]
fn a_property_that_an_old_systemd_lacks_is_left_out() {
    let Some(mut systemd) = Systemd::start(&["unknown=IOAccounting"]) else { return };
    let ran = systemd.run(systemd.plan(&systemd.host(), json!({})));
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(systemd.next()["call"], "Subscribe");
    assert_eq!(systemd.next()["properties"]["IOAccounting"], true);
    let again = systemd.next();
    assert_eq!(again["call"], "StartTransientUnit");
    assert!(again["properties"].get("IOAccounting").is_none(), "{again}");
}

#[test]
fn a_failed_unit_of_that_name_is_reset() {
    let Some(mut systemd) = Systemd::start(&["exists"]) else { return };
    let ran = systemd.run(systemd.plan(&systemd.host(), json!({})));
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let calls: Vec<_> = (0..4).map(|_| systemd.next()["call"].clone()).collect();
    let expected = ["Subscribe", "StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"];
    assert_eq!(calls, expected);
}

#[test]
fn a_scope_that_cannot_be_made_is_said_and_its_program_never_runs() {
    let Some(systemd) = Systemd::start(&["result=failed"]) else { return };
    let ran = systemd.run(systemd.plan(&systemd.host(), json!({})));
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(125), ""), "{ran:?}");
    let expected = format!("the scope `test-{}.scope` cannot be made", systemd.name);
    assert!(ran.stderr.contains(&expected), "{ran:?}");
    assert!(ran.stderr.contains("the job ended as `failed`"), "{ran:?}");
}

#[test]
fn without_systemd_the_error_says_what_else_there_is() {
    let Some(mut systemd) = Systemd::start(&[]) else { return };
    systemd.daemon.kill().unwrap();
    systemd.daemon.wait().unwrap();
    let ran = systemd.run(systemd.plan(&systemd.host(), json!({})));
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(125), ""), "{ran:?}");
    assert!(
        ran.stderr
            .contains(&format!("the scope `test-{}.scope` cannot be asked for", systemd.name))
    );
    assert!(
        ran.stderr
            .contains("hint: does systemd run here? Without it choose --cgroup-manager cgroupfs")
    );
}
