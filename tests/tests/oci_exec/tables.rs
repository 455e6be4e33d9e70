//! `features` and `spec`: what callers learn without a container.

use serde_json::{Value, json};
use tests::outcome::run;

use super::Bench;

fn features(bench: &Bench) -> Value {
    serde_json::from_str(&bench.paddle(&["features"]).ok().text()).unwrap()
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn features_are_those_of_the_specification() {
    let Some(bench) = Bench::new("features") else { return };
    let features = features(&bench);
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert!(features["ociVersionMax"].as_str().unwrap().starts_with("1.3."));
    assert_eq!(
        words(&features["hooks"]),
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
    );
    let linux = &features["linux"];
    assert_eq!(
        words(&linux["namespaces"]),
        ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]
    );
    assert!(words(&linux["capabilities"]).contains(&"CAP_CHECKPOINT_RESTORE"));
    for part in ["v1", "v2", "systemd", "systemdUser", "rdma"] {
        assert!(linux["cgroup"][part].is_boolean(), "{part}");
    }
    assert_eq!(linux["seccomp"]["enabled"], true);
    assert_eq!(linux["mountExtensions"]["idmap"]["enabled"], true);
}

/// What is announced is accepted: each mount option, on a mount of its own.
#[test]
fn announced_mount_options_are_mounted_with() {
    let Some(bench) = Bench::new("features-mounts") else { return };
    let features = features(&bench);
    for option in words(&features["mountOptions"]) {
        // These change what is mounted, and others than this test try them.
        if matches!(option, "bind" | "rbind" | "remount" | "idmap" | "ridmap" | "mand") {
            continue;
        }
        let id = bench.create(|config| {
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts.push(json!({ "destination": "/mnt", "type": "tmpfs", "source": "x", "options": [option] }));
        });
        bench.paddle(&["delete", "--force", &id]).ok();
    }
}

/// And versions: the least, the most, and nothing before or after.
#[test]
fn announced_versions_are_accepted() {
    let Some(bench) = Bench::new("features-versions") else { return };
    let features = features(&bench);
    for version in [&features["ociVersionMin"], &features["ociVersionMax"]] {
        let id = bench.create(|config| config["ociVersion"] = version.clone());
        bench.paddle(&["delete", "--force", &id]).ok();
    }
}

#[test]
fn a_specification_to_start_from_is_written_once() {
    let Some(bench) = Bench::new("spec") else { return };
    let folder = bench.scratch.subfolder("empty");
    let write = |options: &[&str]| {
        let mut command = bench.scratch.paddle();
        command.current_dir(&folder).arg("spec").args(options);
        run(&mut command)
    };
    write(&[]).ok();
    let text = std::fs::read(folder.join("config.json")).unwrap();
    write(&[]).exits(1).says(&["config.json", "hint"]);
    assert_eq!(std::fs::read(folder.join("config.json")).unwrap(), text);
    write(&["--rootless", "--bundle", "../home"]).ok();
    let rootless = std::fs::read(bench.scratch.path().join("home/config.json")).unwrap();
    let rootless: Value = serde_json::from_slice(&rootless).unwrap();
    assert_eq!(rootless["linux"]["uidMappings"][0]["size"], 1);
}

/// What it wrote runs, as root and as an ordinary user.
#[test]
fn the_written_specification_runs() {
    let Some(bench) = Bench::new("spec-run") else { return };
    // Nothing is changed but where its output goes.
    let id = bench.start(|config| config["process"]["args"] = json!(["sleep", "1000"]));
    assert_eq!(bench.says(&id, &[], "busybox hostname"), "paddle\n");
}
