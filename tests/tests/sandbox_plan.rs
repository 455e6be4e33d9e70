//! Plans as values: what is decided for a container, without privileges and for hosts that are made up.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is a failed test")]

use std::path::Path;

use common::oci::ImageConfiguration;
use common::report::Diagnostic as _;
use common::root::Root;
use launcher::host::{Host, Kernel, Layout};
use launcher::plan::{self, Ground, Plan, PlanError, RootPlan, Source};
use launcher::spec::{self, NetworkChoice, Overrides};

fn plan(overrides: &Overrides, host: &Host) -> Result<Plan, PlanError> {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::open(folder.path()).unwrap();
    let mut overrides = overrides.clone();
    overrides.args = vec!["/app".to_owned()];
    let spec = spec::from_image(&ImageConfiguration::default(), &overrides, &root).unwrap();
    let ground = Ground::of_image("id", Path::new("/snapshot"), Path::new("/container"));
    plan::plan(&spec, &ground, host)
}

fn host(uid: u32) -> Host {
    Host::made_up(uid, Kernel::new(6, 1), Layout::default())
}

fn mounts(plan: &Plan) -> String {
    let line = |mount: &plan::Mount| {
        let source = match &mount.source {
            Source::Bind { path, .. } => format!("bind {}", path.display()),
            Source::New { filesystem, options, .. } => {
                let options: Vec<String> = options
                    .iter()
                    .map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or("")))
                    .collect();
                format!("{filesystem} {}", options.join(","))
            }
            Source::Remount { .. } => "remount".to_owned(),
        };
        let words = mount.attributes.words();
        format!("{} {} [{}]\n", mount.destination, source.trim_end(), words.join(","))
    };
    plan.mounts.iter().map(line).collect()
}

#[test]
fn mounts_by_default_as_root() {
    insta::assert_snapshot!(mounts(&plan(&Overrides::default(), &host(0)).unwrap()), @r"
    /proc proc [nosuid,nodev,noexec]
    /dev tmpfs mode=755,size=65536k [nosuid,nodev,noexec]
    /dev/pts devpts ptmxmode=0666,mode=0620,gid=5 [nosuid,noexec]
    /sys sysfs [ro,nosuid,nodev,noexec]
    /sys/fs/cgroup tmpfs mode=755 [ro,nosuid,nodev,noexec]
    /dev/mqueue mqueue [nosuid,nodev,noexec]
    /dev/shm tmpfs mode=1777,size=65536k [nosuid,nodev,noexec]
    ");
}

#[test]
fn mounts_of_an_ordinary_user_on_the_hosts_network() {
    let overrides = Overrides {
        network: NetworkChoice::Host,
        user_namespace: true,
        volumes: vec!["/b:/x/y:ro".parse().unwrap(), "/a:/x".parse().unwrap()],
        tmpfs: vec!["/dev/shm:size=1m,exec".parse().unwrap()],
        ..Overrides::default()
    };
    insta::assert_snapshot!(mounts(&plan(&overrides, &host(1000)).unwrap()), @r"
    /proc proc [nosuid,nodev,noexec]
    /dev tmpfs mode=755,size=65536k [nosuid,nodev,noexec]
    /dev/pts devpts ptmxmode=0666,mode=0620 [nosuid,noexec]
    /sys bind /sys [rro,rnosuid,rnodev,rnoexec]
    /sys/fs/cgroup tmpfs mode=755 [ro,nosuid,nodev,noexec]
    /dev/mqueue mqueue [nosuid,nodev,noexec]
    /dev/shm tmpfs size=1m [nosuid,nodev,exec]
    /x bind /a [rnosuid,rnodev]
    /x/y bind /b [rro,rnosuid,rnodev]
    /etc/resolv.conf bind /etc/resolv.conf [ro,nosuid,nodev,noexec]
    ");
}

#[test]
fn a_plan_survives_being_printed() {
    let plan = plan(&Overrides::default(), &host(0)).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    assert!(matches!(plan.root, RootPlan::Overlay { .. }));
    assert!(plan.security.seccomp.is_some() && plan.security.no_new_privs);
}

#[test]
fn what_a_host_cannot_do_is_refused() {
    let without = plan(&Overrides::default(), &host(1000));
    assert!(matches!(without, Err(PlanError::NeedsUserNamespace)));
    let other = Overrides {
        user_namespace: true,
        user: Some("1000:1000".parse().unwrap()),
        ..Overrides::default()
    };
    assert!(matches!(plan(&other, &host(1000)), Err(PlanError::Unmapped { uid: 1000, gid: 1000 })));
}

#[test]
fn an_old_kernel_is_told_by_what_it_lacks() {
    let mapped = Overrides { user_namespace: true, ..Overrides::default() };
    let check = |uid, kernel: Kernel, overrides: &Overrides, expected: Option<&str>| {
        let host = Host::made_up(uid, kernel, Layout::default());
        let refused = plan(overrides, &host).err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), expected, "{kernel}");
    };
    let old = Kernel::new(5, 10);
    let no_attributes = "this kernel (5.10) has no mount_setattr, which came with Linux 5.12";
    check(0, old, &Overrides::default(), Some(no_attributes));
    check(1000, old, &mapped, Some(no_attributes));
    check(0, Kernel::new(5, 12), &Overrides::default(), None);
    check(1000, Kernel::new(5, 12), &mapped, None);
    let no_map =
        "this kernel (5.15) has no overlayfs above an idmapped mount, which came with Linux 5.19";
    check(0, Kernel::new(5, 15), &mapped, Some(no_map));
    check(0, Kernel::new(5, 19), &mapped, None);
    // A new kernel whose calls are hidden by a filter around the launcher.
    let mut features = Host::made_up(0, Kernel::new(6, 1), Layout::default()).features().to_owned();
    features.mount_setattr = false;
    let error = plan(&Overrides::default(), &host(0).with_features(features)).unwrap_err();
    assert!(error.hint().unwrap().contains("filter around paddle"), "{error}");
}
