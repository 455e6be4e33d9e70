//! What the programs left on the host, as a value that two moments can be compared by.
//!
//! Several tests, and other people's containers, share a host. So only what bears a *mark* counts: a
//! text that stands in the name of each container and in the path of each folder of one test.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use walkdir::WalkDir;

/// The mounts, control groups and processes that bear a mark, as this process sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Lines of `/proc/self/mountinfo`.
    pub mounts: BTreeSet<String>,
    /// Folders below the places where control groups are mounted.
    pub cgroups: BTreeSet<PathBuf>,
    /// Process ids, each with its command line.
    pub processes: BTreeSet<String>,
}

impl Leftovers {
    /// Everything that bears `mark` now.
    pub fn with(mark: &str) -> Self {
        Self { mounts: mounts(mark), cgroups: cgroups(mark), processes: processes(mark) }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Ends and removes what is here, so that a failed test does not disturb the next one. What
    /// cannot be removed stays: this is called when something has gone wrong already.
    pub fn clear(&self) {
        for process in &self.processes {
            let id = process.split(' ').next().and_then(|id| id.parse().ok());
            if let Some(id) = id {
                kill(Pid::from_raw(id), Signal::SIGKILL).ok();
            }
        }
        for mount in self.mounts.iter().rev() {
            if let Some(at) = mount.split(' ').nth(4) {
                umount2(at, MntFlags::MNT_DETACH).ok();
            }
        }
        for group in self.cgroups.iter().rev() {
            fs::remove_dir(group).ok();
        }
    }
}

/// The names of everything below `folder`, relative to it; empty where it does not exist.
pub fn names(folder: &Path) -> BTreeSet<PathBuf> {
    WalkDir::new(folder)
        .min_depth(1)
        .into_iter()
        .filter_map(Result::ok)
        .filter_map(|entry| entry.path().strip_prefix(folder).map(Path::to_owned).ok())
        .collect()
}

/// The difference between two listings, one line each: `- gone`, `+ new`.
pub fn difference(before: &BTreeSet<PathBuf>, after: &BTreeSet<PathBuf>) -> String {
    let mut text = String::new();
    for path in before.difference(after) {
        writeln!(text, "- {}", path.display()).ok();
    }
    for path in after.difference(before) {
        writeln!(text, "+ {}", path.display()).ok();
    }
    text
}

fn mounts(mark: &str) -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    table.lines().filter(|line| line.contains(mark)).map(str::to_owned).collect()
}

fn cgroups(mark: &str) -> BTreeSet<PathBuf> {
    WalkDir::new("/sys/fs/cgroup")
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_dir())
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.to_string_lossy().contains(mark))
        .collect()
}

/// A process bears the mark in its command line, environment, executable or control groups; or, in
/// a mount namespace of its own, in one of its mounts.
fn processes(mark: &str) -> BTreeSet<String> {
    let own = std::process::id();
    let namespace = fs::read_link("/proc/self/ns/mnt").ok();
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").expect("/proc is mounted").filter_map(Result::ok) {
        let id = entry.file_name();
        let Some(id) = id.to_str().and_then(|id| id.parse::<u32>().ok()) else { continue };
        let file = |name: &str| {
            let bytes = fs::read(entry.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let link = |name: &str| fs::read_link(entry.path().join(name)).ok();
        let marked = ["cmdline", "environ", "cgroup"].iter().any(|n| file(n).contains(mark))
            || link("exe").is_some_and(|exe| exe.to_string_lossy().contains(mark))
            || (link("ns/mnt") != namespace && file("mountinfo").contains(mark));
        // A zombie whose parent has yet to collect it is the parent's, not a leftover of ours.
        let zombie = file("stat").rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
        if marked && id != own && !zombie {
            found.insert(format!("{id} {}", file("cmdline").trim_end()));
        }
    }
    found
}
