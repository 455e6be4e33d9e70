//! As root, in a service of the host.

use tests::outcome::run;
use tests::require;

use crate::{Bench, UNIFIED, bundle, own_group, scope};

#[test]
fn this_is_such_a_host() {
    assert!(own_group().starts_with("/system.slice/job-"), "{}", own_group());
    for controller in ["cpu", "cpuset", "io", "memory", "pids"] {
        require::controller(controller).unwrap();
    }
    assert_eq!(std::fs::read_to_string("/proc/1/comm").unwrap(), "systemd\n");
}

#[test]
fn limits_hold_below_the_hosts_own_group() {
    Bench::new("limits").limits_hold(&[], &format!("{UNIFIED}/coracle"));
}

#[test]
fn a_disk_is_throttled() {
    let bench = Bench::new("disk");
    let waiting =
        bench.start(&["--device-write-bps", "/dev/vda:1m", "--device-read-iops", "/dev/vda:100"]);
    let group = waiting.group(&bench.scratch);
    let limits = std::fs::read_to_string(group.join("io.max")).unwrap();
    waiting.stop();
    let (_, limits) = limits.trim().split_once(' ').unwrap();
    assert_eq!(limits, "rbps=max wbps=1048576 riops=100 wiops=max");
}

#[test]
fn writing_to_a_throttled_disk_takes_its_time() {
    let bench = Bench::new("write");
    bench.scratch.pack(&["/bin/dd"]);
    let data = bench.scratch.subfolder("data");
    let volume = format!("{}:/data", data.display());
    let write = |options: &[&str]| {
        let options = [&["--volume", &volume], options].concat();
        let arguments = ["if=/dev/zero", "of=/data/file", "bs=64k", "count=64", "oflag=direct"];
        run(&mut bench.scratch.launch(&options, "dd", &arguments)).ok().took
    };
    // Four mebibytes: four seconds, less what the kernel lets through at first.
    let limited = write(&["--device-write-bps", "/dev/vda:1m"]);
    assert!(limited.as_secs() >= 3, "{limited:?}");
    assert!(limited > write(&[]));
}

#[test]
fn a_killed_paddle_leaves_nothing() {
    Bench::new("killed").a_killed_paddle_leaves_nothing(&[]);
}

#[test]
fn a_device_that_no_rule_allows_cannot_be_opened() {
    let bench = Bench::new("device");
    bench.scratch.pack(&["/bin/cat"]);
    let read = |options: &[&str]| {
        let options = [&["--volume", "/dev/kmsg:/kmsg:dev"], options].concat();
        run(&mut bench.scratch.launch(&options, "cat", &["/kmsg"]))
    };
    read(&[]).exits(1).says(&["/kmsg: Operation not permitted"]);
}

#[test]
fn limits_hold_in_a_scope_of_the_system() {
    let bench = Bench::of_systemd("scoped");
    bench.limits_hold(&[], &format!("{UNIFIED}/system.slice/coracle-"));
    bench.a_killed_paddle_leaves_nothing(&[]);
}

#[test]
fn systemd_makes_a_scope_of_the_system() {
    scope::check("system", false, "/system.slice");
}

#[test]
fn a_bundle_lives_in_a_scope_of_a_slice_of_its_own() {
    bundle::every_verb("bundle", false, "engines-one.slice", "engines.slice/engines-one.slice");
}

#[test]
fn a_bundles_name_can_be_had_again() {
    bundle::a_name_again("again", false, "");
}
