//! Whether a process was killed for want of memory, of a group that is gone before anybody has read its counters, as systemd's are.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use launcher::cgroup::{self, OomEvent, OomWatch};
use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::json;

use crate::UNIFIED;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A group with little memory, in another one that keeps the count.
struct Group {
    above: PathBuf,
    path: PathBuf,
}

impl Group {
    fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("coracle-test-memory-{}-{number}", std::process::id());
        let above = Path::new(UNIFIED).join(name);
        fs::create_dir(&above).unwrap();
        fs::write(above.join("cgroup.subtree_control"), "+memory").unwrap();
        Self::below(&above, "group")
    }

    fn below(above: &Path, name: &str) -> Self {
        let path = above.join(name);
        fs::create_dir(&path).unwrap();
        for (file, value) in [("memory.max", "8M"), ("memory.swap.max", "0")] {
            fs::write(path.join(file), value).unwrap();
        }
        Self { above: above.to_owned(), path }
    }

    fn watch(&self) -> OomWatch {
        let paths =
            json!({"groups": [{"version": "V2", "controllers": ["memory"], "path": self.path}]});
        cgroup::reopen(&serde_json::from_value(paths).unwrap()).watch_memory().unwrap()
    }

    /// A shell in the group, which has to be killed.
    fn run(&self, script: &str) {
        let mut command = Command::new("sh");
        let script = format!("echo $$ >{}/cgroup.procs; {script}", self.path.display());
        let status = command.args(["-c", &script]).stdout(Stdio::null()).status().unwrap();
        assert_eq!(status.signal(), Some(9), "{script}");
    }

    /// As systemd does, which is told of the group's end after the watch has been told of what came before.
    fn remove(&self, watch: &OomWatch) {
        let mut poll = [PollFd::new(watch, PollFlags::IN)];
        let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut poll, Some(&limit)).unwrap(), 1);
        fs::remove_dir(&self.path).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        fs::remove_dir(&self.path).ok();
        fs::remove_dir(&self.above).ok();
    }
}

/// Of a neighbour, whose kills count in the group above as well.
fn kill_beside(group: &Group) {
    Group::below(&group.above, "beside").run("exec tail /dev/zero");
}

#[track_caller]
fn check(before: impl FnOnce(&Group), script: &str, kills: u64) {
    let group = Group::new();
    let mut watch = group.watch();
    before(&group);
    group.run(script);
    group.remove(&watch);
    let told = watch.take().unwrap();
    assert_eq!(told, if kills > 0 { OomEvent::OutOfMemory } else { OomEvent::Gone });
    assert_eq!(watch.kills(), kills);
    assert_eq!(watch.take().unwrap(), OomEvent::Gone);
}

#[test]
fn a_kill_for_memory_is_known_of_a_group_that_is_gone() {
    check(|_| (), "exec tail /dev/zero", 1);
}

#[test]
fn a_kill_by_somebody_is_not_taken_for_one() {
    check(|_| (), "kill -KILL $$", 0);
}

#[test]
fn a_neighbours_kill_is_not_taken_for_ours() {
    check(kill_beside, "kill -KILL $$", 0);
}

#[test]
fn a_group_full_of_files_is_not_taken_for_killed() {
    // Its limit is reached again and again, and nobody has to die of it, but where the disk is too slow for what is written.
    let script = "f=$(mktemp -p /var/tmp); dd if=/dev/zero of=$f bs=1M count=32 2>/dev/null; rm $f; kill -KILL $$";
    let group = Group::new();
    let mut watch = group.watch();
    group.run(script);
    group.remove(&watch);
    while watch.take().unwrap() != OomEvent::Gone {}
    // The group above keeps the count, and has no other below it.
    let counts = fs::read_to_string(group.above.join("memory.events")).unwrap();
    assert_eq!(watch.kills() == 0, counts.contains("oom_kill 0\n"), "{counts}");
}
