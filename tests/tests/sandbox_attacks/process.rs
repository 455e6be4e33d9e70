//! What a process inside can get hold of, and what it leaves.

use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use launcher::cgroup::GroupPlan;
use launcher::host::{Host, Version};
use launcher::plan::NamespaceKind;
use launcher::spec::{Capability, CapabilityChoice, CapabilitySet, Overrides};
use tests::require;

use super::sandbox_support::{Box, within_seconds, without_cgroup_namespace};
use super::with;

/// Who shares a namespace with a process that can be traced, and still holds what is the host's, takes that from it
/// (CVE-2016-9962). As the kernel is asked: nothing is joined, nor anybody born into a pid namespace that exists, before
/// the process has said that it may not be traced.
#[test]
fn r4_not_dumpable_before_a_namespace_is_joined() {
    let Some(strace) = require::program("strace").filter(|_| require::root()) else { return };
    for (kind, name) in [(NamespaceKind::Ipc, "ipc"), (NamespaceKind::Pid, "pid")] {
        let container = Box::new("dumpable");
        let mut other = Command::new("unshare")
            .args([&format!("--{name}"), "--fork", "--kill-child", "sleep", "60"])
            .spawn()
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", other.id());
        let member = || fs::read_to_string(&children).unwrap().trim().to_owned();
        assert!(within_seconds(10, || !member().is_empty()));
        let mut plan = container.plan(&Overrides::default(), &["echo=ran"]);
        let joined = plan.namespaces.iter_mut().find(|one| one.kind == kind).unwrap();
        joined.path = Some(format!("/proc/{}/ns/{name}", member()).into());
        let file = container.host().join("plan");
        fs::write(&file, serde_json::to_vec(&plan).unwrap()).unwrap();
        let trace = container.host().join("trace");
        let mut command = Command::new(&strace);
        command.args(["-f", "-qq", "-e", "trace=prctl,setns", "-o"]).arg(&trace);
        let ran = command.arg(env!("CARGO_BIN_EXE_spawn-plan")).arg(&file).output().unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "ran\n", "{ran:?}");
        let trace = fs::read_to_string(trace).unwrap();
        let joins = trace.lines().find(|line| line.contains("setns(")).unwrap();
        let process = joins.split_once(' ').unwrap().0;
        let mut calls = trace.lines().filter(|line| line.starts_with(process));
        let first = calls.find(|line| line.contains("setns(") || line.contains("SET_DUMPABLE"));
        let said = "prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE) = 0";
        assert!(first.is_some_and(|line| line.contains(said)), "{name}: {trace}");
    }
}

#[test]
fn r5_no_descriptor_of_the_launcher_passes() {
    if !require::root() {
        return;
    }
    let container = Box::new("descriptors");
    for init in [false, true] {
        for tty in [false, true] {
            let overrides = with(|o| (o.init, o.tty) = (init, tty));
            let end = if tty { "\r\n" } else { "\n" };
            container.check_with(&overrides, &["fds"], &format!("0 1 2 {end}"));
        }
    }
    let init = with(|o| o.init = true);
    let answer = container.answer(&init, &["ls=/proc/1/fd"]);
    assert_eq!(answer, "0 1 2 \n", "process 1 keeps nothing");
}

#[test]
fn r6_the_hosts_executable_is_out_of_reach() {
    if !require::root() {
        return;
    }
    let container = Box::new("executable");
    container.check(&["link=/proc/1/exe", "write=/proc/1/exe"], "/probe\nETXTBSY\n");
    let init = with(|o| o.init = true);
    // Sealed: not even when nothing executes it.
    container.check_with(
        &init,
        &["link=/proc/1/exe", "write=/proc/1/exe"],
        "/memfd:paddle-init (deleted)\nETXTBSY\n",
    );
    // That is not for its being executed: F_SEAL_SEAL, SHRINK, GROW and WRITE hold for ever.
    container.check_with(&init, &["seals=/proc/1/exe"], "f\n");
}

/// A program that leads to `/proc/self/exe` would be the launcher's file, in a process that is not the launcher any more. Then
/// the launcher executes itself from a file that cannot be written; otherwise it saves that exec.
#[test]
fn r6_a_program_that_might_be_the_launcher_is_noticed() {
    let container = Box::new("exposure");
    let root = container.root();
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy(root.join("probe"), root.join("bin/app")).unwrap();
    fs::copy(root.join("probe"), root.join("bin/private")).unwrap();
    fs::set_permissions(root.join("bin/private"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(root.join("bin/script"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(root.join("bin/script"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/proc/self/exe", root.join("bin/link")).unwrap();
    symlink("app", root.join("bin/other")).unwrap();
    symlink("/proc/self", root.join("self")).unwrap();
    symlink("/dev/shm", root.join("later")).unwrap();
    let folder = fs::File::open(&root).unwrap();
    let might = |program: &str, change: &dyn Fn(&mut Overrides)| {
        let overrides = with(|o| {
            o.args = vec![program.to_owned()];
            o.env = vec![("PATH".to_owned(), "/none:/bin".to_owned())];
            change(o);
        });
        launcher::spawn::might_run_us(&container.plan(&overrides, &[]), folder.as_fd())
    };
    let path = |path: &'static str| {
        move |o: &mut Overrides| o.env = vec![("PATH".to_owned(), path.to_owned())]
    };
    for program in ["/probe", "/bin/app", "app", "other"] {
        assert!(!might(program, &|_| ()), "{program}");
    }
    for program in ["/proc/self/exe", "/bin/link", "link", "script", "private", "none", "/self/exe"]
    {
        assert!(might(program, &|_| ()), "{program}");
    }
    assert!(!might("script", &|o| o.init = true), "behind an init it is a sealed copy");
    assert!(might("exe", &path("/self:/bin")) && might("app", &path("/later:/bin")));
    assert!(might("app", &|o| o.tmpfs = vec!["/bin".parse().unwrap()]), "hidden by a mount");
    fs::remove_dir(root.join("dev")).unwrap();
    symlink("/bin", root.join("dev")).unwrap();
    assert!(might("app", &|_| ()), "hidden by a mount that a link places");
}

#[test]
fn r9_the_callers_terminal_cannot_be_typed_into() {
    if !require::root() {
        return;
    }
    let container = Box::new("typing");
    container.check(&["ctty", "tiocsti"], "ENXIO\nEPERM\n");
}

#[test]
fn r10_nothing_is_allowed_that_was_not_given() {
    if !require::root() {
        return;
    }
    let container = Box::new("denied");
    let docker = CapabilitySet::DOCKER.bits();
    let sets = |bits: u64, bounding: u64| {
        format!(
            "CapInh:\t0000000000000000\nCapPrm:\t{bits:016x}\nCapEff:\t{bits:016x}\nCapBnd:\t{bounding:016x}\n\
             CapAmb:\t0000000000000000\n"
        )
    };
    container.check(
        &[
            "status=Cap",
            "status=NoNewPrivs",
            "status=Seccomp:",
            "mount=/tmp",
            "umount=/proc",
            "mknod=/tmp/disk",
        ],
        &format!("{}NoNewPrivs:\t1\nSeccomp:\t2\nEPERM\nEPERM\nEACCES\n", sets(docker, docker)),
    );
    let mknod_everywhere =
        ["mknod=/disk", "mknod=/dev/disk", "mknod=/dev/shm/disk", "mknod=/dev/pts/disk"];
    let answers = container.answer(&Overrides::default(), &mknod_everywhere);
    assert!(answers.lines().all(|answer| answer != "ok"), "{answers}");
    let user = with(|o| o.user = Some("1000:1000".parse().unwrap()));
    container.check_with(&user, &["status=Cap"], &sets(0, docker));
    let none = with(|o| o.cap_drop = vec![CapabilityChoice::All]);
    container.check_with(&none, &["status=Cap"], &sets(0, 0));
    let one = with(|o| {
        o.cap_drop = vec![CapabilityChoice::All];
        o.cap_add = vec![CapabilityChoice::One(Capability::NET_ADMIN)];
    });
    let bit = CapabilitySet::of(&[Capability::NET_ADMIN]).bits();
    container.check_with(&one, &["status=Cap"], &sets(bit, bit));
}

/// What is mounted and made dies with the container; nothing is left on the host when it cannot start either.
#[test]
fn a_failed_start_leaves_nothing_mounted() {
    if !require::root() {
        return;
    }
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let container = Box::new("leftovers");
    let overrides = with(|o| o.args = vec!["/missing".to_owned()]);
    assert_eq!(container.refusal(&container.plan(&overrides, &[])).0, 127);
    container.check(&["echo=x"], "x\n");
    let after = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(before, after);
}

/// kill -9 of the launcher: its container dies, whatever stands in front of the program.
#[test]
fn a_container_dies_with_its_launcher() {
    if !require::root() {
        return;
    }
    let container = Box::new("orphaned");
    for init in [false, true] {
        for user_namespace in [false, true] {
            let overrides = with(|o| (o.init, o.user_namespace) = (init, user_namespace));
            let mut plan = container.plan(&overrides, &["echo=started", "sleep=600000"]);
            // Nobody is left to remove them.
            plan.cgroup.groups.clear();
            let mut launcher = container.start(&plan);
            launcher.line();
            let child = launcher.container();
            let alive = || fs::metadata(format!("/proc/{child}")).is_ok();
            assert!(alive());
            launcher.kill();
            assert!(within_seconds(5, || !alive()), "{overrides:?}");
        }
    }
}

/// A v2 group takes processes although all its controllers are v1's: the container is made in it.
#[test]
fn a_container_is_made_in_its_v2_group() {
    if !require::root() {
        return;
    }
    let host = Host::probe().unwrap();
    let Some(v2) = host.cgroups().unwrap().v2() else {
        return require::skip(format_args!("needs a mounted cgroup v2"));
    };
    let container = Box::new("unified");
    let mut plan = container.plan(&Overrides::default(), &["cat=/proc/self/cgroup"]);
    let name = format!("coracle-test-{}", std::process::id());
    plan.cgroup.groups = vec![GroupPlan {
        version: Version::V2,
        anchor: v2.mount.clone(),
        path: v2.mount.join(&name),
        needed: std::collections::BTreeSet::new(),
        welcome: std::collections::BTreeSet::new(),
        reuse: false,
        settings: Vec::new(),
        devices: None,
        owner: None,
    }];
    let outside = container.run(&without_cgroup_namespace(&plan));
    assert!(outside.stdout.contains(&format!("0::/{name}\n")), "{outside:?}");
    let inside = container.run(&plan);
    assert!(inside.stdout.contains("0::/\n"), "{inside:?}");
    assert!(!v2.mount.join(name).exists());
}
