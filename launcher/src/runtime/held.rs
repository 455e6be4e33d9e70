//! `Held`: the folder of one container, in the hands of the process that may write it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, openat, renameat, renameat_with};
use rustix::io::Errno;

use super::lock::{self, LOCK, Said};
use super::{RuntimeError, State, Status};

pub(super) const STATE: &str = "state.json";
/// What becomes the state next.
pub(super) const STATE_NEW: &str = "state.json.new";
/// What was a state of the folder's last container. Never read.
pub(super) const STATE_OLD: &str = "state.json.old";

/// The specification that is in force.
pub(super) const CONFIG: &str = "config.json";
/// Where a process 1 that was created waits to be started.
pub(super) const SOCKET: &str = "start";

/// Where a folder waits for the next container, beside those in use.
pub(super) const SPARE: &str = ".spare";

/// No state file is longer; one that is, is not ours.
const STATE_LIMIT: u64 = 4 << 20;
/// Room for most of them: with it from the start two reads are enough.
const ROOM: usize = 4096;

/// A container that this process holds: its monitor, or who claimed it after the monitor's death.
#[derive(Debug)]
pub struct Held {
    pub(super) state: State,
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) lock: OwnedFd,
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
        let unattended = !self.state.monitored && status.process().is_some();
        if unattended || status.is_stopped() {
            lock::say(&self.lock, lock::CLEARED)
                .map_err(RuntimeError::io("write", self.path.join(LOCK)))?;
        }
        Ok(())
    }

    /// Keeps the specification that is in force, for whoever comes to the container later. Written in place, over one of
    /// an earlier container of the spare folder: nobody reads it before the state is there, for a bundle's container, or
    /// says that there is a process.
    pub fn save_config(&self, spec: &Spec) -> Result<(), RuntimeError> {
        let path = self.path.join(CONFIG);
        let bytes = serde_json::to_vec(spec)
            .map_err(|source| RuntimeError::Damaged { path: path.clone(), source })?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.fd, CONFIG, flags, Mode::RUSR | Mode::WUSR)
            .map_err(RuntimeError::io("create", &path))?;
        let failed = |source| RuntimeError::Io { action: "write", path: path.clone(), source };
        write_over(File::from(file), bytes).map_err(failed)
    }

    /// Nobody waits any more where process 1 waited to be started.
    pub fn remove_socket(&self) -> Result<(), RuntimeError> {
        absent_is_fine(rustix::fs::unlinkat(&self.fd, SOCKET, AtFlags::empty()))
            .map_err(RuntimeError::io("remove", self.path.join(SOCKET)))
    }

    /// The specification that is in force.
    pub fn config(&self) -> Result<Spec, RuntimeError> {
        read_config(&self.path)
    }

    /// The container's folder among the states.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The container's folder among the states, open.
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
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
        absent_is_fine(renameat(&self.fd, STATE, &self.fd, STATE_OLD)).map_err(failed())?;
        if self.state.bundle.is_some() {
            self.remove_socket()?;
        }
        if self.becomes_spare() {
            return Ok(());
        }
        for name in [STATE_NEW, STATE_OLD, CONFIG, LOCK] {
            let removed = rustix::fs::unlinkat(&self.fd, name, AtFlags::empty());
            absent_is_fine(removed).map_err(failed())?;
        }
        let removed = rustix::fs::unlinkat(CWD, &self.path, AtFlags::REMOVEDIR);
        absent_is_fine(removed).map_err(failed())?;
        drop(self.lock);
        Ok(())
    }

    /// Whether the folder could be left to the next container. Its lock must not say that nothing is to be
    /// cleared: that would hold for a creator who is killed before it says otherwise.
    fn becomes_spare(&self) -> bool {
        let Some(root) = self.path.parent() else { return false };
        if matches!(Said::by(&self.lock), Said::Cleared) && lock::say(&self.lock, b"").is_err() {
            return false;
        }
        renameat_with(CWD, &self.path, CWD, root.join(SPARE), RenameFlags::NOREPLACE).is_ok()
    }

    pub(super) fn write(&self) -> Result<(), RuntimeError> {
        let path = self.path.join(STATE);
        let bytes = serde_json::to_vec(&self.state)
            .map_err(|source| RuntimeError::Damaged { path: path.clone(), source })?;
        let file = self.next_file().map_err(RuntimeError::io("create", &path))?;
        let failed = |source| RuntimeError::Io { action: "write", path: path.clone(), source };
        write_over(File::from(file), bytes).map_err(failed)?;
        // The state that was stays, to be written over by the next.
        match renameat_with(&self.fd, STATE_NEW, &self.fd, STATE, RenameFlags::EXCHANGE) {
            Err(Errno::NOENT | Errno::INVAL) => renameat(&self.fd, STATE_NEW, &self.fd, STATE),
            other => other,
        }
        .map_err(RuntimeError::io("write", path))
    }

    /// The file that becomes the state: one that is there already, or a new one.
    fn next_file(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |more| openat(&self.fd, STATE_NEW, flags | more, Mode::RUSR | Mode::WUSR);
        match open(OFlags::empty()) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        absent_is_fine(renameat(&self.fd, STATE_OLD, &self.fd, STATE_NEW))?;
        open(OFlags::CREATE)
    }
}

/// Replaces a file's JSON, and fills it up to whole kilobytes with line ends: most often it keeps its length, and a file that is cut
/// costs a disk more than one that is written over. (One that is emptied first, ext4 writes out as soon as it is closed.)
fn write_over(mut file: File, mut json: Vec<u8>) -> io::Result<()> {
    json.resize(json.len().next_multiple_of(1024), b'\n');
    file.write_all(&json)?;
    let length = json.len() as u64;
    if file.metadata()?.len() > length { file.set_len(length) } else { Ok(()) }
}

/// The state, or `None` where none was written yet.
pub(super) fn read_state(folder: &OwnedFd, path: &Path) -> Result<Option<State>, RuntimeError> {
    let path = path.join(STATE);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(folder, STATE, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.map_err(RuntimeError::io("open", &path))?,
    };
    let mut bytes = Vec::with_capacity(ROOM);
    File::from(file)
        .take(STATE_LIMIT)
        .read_to_end(&mut bytes)
        .map_err(|source| RuntimeError::Io { action: "read", path: path.clone(), source })?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| RuntimeError::Damaged { path, source })
}

/// For what may be gone already.
pub(super) fn absent_is_fine(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// The specification that is in force in the container whose folder among the states this is.
pub(super) fn read_config(folder: &Path) -> Result<Spec, RuntimeError> {
    let path = folder.join(CONFIG);
    let failed = |source| RuntimeError::Io { action: "read", path: path.clone(), source };
    let mut bytes = Vec::with_capacity(ROOM);
    File::open(&path)
        .and_then(|file| file.take(STATE_LIMIT).read_to_end(&mut bytes))
        .map_err(failed)?;
    serde_json::from_slice(&bytes)
        .map_err(|source| RuntimeError::Damaged { path: path.clone(), source })
}
