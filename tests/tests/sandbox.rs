//! The sandbox from inside: what a program in a container sees, can do, and cannot. Each container is made from a folder of
//! one static program (`src/probe.c`) by the real stages spec, plan and spawn.

mod sandbox_support;

use launcher::spec::{NetworkChoice, Overrides};
use sandbox_support::Box;
use tests::require;

fn with(change: impl FnOnce(&mut Overrides)) -> Overrides {
    let mut overrides = Overrides::default();
    change(&mut overrides);
    overrides
}

#[test]
fn a_static_program_from_a_folder() {
    if !require::root() {
        return;
    }
    let container = Box::new("static");
    container.check(&["echo=hello", "pid", "ids", "cwd", "host"], "hello\n1\n0 0\n/\nstatic\n");
    container.check_status(&Overrides::default(), &["exit=7"], 7);
    // Process 1 is spared by signals that it sends itself (pid_namespaces(7)).
    container.check_status(&Overrides::default(), &["kill=15"], 0);
}

#[test]
fn the_file_systems_of_a_container() {
    if !require::root() {
        return;
    }
    let container = Box::new("filesystems");
    for (question, expected) in [
        ("ls=/", "dev etc probe proc sys tmp"),
        ("ls=/dev", "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"),
        ("stat=/dev/null", "20666 0:0 1:3"),
        ("stat=/dev/tty", "20666 0:0 5:0"),
        ("link=/dev/fd", "/proc/self/fd"),
        ("link=/dev/ptmx", "pts/ptmx"),
        ("write=/dev/null", "ok"),
        ("read=/dev/zero", "ok"),
        ("read=/dev/urandom", "ok"),
        ("write=/dev/full", "ENOSPC"),
        ("flags=/", "rw,nodev"),
        ("flags=/proc", "rw,nosuid,nodev,noexec"),
        ("flags=/sys", "ro,nosuid,nodev,noexec"),
        ("flags=/dev", "rw,nosuid,nodev,noexec"),
        ("flags=/dev/shm", "rw,nosuid,nodev,noexec"),
        ("flags=/dev/pts", "rw,nosuid,noexec"),
        ("flags=/sys/fs/cgroup", "ro,nosuid,nodev,noexec"),
        ("write=/dev/shm/x", "ok"),
        ("write=/x", "ok"),
        ("mkdir=/sys/fs/cgroup/x", "EROFS"),
        ("cat=/etc/hostname", "filesystems"),
        ("cat=/etc/resolv.conf", ""),
        // Hidden and read-only.
        ("stat=/proc/keys", "20666 0:0 1:3"),
        ("stat=/proc/timer_list", "20666 0:0 1:3"),
        ("ls=/sys/firmware", ""),
        ("mkdir=/sys/firmware/x", "EROFS"),
        ("write=/proc/sys/kernel/core_pattern", "EROFS"),
        ("flags=/proc/sys", "ro,nosuid,nodev,noexec"),
        ("cat=/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
    ] {
        let answer = container.answer(&Overrides::default(), &[question]);
        assert_eq!(answer.trim_end(), expected, "{question}");
    }
}

#[test]
fn a_container_sees_nothing_of_the_host() {
    if !require::root() {
        return;
    }
    let container = Box::new("apart");
    container.check(&["ls=/proc/1/task", "cat=/proc/1/cgroup"], &{
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let own: String = groups
            .lines()
            .map(|line| {
                let (name, _) = line.rsplit_once(':').unwrap();
                let joined = ["memory", "pids", "devices"].iter().any(|one| name.contains(one));
                let joined = joined || groups.lines().count() == 1;
                // Groups that were joined are the root of what is seen; on a pure v2 host there is one.
                if joined { format!("{name}:/\n") } else { format!("{line}\n") }
            })
            .collect();
        format!("1 \n{own}")
    });
    let devices = container.answer(&Overrides::default(), &["cat=/proc/net/dev"]);
    assert_eq!(devices.lines().count(), 3, "only loopback:\n{devices}");
    let host = with(|o| o.network = NetworkChoice::Host);
    let resolver = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    assert_eq!(container.answer(&host, &["cat=/etc/resolv.conf"]), resolver);
    let mounts = container.answer(&Overrides::default(), &["cat=/proc/self/mountinfo"]);
    for mount in mounts.lines().filter(|line| !line.contains(" /etc/")) {
        let kind = mount.split(" - ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let kinds = [
            "overlay", "proc", "sysfs", "tmpfs", "devtmpfs", "devpts", "mqueue", "cgroup",
            "cgroup2",
        ];
        assert!(kinds.contains(&kind), "{mount}");
    }
}

#[test]
fn what_the_program_is_given() {
    if !require::root() {
        return;
    }
    let container = Box::new("given");
    let text = container.answer(&Overrides::default(), &["cat=/proc/self/environ"]);
    assert_eq!(
        text.split('\0').filter(|entry| !entry.is_empty()).collect::<Vec<_>>(),
        [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/",
            "HOSTNAME=given"
        ]
    );
    let overrides = with(|o| {
        o.user = Some("1000:1001".parse().unwrap());
        o.workdir = Some(common::tree::ImagePath::new("/made/here").unwrap());
        o.hostname = Some("box".parse().unwrap());
        o.ulimits = vec!["nofile=64:128".parse().unwrap()];
        o.add_hosts = vec!["db:10.0.0.1".parse().unwrap()];
    });
    container.check_with(
        &overrides,
        &["ids", "cwd", "host", "sigpipe", "blocked", "pdeathsig", "status=Groups"],
        "1000 1001\n/made/here\nbox\ndefault\n0\n9\nGroups:\t \n",
    );
    let hosts = container.answer(&overrides, &["cat=/etc/hosts", "cat=/proc/self/limits"]);
    assert!(hosts.contains("10.0.0.1\tdb\n") && hosts.contains("127.0.0.1\tlocalhost"), "{hosts}");
    let words = |line: &str| line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let limit = hosts.lines().find(|line| line.starts_with("Max open files")).map(words).unwrap();
    assert_eq!(limit[3..5], ["64", "128"]);
}

#[test]
fn volumes_and_tmpfs() {
    if !require::root() {
        return;
    }
    let container = Box::new("volumes");
    let host = container.host();
    std::fs::write(host.join("file"), "content\n").unwrap();
    let overrides = with(|o| {
        let volume = |text: &str| format!("{}{text}", host.display()).parse().unwrap();
        o.volumes =
            vec![volume(":/data"), volume(":/deep/er/data:ro"), volume("/file:/etc/one-file:ro")];
        o.tmpfs = vec!["/scratch:size=64k,mode=700".parse().unwrap()];
    });
    container.check_with(
        &overrides,
        &[
            "cat=/data/file",
            "write=/data/new",
            "cat=/deep/er/data/file",
            "write=/deep/er/data/other",
            "flags=/deep/er/data",
            "cat=/etc/one-file",
            "write=/etc/one-file",
            "stat=/scratch",
            "write=/scratch/x",
            "flags=/scratch",
        ],
        "content\nok\ncontent\nEROFS\nro,nosuid,nodev\ncontent\nEROFS\n40700 0:0 0:0\nok\n\
         rw,nosuid,nodev,noexec\n",
    );
    assert_eq!(std::fs::read_to_string(host.join("new")).unwrap(), "x");
}

#[test]
fn the_hosts_root_as_a_volume_is_the_hosts() {
    if !require::root() {
        return;
    }
    let container = Box::new("whole");
    std::fs::write(container.host().join("file"), "content\n").unwrap();
    let question = format!("cat=/all{}/file", container.host().display());
    for user_namespace in [false, true] {
        for read_only in [false, true] {
            let overrides = with(|o| {
                (o.user_namespace, o.read_only) = (user_namespace, read_only);
                o.volumes = vec!["/:/all:ro".parse().unwrap()];
            });
            container.check_with(&overrides, &[&question, "write=/all/x"], "content\nEROFS\n");
        }
    }
}

#[test]
fn a_read_only_root_with_and_without_its_mount_points() {
    if !require::root() {
        return;
    }
    let overrides = with(|o| o.read_only = true);
    let complete = Box::new("complete");
    for file in ["hosts", "hostname", "resolv.conf"] {
        std::fs::write(complete.root().join("etc").join(file), "").unwrap();
    }
    let bare = Box::bare("bare");
    for container in [complete, bare] {
        container.check_with(
            &overrides,
            &["write=/x", "flags=/", "write=/dev/shm/x", "mkdir=/proc/x"],
            "EROFS\nro,nodev\nok\nENOENT\n",
        );
        assert!(!container.root().join("x").exists());
    }
}

#[test]
fn nothing_that_is_written_reaches_the_snapshot() {
    if !require::root() {
        return;
    }
    let container = Box::new("snapshot");
    container.check(&["write=/etc/x", "write=/probe", "mkdir=/new"], "ok\nETXTBSY\nok\n");
    assert!(!container.root().join("etc/x").exists() && !container.root().join("new").exists());
    container.check(&["stat=/etc/x"], "ENOENT\n");
}

#[test]
fn a_program_that_cannot_be_started_says_why() {
    if !require::root() {
        return;
    }
    let container = Box::new("failures");
    let file = |name: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = container.root().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    file("script", "#!/no/such/shell\n", 0o755);
    file("works", "#!/probe echo=from-script\n", 0o755);
    file("plain", "text", 0o644);
    file("garbage", "\x01\x02\x03\x04", 0o755);
    for (program, status, message) in [
        ("nothing", 127, "cannot find program `nothing`: executable file not found in $PATH"),
        ("/nothing", 127, "cannot find program `/nothing`: no such file or directory"),
        (
            "/script",
            127,
            "cannot find the interpreter of `/script`: the file is there, but what it asks to be run by is not",
        ),
        ("/plain", 126, "cannot execute `/plain`: permission denied"),
        ("/etc", 126, "cannot execute `/etc`: permission denied"),
        ("/garbage", 126, "cannot execute `/garbage`: not a program that this kernel can execute"),
    ] {
        for init in [false, true] {
            let overrides = with(|o| (o.args, o.init) = (vec![program.to_owned()], init));
            let (code, text) = container.refusal(&container.plan(&overrides, &[]));
            assert_eq!(code, status, "{text}");
            assert!(text.starts_with(&format!("error: {message}")), "{text}");
        }
    }
    let overrides = with(|o| o.args = vec!["/works".to_owned()]);
    assert!(container.answer(&overrides, &[]).starts_with("from-script\n"));
    let overrides = with(|o| {
        (o.args, o.env) = (vec!["probe".to_owned()], vec![("PATH".to_owned(), "/x:/".to_owned())]);
    });
    container.check_with(&overrides, &["echo=found"], "found\n");
}

#[test]
fn init_reaps_and_ends_as_its_program() {
    if !require::root() {
        return;
    }
    let container = Box::new("init");
    let init = with(|o| o.init = true);
    container.check_with(&init, &["pid", "link=/proc/1/exe"], "2\n/memfd:paddle-init (deleted)\n");
    container.check_status(&init, &["exit=9"], 9);
    container.check_status(&init, &["kill=15"], 128 + 15);
    container.check_status(&init, &["kill=11"], 128 + 11);
    let processes = |overrides: &Overrides| {
        let names = container.answer(overrides, &["orphan"]);
        names.split(' ').filter(|name| name.parse::<u32>().is_ok()).count()
    };
    assert_eq!(processes(&init), 2, "the orphan is reaped");
    assert_eq!(processes(&Overrides::default()), 2, "without init it stays a zombie of process 1");
}

#[test]
fn a_terminal_of_its_own() {
    if !require::root() {
        return;
    }
    let container = Box::new("terminal");
    for (init, user) in [(false, None), (true, None), (false, Some("1000"))] {
        let overrides = with(|o| {
            (o.tty, o.init) = (true, init);
            o.user = user.map(|user| user.parse().unwrap());
        });
        let owner = user.unwrap_or("0");
        container.check_with(
            &overrides,
            &["tty", "ctty", "foreground", "stat=/dev/console", "tiocsti"],
            &format!("tty /dev/pts/0\r\nok\r\nyes\r\n20620 {owner}:5 136:0\r\nEPERM\r\n"),
        );
    }
}

#[test]
fn what_is_made_ahead_becomes_the_containers() {
    if !require::root() || !require::processors(2) {
        return;
    }
    let container = Box::new("ahead");
    let questions =
        ["link=/proc/self/ns/ipc", "link=/proc/self/ns/net", "cat=/proc/self/mountinfo"];
    let plan = container.plan(&Overrides::default(), &questions);
    let ran = container.start_with(&plan, &["--ahead"]).finish();
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let count = lines.iter().take_while(|line| **line == "anon_inode:[fscontext]").count();
    assert!(count >= 5, "/dev, /dev/pts, /dev/shm, /dev/mqueue and /sys: {}", ran.stdout);
    let lines = &lines[count..];
    let (ahead, inside) = (&lines[..2], &lines[2..4]);
    assert_eq!(ahead, inside);
    let ours = ["ipc", "net"].map(|kind| std::fs::read_link(format!("/proc/self/ns/{kind}")));
    for (ours, its) in ours.iter().zip(inside) {
        assert_ne!(ours.as_ref().unwrap().to_str(), Some(*its));
    }
    assert_eq!(lines.last(), Some(&"[]"), "nothing of it is kept");
    // In the order of the plan, not of their making.
    let mounted: Vec<&str> = lines[4..lines.len() - 1]
        .iter()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| plan.mounts.iter().any(|mount| mount.destination.to_string() == **point))
        .collect();
    let planned: Vec<String> =
        plan.mounts.iter().map(|mount| mount.destination.to_string()).collect();
    assert_eq!(mounted, planned);
}
