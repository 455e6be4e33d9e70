//! `StateDirectory`: the folder of all containers' states, and who may touch which.
//!
//! ```text
//! <root>/            0700
//!   .lock            shared: a container is being entered. Exclusive: a dead one is being claimed
//!   <id>/            0700; `mkdir` decides which of two equal names wins
//!     lock           exclusive while the container's monitor lives (flock: released by any death);
//!                    has the monitor's pid until nothing is left to clear, then `-`
//!     state.json     replaced by rename, never written in place
//!     config.json    the specification that is in force: a bundle's before the state is there, an image's before that says
//!                    that there is a process
//!     start          the socket at which a process 1 that was created waits
//!   .glance          modified when a command has looked in passing whether the monitors of many live
//!   .spare/          the folder of a container that is gone, for the next one: without a state
//! ```
//!
//! The spare folder is there for hosts whose `/run` is a disk. Making and removing a folder with three
//! files takes ext4 1 ms on an idle machine and 9 on a busy one; two renames take 10 us.
//!
//! A child that has not executed its program yet shares the monitor's lock: so a lock that is free says
//! that nobody makes anything any more. A child outlives a killed monitor by a moment only, for which
//! who finds the pid dead and the lock taken waits.
//!
//! Between `mkdir <id>` and its `flock`, a container looks dead. `.lock` covers this moment: who
//! finds an unlocked container waits for all creators before believing it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use rustix::fs::{FlockOperation, Mode, OFlags, RenameFlags, mkdirat, openat, renameat_with};
use rustix::io::Errno;
use rustix::process::getpid;

use super::held::{Held, SPARE, read_state};
use super::lock::{self, retry};
use super::{ContainerId, RuntimeError, State};

const GLOBAL_LOCK: &str = ".lock";

/// The folder of all states, opened.
#[derive(Debug)]
pub struct StateDirectory {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
}

impl StateDirectory {
    /// Opens the folder, making it (0700) where there is none.
    pub fn open(path: &Path) -> Result<Self, RuntimeError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                make_folders(path)?;
                rustix::fs::open(path, flags, Mode::empty())
            }
            other => other,
        }
        .map_err(RuntimeError::io("open", path))?;
        let status = rustix::fs::fstat(&fd).map_err(RuntimeError::io("read", path))?;
        let refuse = |why| RuntimeError::Untrusted { path: path.to_owned(), why };
        if status.st_uid != rustix::process::geteuid().as_raw() {
            return Err(refuse("it belongs to another user"));
        }
        if status.st_mode & 0o022 != 0 {
            return Err(refuse("other users can write it"));
        }
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Enters a new container, held by this process. Of two with one name exactly one succeeds. A specification that is known
    /// by now is there before the state is: whoever finds the state finds what its hooks are.
    pub fn create(&self, state: State, config: Option<&Spec>) -> Result<Held, RuntimeError> {
        let _no_claims = self.global_lock(FlockOperation::LockShared)?;
        let path = self.path.join(&state.id);
        match self.make_folder(&state.id) {
            Err(Errno::EXIST) => return Err(RuntimeError::Exists(state.id)),
            other => other.map_err(RuntimeError::io("create", &path))?,
        }
        let fd = self.open_folder(&state.id).map_err(RuntimeError::io("open", &path))?;
        // Whoever left a spare folder may hold its lock for another moment.
        let lock = lock::open(&fd, OFlags::CREATE)
            .and_then(|lock| {
                retry(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive))?;
                lock::say(&lock, getpid().as_raw_nonzero().to_string().as_bytes())?;
                Ok(lock)
            })
            .map_err(RuntimeError::io("lock", &path))?;
        let held = Held { state, fd, path, lock };
        match config.map_or(Ok(()), |spec| held.save_config(spec)).and_then(|()| held.write()) {
            Ok(()) => Ok(held),
            Err(error) => {
                held.remove().ok();
                Err(error)
            }
        }
    }

    /// The folder of a new container: the spare one, or one made now. EEXIST when the name is taken.
    fn make_folder(&self, id: &ContainerId) -> Result<(), Errno> {
        match renameat_with(&self.fd, SPARE, &self.fd, path_of(id), RenameFlags::NOREPLACE) {
            Err(Errno::NOENT | Errno::INVAL) => mkdirat(&self.fd, path_of(id), Mode::RWXU),
            other => other,
        }
    }

    /// Ids of all containers, sorted.
    pub fn ids(&self) -> Result<Vec<ContainerId>, RuntimeError> {
        let error = || RuntimeError::io("read", &self.path);
        let mut ids = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(error())? {
            let entry = entry.map_err(error())?;
            // What is no id was not made here: `.`, `..`, `.lock`.
            ids.extend(entry.file_name().to_str().ok().and_then(|name| name.parse().ok()));
        }
        ids.sort();
        Ok(ids)
    }

    /// What is known of a container, whoever holds it: a glance.
    pub fn read(&self, id: &ContainerId) -> Result<Option<State>, RuntimeError> {
        let path = self.path.join(id);
        match self.open_folder(id) {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(RuntimeError::io("open", path)(errno)),
            // Its folder may have become another container's in the meantime.
            Ok(fd) => Ok(read_state(&fd, &path)?.filter(|state| state.id == *id)),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn open_folder(&self, id: &ContainerId) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.fd, path_of(id), flags, Mode::empty())
    }

    pub(super) fn global_lock(&self, operation: FlockOperation) -> Result<OwnedFd, RuntimeError> {
        let path = self.path.join(GLOBAL_LOCK);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = openat(&self.fd, GLOBAL_LOCK, flags, Mode::RUSR | Mode::WUSR)
            .map_err(RuntimeError::io("open", &path))?;
        retry(|| rustix::fs::flock(&lock, operation)).map_err(RuntimeError::io("lock", &path))?;
        Ok(lock)
    }
}

fn make_folders(path: &Path) -> Result<(), RuntimeError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| RuntimeError::Io { action: "create", path: path.to_owned(), source })
}

pub(super) fn path_of(id: &ContainerId) -> &Path {
    id.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::CgroupPaths;
    use crate::runtime::Found;
    use crate::runtime::found::living;
    use crate::runtime::held::{CONFIG, STATE_NEW, STATE_OLD};
    use crate::runtime::lock::LOCK;
    use crate::runtime::{Status, Sweep, Timestamp, sweep};
    use std::time::Duration;

    fn state(id: &str) -> State {
        State {
            id: id.parse().unwrap(),
            image: "image".to_owned(),
            bundle: None,
            annotations: std::collections::BTreeMap::new(),
            monitored: true,
            mounted: None,
            command: Vec::new(),
            hooks: None,
            created: Timestamp(0),
            remove: true,
            store: None,
            cgroup: CgroupPaths::default(),
            no_new_keyring: false,
            rdt: None,
            status: Status::Creating,
        }
    }

    #[test]
    fn what_comes_in_passing_looks_at_few_and_all_of_them_in_the_end() {
        let (_folder, directory) = directory();
        for number in 0..50 {
            // Nobody holds it: its creator is dead.
            drop(directory.create(state(&format!("dead-{number}")), None).unwrap());
        }
        let sweep = |extent| {
            assert!(sweep(&directory, extent, Held::remove).unwrap().is_empty());
            directory.ids().unwrap().len()
        };
        let later = || std::fs::remove_file(directory.path().join(".glance")).unwrap();
        assert_eq!(sweep(Sweep::InPassing), 34);
        directory.note_glance();
        assert_eq!(sweep(Sweep::InPassing), 34, "nobody looks again at once");
        later();
        assert_eq!(sweep(Sweep::InPassing), 18);
        later();
        assert_eq!(sweep(Sweep::InPassing), 2);
        later();
        assert_eq!(sweep(Sweep::InPassing), 0);
        assert_eq!(sweep(Sweep::InPassing), 0, "with few of them, everybody looks");
        for number in 0..50 {
            drop(directory.create(state(&format!("dead-{number}")), None).unwrap());
        }
        assert_eq!(sweep(Sweep::Thorough), 0);
    }

    fn directory() -> (tempfile::TempDir, StateDirectory) {
        let folder = tempfile::tempdir().unwrap();
        let directory = StateDirectory::open(&folder.path().join("a/state")).unwrap();
        (folder, directory)
    }

    #[test]
    fn of_two_containers_with_one_name_exactly_one_wins() {
        let (_folder, directory) = directory();
        let won = std::thread::scope(|scope| {
            let directory = &directory;
            let racers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| directory.create(state("one"), None))).collect();
            let results: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
            assert!(results.iter().all(|result| match result {
                Err(error) => error.to_string() == "container with given ID already exists: `one`",
                Ok(_) => true,
            }));
            results.into_iter().flatten().count()
        });
        assert_eq!(won, 1);
    }

    #[test]
    fn a_held_container_is_living_and_a_dropped_one_can_be_claimed() {
        let (_folder, directory) = directory();
        let id = "one".parse().unwrap();
        let held = directory.create(state("one"), None).unwrap();
        assert!(matches!(directory.claim(&id).unwrap(), Found::Living(found) if found.id == id));
        assert!(!directory.is_suspect(&id), "its monitor lives");
        drop(held);
        assert!(directory.is_suspect(&id), "its monitor died");
        let Found::Free(mut held) = directory.claim(&id).unwrap() else {
            panic!("nobody holds it")
        };
        let status = Status::Stopped { exit: None, finished: Timestamp(5) };
        held.set_status(status).unwrap();
        drop(held);
        assert!(!directory.is_suspect(&id), "nothing is left to clear");
        let Found::Free(held) = directory.claim(&id).unwrap() else { panic!("nobody holds it") };
        assert_eq!(held.state().status, status);
        assert!(matches!(directory.claim(&id).unwrap(), Found::Living(_)));
        held.remove().unwrap();
        assert!(matches!(directory.claim(&id).unwrap(), Found::Absent));
        assert_eq!(directory.ids().unwrap(), []);
    }

    #[test]
    fn the_child_of_a_killed_monitor_is_waited_for() {
        let (_folder, directory) = directory();
        let id = "one".parse().unwrap();
        let held = directory.create(state("one"), None).unwrap();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        lock::say(&held.lock, dead.id().to_string().as_bytes()).unwrap();
        assert!(directory.is_suspect(&id), "its monitor died, whoever holds the lock");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                drop(held);
            });
            assert!(matches!(directory.claim(&id).unwrap(), Found::Free(_)));
        });
    }

    #[test]
    fn a_spare_folder_is_the_next_containers_and_has_nothing_of_the_last() {
        let (_folder, directory) = directory();
        let mut long = state("long");
        long.command = vec!["x".repeat(999)];
        let (long, other) = (
            directory.create(long, None).unwrap(),
            directory.create(state("other"), None).unwrap(),
        );
        // Somebody who looks at a container when its folder becomes another's.
        let seen = directory.open_folder(&"long".parse().unwrap()).unwrap();
        long.remove().unwrap();
        other.remove().unwrap();
        let names = || std::fs::read_dir(&directory.path).unwrap().count();
        assert_eq!(names(), 2, "the lock and one spare folder");
        assert_eq!(directory.ids().unwrap(), []);
        let mut next = directory.create(state("next"), None).unwrap();
        let id = "next".parse().unwrap();
        for _ in 0..3 {
            next.set_status(Status::Creating).unwrap();
            let Found::Living(found) = directory.claim(&id).unwrap() else { panic!("it lives") };
            assert_eq!(found, state("next"), "written over what was longer");
        }
        assert_eq!(names(), 2, "the spare folder is used");
        let found = living(&"long".parse().unwrap(), &seen, &directory.path).unwrap();
        assert!(matches!(found, Found::Absent), "{found:?}");
        // One that was kept has a lock that says so, which must not stay.
        next.set_status(Status::Stopped { exit: None, finished: Timestamp(5) }).unwrap();
        next.remove().unwrap();
        assert_eq!(names(), 2);
        std::fs::rename(directory.path.join(SPARE), directory.path.join("killed")).unwrap();
        assert!(directory.is_suspect(&"killed".parse().unwrap()));
    }

    #[test]
    fn what_is_no_container_does_not_keep_anyone_waiting() {
        let (_folder, directory) = directory();
        let folder = directory.path.join("foreign");
        std::fs::create_dir(&folder).unwrap();
        let pipe = |name: &str| {
            let (kind, mode) = (rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR);
            rustix::fs::mknodat(rustix::fs::CWD, folder.join(name), kind, mode, 0).unwrap();
        };
        let id = "foreign".parse().unwrap();
        std::fs::write(folder.join(LOCK), b"").unwrap();
        pipe(crate::runtime::held::STATE);
        assert!(directory.is_suspect(&id));
        let error = directory.claim(&id).unwrap_err().to_string();
        assert!(error.ends_with("is damaged"), "{error}");
        std::fs::remove_file(folder.join(LOCK)).unwrap();
        pipe(LOCK);
        assert!(directory.is_suspect(&id));
        directory.claim(&id).unwrap_err();
    }

    #[test]
    fn a_creator_that_died_halfway_leaves_nothing() {
        let (_folder, directory) = directory();
        let all = [LOCK, CONFIG, STATE_NEW, STATE_OLD];
        for files in [&[][..], &[LOCK], &[LOCK, CONFIG], &[LOCK, CONFIG, STATE_NEW], &all] {
            let folder = directory.path.join("half");
            std::fs::create_dir(&folder).unwrap();
            for file in files {
                std::fs::write(folder.join(file), b"{").unwrap();
            }
            let found = directory.claim(&"half".parse().unwrap()).unwrap();
            assert!(matches!(found, Found::Absent), "{files:?}: {found:?}");
            assert!(!folder.exists(), "{files:?}");
        }
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = StateDirectory::open(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("other users can write it"), "{error}");
    }
}
