//! `StateDirectory`: the folder of all containers' states, and who may touch which.
//!
//! ```text
//! <root>/            0700
//!   .lock            shared: a container is being entered. Exclusive: a dead one is being claimed
//!   <id>/            0700; `mkdir` decides which of two equal names wins
//!     lock           exclusive while the container's monitor lives (flock: released by any death);
//!                    has the monitor's pid until nothing is left to clear, then `-`
//!     state.json     replaced by rename, never written in place
//! ```
//!
//! A child that has not executed its program yet shares the monitor's lock: so a lock that is free says
//! that nobody makes anything any more. A child outlives a killed monitor by a moment only, for which
//! who finds the pid dead and the lock taken waits.
//!
//! Between `mkdir <id>` and its `flock`, a container looks dead. `.lock` covers this moment: who
//! finds an unlocked container waits for all creators before believing it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::getpid;

use super::lock::{self, LOCK, Probe, Said, retry};
use super::{ContainerId, RuntimeError, State, Status};

const STATE: &str = "state.json";
const STATE_NEW: &str = "state.json.new";
const GLOBAL_LOCK: &str = ".lock";

/// No state file is longer; one that is, is not ours.
const STATE_LIMIT: u64 = 4 << 20;

/// The folder of all states, opened.
#[derive(Debug)]
pub struct StateDirectory {
    fd: OwnedFd,
    path: PathBuf,
}

/// A container that this process holds: its monitor, or who claimed it after the monitor's death.
#[derive(Debug)]
pub struct Held {
    state: State,
    fd: OwnedFd,
    path: PathBuf,
    lock: OwnedFd,
}

/// What a container turned out to be when asked.
#[derive(Debug)]
pub enum Found {
    /// Its monitor lives.
    Living(State),
    /// Nobody holds it; now this process does.
    Free(Held),
    /// There is none (any more).
    Absent,
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

    /// Enters a new container, held by this process. Of two with one name exactly one succeeds.
    pub fn create(&self, state: State) -> Result<Held, RuntimeError> {
        let _no_claims = self.global_lock(FlockOperation::LockShared)?;
        let path = self.path.join(&state.id);
        match rustix::fs::mkdirat(&self.fd, path_of(&state.id), Mode::RWXU) {
            Err(Errno::EXIST) => return Err(RuntimeError::Exists(state.id)),
            other => other.map_err(RuntimeError::io("create", &path))?,
        }
        let fd = self.open_folder(&state.id).map_err(RuntimeError::io("open", &path))?;
        let lock = lock::open(&fd, OFlags::CREATE | OFlags::EXCL)
            .and_then(|lock| {
                rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
                lock::say(&lock, getpid().as_raw_nonzero().to_string().as_bytes())?;
                Ok(lock)
            })
            .map_err(RuntimeError::io("lock", &path))?;
        let held = Held { state, fd, path, lock };
        held.write()?;
        Ok(held)
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

    /// Whether a container's monitor is dead and left something to clear, as far as a glance tells:
    /// four or five system calls, since each start asks this of every container.
    pub(super) fn is_suspect(&self, id: &ContainerId) -> bool {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(lock) = rustix::fs::openat(&self.fd, path_of(id).join(LOCK), flags, Mode::empty())
        else {
            return true;
        };
        match Said::by(&lock) {
            Said::Cleared => false,
            // Shared, so that two who glance do not take each other for the monitor.
            said => {
                rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared).is_ok()
                    || said.monitor_is_dead()
            }
        }
    }

    /// Takes a container over if its monitor is dead.
    pub fn claim(&self, id: &ContainerId) -> Result<Found, RuntimeError> {
        let path = self.path.join(id);
        let failed = |action| RuntimeError::io(action, path.clone());
        // The living are told apart without the global lock: that is the usual case.
        let fd = match self.open_folder(id) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Found::Absent),
            other => other.map_err(failed("open"))?,
        };
        if matches!(lock::outwait_child(&fd).map_err(failed("lock"))?, Probe::Taken) {
            return Ok(read_state(&fd, &path)?.map_or(Found::Absent, Found::Living));
        }
        drop(fd);
        let _no_creators = self.global_lock(FlockOperation::LockExclusive)?;
        let fd = match self.open_folder(id) {
            Err(Errno::NOENT) => return Ok(Found::Absent),
            other => other.map_err(failed("open"))?,
        };
        match lock::try_lock(&fd).map_err(failed("lock"))? {
            Probe::Taken => Ok(read_state(&fd, &path)?.map_or(Found::Absent, Found::Living)),
            Probe::Held(lock) => match read_state(&fd, &path)? {
                Some(state) => Ok(Found::Free(Held { state, fd, path, lock })),
                None => self.remove_empty(id, &fd).map(|()| Found::Absent),
            },
            Probe::NoLock => self.remove_empty(id, &fd).map(|()| Found::Absent),
        }
    }

    /// Removes the folder of a creator that died before it wrote a state: it has made nothing else.
    fn remove_empty(&self, id: &ContainerId, fd: &OwnedFd) -> Result<(), RuntimeError> {
        let failed = || RuntimeError::io("remove", self.path.join(id));
        for name in [STATE_NEW, LOCK] {
            absent_is_fine(rustix::fs::unlinkat(fd, name, AtFlags::empty())).map_err(failed())?;
        }
        let removed = rustix::fs::unlinkat(&self.fd, path_of(id), AtFlags::REMOVEDIR);
        absent_is_fine(removed).map_err(failed())
    }

    fn open_folder(&self, id: &ContainerId) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, path_of(id), flags, Mode::empty())
    }

    fn global_lock(&self, operation: FlockOperation) -> Result<OwnedFd, RuntimeError> {
        let path = self.path.join(GLOBAL_LOCK);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = rustix::fs::openat(&self.fd, GLOBAL_LOCK, flags, Mode::RUSR | Mode::WUSR)
            .map_err(RuntimeError::io("open", &path))?;
        retry(|| rustix::fs::flock(&lock, operation)).map_err(RuntimeError::io("lock", &path))?;
        Ok(lock)
    }
}

impl Held {
    /// What is known of it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Enters where it is in its life, on disk first.
    pub fn set_status(&mut self, status: Status) -> Result<(), RuntimeError> {
        self.state.status = status;
        self.write()?;
        if let Status::Stopped { .. } = status {
            lock::say(&self.lock, lock::CLEARED)
                .map_err(RuntimeError::io("write", self.path.join(LOCK)))?;
        }
        Ok(())
    }

    /// Changes the state, atomically for all readers.
    pub fn update(&mut self, change: impl FnOnce(&mut State)) -> Result<(), RuntimeError> {
        change(&mut self.state);
        self.write()
    }

    /// Forgets the container. All that it had must be gone before.
    pub fn remove(self) -> Result<(), RuntimeError> {
        let failed = || RuntimeError::io("remove", &self.path);
        // The state goes first: a folder without one has nothing else to clean.
        for name in [STATE, STATE_NEW, LOCK] {
            let removed = rustix::fs::unlinkat(&self.fd, name, AtFlags::empty());
            absent_is_fine(removed).map_err(failed())?;
        }
        let removed = rustix::fs::unlinkat(CWD, &self.path, AtFlags::REMOVEDIR);
        absent_is_fine(removed).map_err(failed())?;
        drop(self.lock);
        Ok(())
    }

    fn write(&self) -> Result<(), RuntimeError> {
        let path = self.path.join(STATE);
        let bytes = serde_json::to_vec(&self.state)
            .map_err(|source| RuntimeError::Damaged { path: path.clone(), source })?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, STATE_NEW, flags, Mode::RUSR | Mode::WUSR)
            .map_err(RuntimeError::io("create", &path))?;
        File::from(file).write_all(&bytes).map_err(|source| RuntimeError::Io {
            action: "write",
            path: path.clone(),
            source,
        })?;
        rustix::fs::renameat(&self.fd, STATE_NEW, &self.fd, STATE)
            .map_err(RuntimeError::io("write", path))
    }
}

/// The state, or `None` where none was written yet.
fn read_state(folder: &OwnedFd, path: &Path) -> Result<Option<State>, RuntimeError> {
    let path = path.join(STATE);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, STATE, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.map_err(RuntimeError::io("open", &path))?,
    };
    let mut bytes = Vec::new();
    File::from(file)
        .take(STATE_LIMIT)
        .read_to_end(&mut bytes)
        .map_err(|source| RuntimeError::Io { action: "read", path: path.clone(), source })?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| RuntimeError::Damaged { path, source })
}

fn make_folders(path: &Path) -> Result<(), RuntimeError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| RuntimeError::Io { action: "create", path: path.to_owned(), source })
}

fn path_of(id: &ContainerId) -> &Path {
    id.as_ref()
}

fn absent_is_fine(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::CgroupPaths;
    use crate::runtime::Timestamp;

    fn state(id: &str) -> State {
        State {
            id: id.parse().unwrap(),
            image: "image".to_owned(),
            command: Vec::new(),
            created: Timestamp(0),
            remove: true,
            store: None,
            cgroup: CgroupPaths::default(),
            status: Status::Creating,
        }
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
                (0..8).map(|_| scope.spawn(|| directory.create(state("one")))).collect();
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
        let held = directory.create(state("one")).unwrap();
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
        let held = directory.create(state("one")).unwrap();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        lock::say(&held.lock, dead.id().to_string().as_bytes()).unwrap();
        assert!(directory.is_suspect(&id), "its monitor died, whoever holds the lock");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(50));
                drop(held);
            });
            assert!(matches!(directory.claim(&id).unwrap(), Found::Free(_)));
        });
    }

    #[test]
    fn a_creator_that_died_halfway_leaves_nothing() {
        let (_folder, directory) = directory();
        for files in [&[][..], &[LOCK], &[LOCK, STATE_NEW]] {
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
