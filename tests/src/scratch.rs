//! A folder for one test, with a store and a state of its own.
//!
//! ```text
//! /tmp/coracle-test-NAME-RANDOM/     the folder's name is the mark of all that the test makes
//!     bin/coracle, bin/paddle        reachable for every user, wherever the workspace is
//!     store/  state/  home/
//! ```
//!
//! When it is dropped, nothing with its mark may be mounted, running, or in a control group: that
//! is checked after every test, and is a failure of the test.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::leftovers::Leftovers;
use crate::outcome::{Outcome, run};
use crate::{programs, require};

/// A test's own folder, and the user that its programs run as.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    /// Another user than the one who runs the test.
    user: Option<u32>,
    launches: AtomicU32,
}

impl Scratch {
    /// A folder whose programs run as the calling user.
    ///
    /// # Panics
    /// When the folder cannot be made, or the programs do not build.
    pub fn new(name: &str) -> Self {
        Self::make(name, None)
    }

    /// A folder of the ordinary user `uid`, as whom its programs run. Needs root.
    ///
    /// # Panics
    /// As [`Scratch::new`].
    pub fn of_user(name: &str, uid: u32) -> Self {
        Self::make(name, Some(uid))
    }

    fn make(name: &str, user: Option<u32>) -> Self {
        let prefix = format!("coracle-test-{name}-");
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a temporary folder can be made");
        let scratch = Self { folder, user, launches: AtomicU32::new(0) };
        scratch.give(scratch.path());
        let bin = scratch.subfolder("bin");
        for (name, program) in [("coracle", programs::coracle()), ("paddle", programs::paddle())] {
            if fs::hard_link(program, bin.join(name)).is_err() {
                fs::copy(program, bin.join(name)).expect("the program is readable");
            }
        }
        for name in ["store", "state", "home"] {
            scratch.subfolder(name);
        }
        scratch
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The store of the programs.
    pub fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    /// The folder of the containers' state.
    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// What stands in the name of everything that belongs to this test.
    ///
    /// # Panics
    /// Never: the name was made from text.
    pub fn mark(&self) -> &str {
        self.path().file_name().and_then(|name| name.to_str()).expect("the name is text")
    }

    /// A new folder of the user, below this one.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn subfolder(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(&path).expect("the folder is ours");
        self.give(&path);
        path
    }

    /// A new file of the user, below this folder.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).expect("the folder is ours");
        self.give(&path);
        path
    }

    fn give(&self, path: &Path) {
        if let Some(user) = self.user {
            chown(path, Some(user), Some(user)).expect("root may change owners");
        }
    }

    /// `coracle`, with this store.
    pub fn coracle(&self) -> Command {
        self.command(&self.path().join("bin/coracle"))
    }

    /// `paddle`, with this store and this state.
    pub fn paddle(&self) -> Command {
        let mut command = self.command(&self.path().join("bin/paddle"));
        command.arg("--root").arg(self.state());
        command
    }

    /// Any program, as this folder's user, with a small and known environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", require::PATH)
            .env("HOME", self.path().join("home"))
            .env("CORACLE_STORE", self.store())
            .env("RUST_BACKTRACE", "1");
        if let Some(user) = self.user {
            // Supplementary groups are dropped along with the user id (std::process).
            command.uid(user).gid(user);
        }
        command
    }

    /// Packs with `coracle build`, which must succeed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn pack<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Outcome {
        run(self.coracle().arg("build").args(arguments)).ok()
    }

    /// A name for a container, used for no other one.
    pub fn container(&self) -> String {
        let number = self.launches.fetch_add(1, Ordering::Relaxed);
        format!("{}.{number}", self.mark())
    }

    /// `paddle run --rm --name ... OPTIONS IMAGE ARGUMENTS`, ready to be spawned.
    pub fn launch(&self, options: &[&str], image: &str, arguments: &[&str]) -> Command {
        let mut command = self.paddle();
        command.args(["run", "--rm", "--name", &self.container()]);
        command.args(options).arg(image).args(arguments);
        command
    }

    /// What bears the mark of this folder now.
    pub fn leftovers(&self) -> Leftovers {
        Leftovers::with(self.mark())
    }

    /// Waits until nothing bears the mark, and returns what still does after five seconds. A killed
    /// process needs a moment to vanish; nothing needs longer.
    pub fn settled(&self) -> Leftovers {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let leftovers = self.leftovers();
            if leftovers.is_empty() || Instant::now() > deadline {
                return leftovers;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let leftovers = self.settled();
        leftovers.clear();
        if !std::thread::panicking() {
            assert!(leftovers.is_empty(), "the test left behind {leftovers:#?}");
        }
    }
}
