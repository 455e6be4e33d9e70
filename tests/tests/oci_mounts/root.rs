//! The root: a bundle's own folder, wherever it lies, and how it is entered.

use launcher::host::{Host, Kernel};
use launcher::plan::RootPlan;
use serde_json::json;
use tests::require;

use crate::bundle::{Bundle, Line};

#[test]
fn a_bundles_folder_is_written_unless_it_is_read_only() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("written");
    bundle.check(&json!({}), &["write=/x", "mkdir=/y"], "ok\nok\n");
    assert!(bundle.root().join("x").is_file() && bundle.root().join("y").is_dir());
    // Mount points and the working directory are made before that.
    let changes = json!({
        "root": { "path": "rootfs", "readonly": true },
        "process": { "cwd": "/made/here" },
        "mounts": [{ "destination": "/new/tmp", "type": "tmpfs", "source": "tmpfs" }],
    });
    bundle.check(
        &changes,
        &["write=/z", "write=/new/tmp/z", "cwd", "write=/new/z"],
        "EROFS\nok\n/made/here\nEROFS\n",
    );
}

#[test]
fn the_folder_may_lie_on_anything_and_be_a_mount_itself() {
    if !require::root() {
        return;
    }
    let into = |mount: &str| {
        format!(
            "cp -a %ROOT/probe %HOST/probe; {mount}; cp %HOST/probe %ROOT/probe; mkdir -p %ROOT/proc %ROOT/dev"
        )
    };
    for before in [
        into("mount -t tmpfs -o nosuid,noatime tmpfs %ROOT"),
        into("mount -t tmpfs tmpfs %ROOT; mount --make-private %ROOT"),
        into(
            "mkdir %HOST/u %HOST/w %HOST/l; mount -t tmpfs tmpfs %HOST/u; mkdir %HOST/u/u %HOST/u/w
              mount -t overlay -o lowerdir=%HOST/l,upperdir=%HOST/u/u,workdir=%HOST/u/w overlay %ROOT",
        ),
        into("mount --bind %ROOT %ROOT; mount --make-shared %ROOT"),
        into("mount --make-rprivate /"),
    ] {
        for propagation in ["", "shared", "rslave", "private", "unbindable"] {
            let bundle = Bundle::new("anywhere").before(&before);
            let changes = if propagation.is_empty() {
                json!({})
            } else {
                json!({ "linux": { "rootfsPropagation": propagation } })
            };
            bundle.check(
                &changes,
                &["write=/x", "write=/dev/null", "ls=/"],
                "ok\nok\ndev etc probe proc sys tmp x \n"
                    .replace(
                        "etc ",
                        if before.contains("tmpfs %ROOT")
                            || before.contains("overlay %ROOT")
                            || before.contains("noatime")
                        {
                            ""
                        } else {
                            "etc "
                        },
                    )
                    .replace(
                        "sys tmp ",
                        if before.contains("tmpfs %ROOT")
                            || before.contains("overlay %ROOT")
                            || before.contains("noatime")
                        {
                            ""
                        } else {
                            "sys tmp "
                        },
                    )
                    .as_str(),
            );
        }
    }
}

/// The host's own root, of the mount namespace that the test has to itself.
#[test]
fn the_folder_may_be_the_hosts_root() {
    if !require::root() {
        return;
    }
    let changes = json!({ "root": { "path": "/", "readonly": true }, "process": { "cwd": "/" } });
    for no_pivot in [false, true] {
        let bundle = Bundle::new("hosts");
        let bundle = if no_pivot { bundle.without_pivot() } else { bundle };
        let mut plan = bundle.plan(&changes, &[]).unwrap();
        plan.root = RootPlan::Folder { path: "/".into(), readonly: true };
        let probe = bundle.root().join("probe").display().to_string();
        plan.process.argv =
            [probe.as_str(), "write=/written-by-a-test", "pid"].map(str::to_owned).to_vec();
        let ran = bundle.run_plan(&plan);
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str()),
            ("EROFS\n1\n", ""),
            "no_pivot {no_pivot}"
        );
    }
}

/// What is mounted below the folder is part of it.
#[test]
fn mounts_in_the_folder_come_along() {
    if !require::root() {
        return;
    }
    let bundle =
        Bundle::new("along").before("mount -t tmpfs tmpfs %ROOT/tmp; echo here >%ROOT/tmp/file");
    bundle.check(&json!({}), &["cat=/tmp/file"], "here\n");
}

#[test]
fn the_root_travels_as_it_is_told() {
    if !require::root() {
        return;
    }
    let data = json!([{ "destination": "/data", "type": "tmpfs", "source": "tmpfs" }]);
    for (word, root, below) in [
        ("shared", "shared", ""),
        ("rshared", "shared", "shared"),
        ("slave", "slave", ""),
        ("rslave", "slave", ""),
        ("private", "", ""),
        ("rprivate", "", ""),
        ("unbindable", "unbindable", ""),
        ("runbindable", "unbindable", "unbindable"),
    ] {
        let bundle = Bundle::new("told");
        let changes = json!({ "mounts": data, "linux": { "rootfsPropagation": word } });
        assert_eq!(bundle.line(&changes, "/").travels, root, "{word}");
        assert_eq!(bundle.line(&changes, "/data").travels, below, "{word}");
    }
    let bundle = Bundle::new("told");
    // What that means: a mount shows in a copy of the root, or not; or there is no copy.
    let questions =
        ["mkdir=/copy", "mkdir=/new", "bind=/:/copy", "mount=/new", "write=/new/x", "ls=/copy/new"];
    for (word, expected) in [
        ("shared", "ok\nok\nok\nok\nok\nx \n"),
        ("private", "EEXIST\nEEXIST\nok\nok\nok\n\n"),
        ("slave", "EEXIST\nEEXIST\nok\nok\nok\n\n"),
        ("unbindable", "EEXIST\nEEXIST\nEINVAL\nok\nok\nENOENT\n"),
    ] {
        bundle.check(&json!({ "linux": { "rootfsPropagation": word } }), &questions, expected);
    }
}

/// Nothing that the container mounts on its way is seen by the host, however that shares its mounts.
#[test]
fn the_host_sees_nothing_of_it() {
    if !require::root() {
        return;
    }
    for word in ["", "shared", "rshared", "rslave", "private"] {
        for no_pivot in [false, true] {
            let bundle = Bundle::new("unseen")
                .before("cat /proc/self/mountinfo >%HOST/before")
                .after("cat /proc/self/mountinfo >%HOST/after; diff %HOST/before %HOST/after");
            let bundle = if no_pivot { bundle.without_pivot() } else { bundle };
            let changes = if word.is_empty() {
                json!({})
            } else {
                json!({ "linux": { "rootfsPropagation": word } })
            };
            bundle.check(&changes, &["echo=ran"], "ran\n");
        }
    }
}

#[test]
fn a_root_is_entered_without_pivot_root_too() {
    if !require::root() {
        return;
    }
    for changes in [
        json!({}),
        json!({ "linux": { "rootfsPropagation": "rshared" } }),
        json!({ "root": { "path": "rootfs", "readonly": true } }),
    ] {
        let bundle = Bundle::new("moved").without_pivot();
        let ran = bundle.run(
            &changes,
            &["ls=/", "ls=/..", "link=/proc/self/root", "cat=/proc/self/mountinfo", "ls=/../../.."],
        );
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
        let lines: Vec<&str> = ran.stdout.lines().collect();
        assert_eq!(
            &lines[..3],
            ["dev etc probe proc sys tmp ", "dev etc probe proc sys tmp ", "/"]
        );
        // Whole instances of the host's are gone: the one procfs is its own.
        let all: Vec<Line> = ran.stdout.lines().filter_map(Line::parse).collect();
        assert_eq!(all.iter().filter(|line| line.kind == "proc").count(), 1, "{}", ran.stdout);
    }
}

/// The host's mounts are none of its business then, and its are none of the host's: they are in a tree that is attached nowhere.
#[test]
fn without_a_mount_namespace_nothing_is_mounted_on_the_host() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("shared")
        .before("cat /proc/self/mountinfo >%HOST/before")
        .after("cat /proc/self/mountinfo >%HOST/after; diff %HOST/before %HOST/after");
    std::fs::write(bundle.root().join("secret"), "secret\n").unwrap();
    let kernel = Host::probe().unwrap().kernel();
    for namespaces in [json!([]), json!([{ "type": "pid" }])] {
        let mut changes = json!({ "linux": { "namespaces": namespaces } });
        if kernel < Kernel::new(6, 15) {
            let refused = bundle.plan(&changes, &[]).unwrap_err().to_string();
            assert!(refused.contains("no mounting without a mount namespace"), "{refused}");
            continue;
        }
        changes["mounts"] = json!([
            { "destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"] },
            { "destination": "/data/below", "type": "bind", "source": "%HOST", "options": ["rbind", "ro"] },
        ]);
        changes["linux"]["maskedPaths"] = json!(["/secret"]);
        changes["linux"]["readonlyPaths"] = json!(["/tmp"]);
        bundle.check(
            &changes,
            &["flags=/data", "write=/data/x", "write=/data/below/x", "cat=/secret", "write=/tmp/x", "ls=/", "ls=/..", "write=/dev/null"],
            "rw,nosuid\nok\nEROFS\nEROFS\ndata dev etc probe proc secret sys tmp \ndata dev etc probe proc secret sys tmp \nok\n",
        );
    }
}

/// In a user namespace that is made inside, a procfs of which nothing is hidden cannot be had, with `pivot_root` or without.
#[test]
fn without_pivot_root_nothing_hidden_is_shown_by_another_procfs() {
    if !require::root() || require::program("unshare").is_none() {
        return;
    }
    let Some(busybox) = require::file("/bin/busybox") else { return };
    for no_pivot in [false, true] {
        let bundle = Bundle::new("again");
        std::fs::copy(&busybox, bundle.root().join("busybox")).unwrap();
        let bundle = if no_pivot { bundle.without_pivot() } else { bundle };
        let script = "/busybox unshare -Urpf -m /busybox mount -t proc proc /tmp";
        // Where nothing is hidden, it can be had.
        for (masked, expected) in
            [(json!([]), "0"), (json!(["/proc/keys", "/proc/timer_list"]), "1")]
        {
            let mut plan =
                bundle.plan(&json!({ "linux": { "maskedPaths": masked } }), &[]).unwrap();
            let script = format!("{script}; echo $?");
            plan.process.argv = ["/busybox", "sh", "-c", &script].map(str::to_owned).to_vec();
            let ran = bundle.run_plan(&plan);
            assert_eq!(
                ran.stdout.trim(),
                expected,
                "no_pivot {no_pivot}, masked {masked}: {ran:?}"
            );
        }
    }
}

#[test]
fn an_ordinary_user_starts_a_bundle() {
    const USER: u32 = 60_125;
    if !require::root() || !require::user_namespaces() {
        return;
    }
    let bundle = Bundle::new("ordinary").launched_by(USER);
    let changes = json!({
        "mounts": [
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "gid=5"] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"] },
            { "destination": "/data", "type": "bind", "source": "%HOST", "options": ["rbind", "ro"] },
        ],
        "linux": {
            "namespaces": [
                { "type": "user" }, { "type": "mount" }, { "type": "pid" }, { "type": "ipc" }, { "type": "uts" },
            ],
            "uidMappings": [{ "containerID": 0, "hostID": USER, "size": 1 }],
            "gidMappings": [{ "containerID": 0, "hostID": USER, "size": 1 }],
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
        },
    });
    // A bind of the host's, which keeps what that has.
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let sys = mounts.lines().rfind(|line| line.split(' ').nth(1) == Some("/sys")).unwrap();
    let mut flags = vec!["ro"];
    flags.extend(["nosuid", "nodev", "noexec"].into_iter().filter(|flag| sys.contains(flag)));
    bundle.check(
        &changes,
        &["ids", "write=/dev/null", "write=/data/x", "write=/x", "flags=/sys", "ls=/proc/1/task"],
        &format!("0 0\nok\nEROFS\nok\n{}\n1 \n", flags.join(",")),
    );
}
