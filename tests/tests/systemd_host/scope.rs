//! The systemd driver, against systemd itself.

use std::path::Path;
use std::process::{Command, Stdio};

use launcher::cgroup::{self, Driver, Request};
use launcher::host::Host;
use serde_json::json;
use tests::outcome::run;

use crate::UNIFIED;

/// A scope below `slice` is made around a process, with limits in the files and in systemd's own book, changed, and removed.
pub(crate) fn check(name: &str, user: bool, slice: &str) {
    let id = format!("coracle-test-scope-{name}-{}", std::process::id());
    let resources = json!({
        "memory": {"limit": 64 << 20}, "pids": {"limit": 20}, "cpu": {"quota": 50_000, "period": 100_000},
    });
    let resources = serde_json::from_value(resources).unwrap();
    let request = Request {
        id: &id,
        path: None,
        resources: Some(&resources),
        driver: Driver::Systemd,
        annotations: None,
        complete: false,
    };
    let plan = cgroup::plan(&request, &Host::probe().unwrap()).unwrap();
    let mut group = cgroup::create(&plan).unwrap();
    let join = group.join().unwrap();
    let mut process = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    join.scope.unwrap().start(process.id()).unwrap();

    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", process.id())).unwrap();
    let path = text.trim().strip_prefix("0::").unwrap();
    assert!(path.starts_with(slice) && path.ends_with(&format!("/coracle-{id}.scope")), "{path}");
    let folder = Path::new(UNIFIED).join(path.trim_start_matches('/'));
    assert_eq!(group.paths().groups[0].path, folder);
    let files = |expected: [(&str, &str); 3]| {
        for (file, expected) in expected {
            assert_eq!(
                std::fs::read_to_string(folder.join(file)).unwrap().trim(),
                expected,
                "{file}"
            );
        }
    };
    files([("memory.max", "67108864"), ("pids.max", "20"), ("cpu.max", "50000 100000")]);
    let show = |property: &str| {
        let mut command = Command::new("systemctl");
        command.args(user.then_some("--user")).args(["show", "--value", "-p", property]);
        run(command.arg(format!("coracle-{id}.scope"))).ok().text()
    };
    assert_eq!(show("MemoryMax"), "67108864");
    assert_eq!(show("TasksMax"), "20");
    assert_eq!(show("CPUQuotaPerSecUSec"), "500ms");
    assert_eq!(show("Delegate"), "yes");

    let change = json!({"memory": {"limit": 32 << 20}, "pids": {"limit": 30}});
    group.update(&serde_json::from_value(change).unwrap()).unwrap();
    // What systemd does when any unit of it changes: the limits must not be undone.
    run(Command::new("systemctl").args(user.then_some("--user")).arg("daemon-reload")).ok();
    files([("memory.max", "33554432"), ("pids.max", "30"), ("cpu.max", "50000 100000")]);
    assert_eq!((show("MemoryMax").as_str(), show("TasksMax").as_str()), ("33554432", "30"));

    // Another process finds it by what was written down.
    let text = serde_json::to_string(group.paths()).unwrap();
    let other = cgroup::reopen(&serde_json::from_str(&text).unwrap());
    other.freeze(true).unwrap();
    assert!(other.frozen().unwrap());
    other.kill().unwrap();
    process.wait().unwrap();
    other.remove().unwrap();
    assert!(!folder.exists());
    assert_eq!(show("ActiveState"), "inactive");
}
