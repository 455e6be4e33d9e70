//! Where paths lead: links, mounts, masks and nodes of a hostile image.

use std::fs;
use std::os::unix::fs::symlink;

use launcher::plan::DeviceKind;
use launcher::spec::Overrides;
use tests::require;

use super::sandbox_support::Box;
use super::with;

/// An image whose mount points are links that lead out of it: whatever happens, it happens inside.
#[test]
fn r1_links_in_the_image_lead_nowhere_outside() {
    if !require::root() {
        return;
    }
    for name in ["proc", "sys", "dev", "etc", "data", "work"] {
        for target in ["HOST", "../../../../../../HOST", "/proc/self/fd/3", "/proc/self/root", "/"]
        {
            let container = Box::new("links");
            let host = container.host();
            let link = container.root().join(name);
            fs::remove_dir(&link).ok();
            let target = target.replace("HOST", host.to_str().unwrap());
            symlink(&target, &link).unwrap();
            let volume = format!("{}:/data/below:ro", container.host().display());
            let overrides = with(|o| {
                o.volumes = vec![volume.parse().unwrap()];
                o.workdir = Some(common::tree::ImagePath::new("/work/here").unwrap());
            });
            let ran = container
                .run(&container.plan(&overrides, &["cwd", "write=/work/here/x", "write=/data/x"]));
            let made: Vec<_> = fs::read_dir(&host).unwrap().collect();
            assert!(made.is_empty(), "/{name} -> {target} reached the host: {made:?} {ran:?}");
            // It either refuses or runs with all of it inside.
            assert!(
                ran.status == Some(125) || ran.stdout.starts_with('/'),
                "/{name} -> {target}: {ran:?}"
            );
        }
    }
}

/// Whatever an image links to, and by whichever of the launcher's own steps that is opened: what the host has there is seen
/// neither by the program nor in a message.
#[test]
fn r1_secrets_of_the_host_are_never_seen() {
    const SECRET: &str = "what-only-the-host-knows";
    if !require::root() {
        return;
    }
    for name in ["leak", "etc/passwd", "etc/hosts", "etc/resolv.conf", "proc", "etc", "dev"] {
        for way in ["", "../../../../../../../../..", "/proc/self/root", "/proc/1/root"] {
            let container = Box::new("secrets");
            let secret = container.host().join("secret");
            fs::write(&secret, format!("{SECRET}:x:0:0::/:/probe\n")).unwrap();
            let link = container.root().join(name);
            fs::remove_dir(&link).ok();
            symlink(format!("{way}{}", secret.display()), &link).unwrap();
            for user_namespace in [false, true] {
                let overrides = with(|o| o.user_namespace = user_namespace);
                let file = format!("cat=/{name}");
                let below = format!("cat=/{name}/self/root{}", secret.display());
                let path = format!("cat={}", secret.display());
                let ran = container.run(&container.plan(&overrides, &[&file, &below, &path]));
                assert!(
                    !ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET),
                    "/{name} -> {way}: {ran:?}"
                );
            }
        }
    }
}

#[test]
fn r1_users_are_not_looked_up_through_links_out_of_the_image() {
    let container = Box::new("passwd");
    symlink("/etc/../../../../../../../../etc/passwd", container.root().join("etc/passwd"))
        .unwrap();
    let root = common::root::Root::open(&container.root()).unwrap();
    let overrides = with(|o| {
        o.args = vec!["/probe".to_owned()];
        o.user = Some("daemon".parse().unwrap());
    });
    let spec =
        launcher::spec::from_image(&common::oci::ImageConfiguration::default(), &overrides, &root);
    assert!(spec.is_err(), "the host's daemon was found");
}

#[test]
fn r2_kernel_parameters_do_not_follow_the_image() {
    if !require::root() {
        return;
    }
    let container = Box::new("sysctl");
    let mut plan = container.plan(&Overrides::default(), &["echo=ran"]);
    for name in ["net.ipv4...kernel.core_pattern", "net.ipv4.no_such_thing"] {
        plan.security.sysctls = [(name.to_owned(), "evil".to_owned())].into();
        let (status, message) = container.refusal(&plan);
        assert_eq!(status, 125, "{message}");
        assert!(
            message.starts_with(&format!("error: cannot set kernel parameter `{name}`")),
            "{message}"
        );
    }
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    assert!(!pattern.contains("evil"));
}

/// With `/proc` a link to the root, procfs was once mounted on top of that: reachable at `/..`, and with none of its
/// paths covered.
#[test]
fn r2_links_do_not_choose_where_the_kernels_file_systems_go() {
    if !require::root() {
        return;
    }
    let volume = |container: &Box| format!("{}:/data", container.host().display());
    for (name, target, why) in [
        ("proc", "/", "the image has links there"),
        ("proc", "data", "the image has links there"),
        ("sys", "/proc", "the image has links there"),
        ("dev", "/", "a link of the image leads to the root itself"),
        ("data", "../..", "a link of the image leads to the root itself"),
    ] {
        let container = Box::new("kernel");
        let link = container.root().join(name);
        fs::remove_dir(&link).ok();
        symlink(target, &link).unwrap();
        let overrides = with(|o| o.volumes = vec![volume(&container).parse().unwrap()]);
        let (status, message) = container.refusal(&container.plan(&overrides, &["echo=ran"]));
        assert_eq!(status, 125, "/{name} -> {target}: {message}");
        let expected = format!("error: cannot make mount point `/{name}`: {why}");
        assert!(message.starts_with(&expected), "/{name} -> {target}: {message}");
    }
}

/// A masked or read-only path that the image replaced by a link is covered where it leads, inside.
#[test]
fn r3_and_r8_masks_fall_on_what_is_meant() {
    if !require::root() {
        return;
    }
    let container = Box::new("masks");
    fs::write(container.root().join("secret"), "secret\n").unwrap();
    symlink("secret", container.root().join("alias")).unwrap();
    symlink("/loop", container.root().join("loop")).unwrap();
    let path = |text: &str| common::tree::ImagePath::new(text).unwrap();
    let mut plan =
        container.plan(&Overrides::default(), &["stat=/secret", "cat=/secret", "write=/etc/x"]);
    plan.masked.push(path("/alias"));
    plan.readonly.push(path("/etc"));
    let ran = container.run(&plan);
    assert_eq!(ran.stdout, "20666 0:0 1:3\nEROFS\n", "{ran:?}");
    plan.masked.push(path("/loop"));
    let (status, message) = container.refusal(&plan);
    assert_eq!((status, message.contains("cannot hide `/loop`")), (125, true), "{message}");
}

/// A host whose `/dev/null` is something else: the container does not get it, neither as a device nor as a mask.
#[test]
fn r8_devices_are_what_their_names_say() {
    if !require::root() {
        return;
    }
    let container = Box::new("devices");
    let mut plan = container.plan(&Overrides::default(), &["echo=ran"]);
    plan.devices[0].source = "/dev/zero".into();
    let (status, message) = container.refusal(&plan);
    assert_eq!(status, 125);
    assert!(
        message.contains("cannot make device `/dev/null`: the host has something else there"),
        "{message}"
    );
    plan.devices[0].source = container.root().join("probe");
    assert_eq!(container.refusal(&plan).0, 125);
    plan.devices[0].source = "/dev/null".into();
    plan.devices[0].kind = DeviceKind::Block;
    assert_eq!(container.refusal(&plan).0, 125);
}

/// The root that was left is gone: a second mount at `/` would be what `/..` leads to.
#[test]
fn r1_nothing_of_the_host_is_mounted_below_or_above_the_root() {
    if !require::root() {
        return;
    }
    let container = Box::new("alone");
    for user_namespace in [false, true] {
        for read_only in [false, true] {
            let overrides = with(|o| (o.user_namespace, o.read_only) = (user_namespace, read_only));
            let table = container.answer(&overrides, &["cat=/proc/self/mountinfo"]);
            let at = |line: &str| line.split(' ').nth(4).map(str::to_owned);
            let roots = table.lines().filter(|line| at(line).as_deref() == Some("/")).count();
            assert_eq!(roots, 1, "{table}");
            assert!(table.lines().count() < 40, "{table}");
        }
    }
}
