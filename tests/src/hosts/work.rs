//! What a guest is to do: jobs, and the files that they need, as one read-only disk.
//!
//! ```text
//! runner              tests/hosts/runner, which is what the agent runs
//! jobs/NN-NAME/       place, command
//! tree/ABSOLUTE       files, found in the guest where they are on the host
//! paths               those paths, one a line
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::machine::INPUT;

/// Where in the guest a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A service of the host, as root.
    Service,
    /// A service of the ordinary user's own manager, with controllers delegated to it.
    Delegated,
    /// A service of the ordinary user's own manager, as it is by default.
    Manager,
    /// The ordinary user's login session, as by ssh: a scope that belongs to root.
    Session,
}

impl Place {
    /// All places.
    pub const ALL: [Self; 4] = [Self::Service, Self::Delegated, Self::Manager, Self::Session];

    /// Its name, which the runner knows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Delegated => "delegated",
            Self::Manager => "manager",
            Self::Session => "session",
        }
    }
}

/// A shell script to be run somewhere.
#[derive(Debug, Clone)]
pub struct Job {
    /// What it is called in what is said about it: letters, digits and dashes.
    pub name: String,
    /// Where it runs.
    pub place: Place,
    /// Lines for bash.
    pub command: String,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The job's name, with its number before it.
    pub name: String,
    /// Its exit status; `None` if it did not end.
    pub status: Option<i32>,
    /// All that it said.
    pub output: String,
    /// From its first word to its last, by the clock of this host.
    pub took: Duration,
}

/// Jobs and files.
#[derive(Debug)]
pub struct Work {
    folder: TempDir,
    jobs: usize,
    paths: String,
}

impl Work {
    /// No job yet.
    ///
    /// # Panics
    /// When the host has no room for it.
    pub fn new() -> Self {
        let cache = super::cache();
        fs::create_dir_all(&cache).expect("the cache is ours");
        // In the cache, so that executables can be linked instead of copied.
        let folder = tempfile::Builder::new().prefix(".work-").tempdir_in(cache);
        let folder = folder.expect("the cache is ours");
        let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("hosts/runner");
        fs::copy(runner, folder.path().join("runner")).expect("the runner is there");
        Self { folder, jobs: 0, paths: String::new() }
    }

    /// Adds a job. They run in the order in which they were added.
    ///
    /// # Panics
    /// When the host has no room for it.
    pub fn job(&mut self, job: &Job) {
        self.jobs += 1;
        let folder = self.folder.path().join(format!("jobs/{:02}-{}", self.jobs, job.name));
        fs::create_dir_all(&folder).expect("the folder is ours");
        fs::write(folder.join("place"), job.place.name()).expect("the folder is ours");
        fs::write(folder.join("command"), &job.command).expect("the folder is ours");
    }

    /// Lays a file or a folder of the host at the same path of the guest.
    ///
    /// # Panics
    /// When it cannot be read, or the host has no room for it.
    pub fn file(&mut self, path: &Path) {
        let to = self.place_for(path);
        let mut copy = Command::new("cp");
        copy.arg("-aL").args([path, &to]);
        assert!(copy.status().is_ok_and(|status| status.success()), "{copy:?}");
    }

    /// Lays a program at the same path of the guest, without what only debuggers read.
    ///
    /// # Panics
    /// As [`Work::file`].
    pub fn program(&mut self, path: &Path) {
        let to = self.place_for(path);
        let mut strip = Command::new("objcopy");
        strip.arg("--strip-debug").args([path, &to]);
        assert!(strip.status().is_ok_and(|status| status.success()), "{strip:?}");
    }

    fn place_for(&mut self, path: &Path) -> PathBuf {
        let path = std::path::absolute(path).expect("a path");
        let below = path.strip_prefix("/").expect("it is absolute");
        let to = self.folder.path().join("tree").join(below);
        fs::create_dir_all(to.parent().expect("below the folder")).expect("the folder is ours");
        self.paths.push_str(&path.to_string_lossy());
        self.paths.push('\n');
        to
    }

    /// The disk, as a file without a name.
    pub(super) fn disk(&self, folder: &Path) -> File {
        fs::write(self.folder.path().join("paths"), &self.paths).expect("the folder is ours");
        let disk = tempfile::NamedTempFile::new_in(folder.parent().unwrap_or(folder));
        let disk = disk.expect("the cache is ours");
        let mut make = Command::new("mkfs.erofs");
        make.arg("--all-root").arg(disk.path()).arg(self.folder.path());
        let output = make.output().expect("mkfs.erofs starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (file, path) = disk.into_parts();
        drop(path);
        file.set_len(INPUT).expect("a sparse file");
        file
    }
}

impl Default for Work {
    fn default() -> Self {
        Self::new()
    }
}

/// Sorts what is said by job.
#[derive(Debug, Default)]
pub(super) struct Reports {
    all: Vec<Report>,
    started: Option<Instant>,
}

impl Reports {
    /// One more line.
    pub(super) fn hear(&mut self, line: &str) {
        let Some(said) = line.strip_prefix("job: ") else {
            if let Some(report) = self.all.last_mut() {
                report.output.push_str(line);
                report.output.push('\n');
            }
            return;
        };
        match (said.split_once(" ended with "), self.all.last_mut()) {
            (Some((name, status)), Some(report)) if report.name == name => {
                report.status = status.parse().ok();
                report.took = self.started.map(|started| started.elapsed()).unwrap_or_default();
            }
            _ => {
                self.started = Some(Instant::now());
                let (name, took) = (said.to_owned(), Duration::ZERO);
                self.all.push(Report { name, status: None, output: String::new(), took });
            }
        }
    }

    /// All reports.
    pub(super) fn finish(self) -> Vec<Report> {
        self.all
    }
}
