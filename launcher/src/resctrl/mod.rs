//! Classes of service of the processor's caches and memory bandwidth, as folders of the resctrl file system
//! (Documentation/filesystems/resctrl.rst of the kernel).
//!
//! ```text
//! /sys/fs/resctrl/tasks, schemata          the class of whoever is in no other
//!                 CLASS/tasks, schemata
//!                 CLASS/mon_groups/ID/tasks    one container of it, counted by itself
//! ```
//!
//! Decides nothing: what a class is called and may do is planned. The root is an argument, since no machine that this is
//! developed on has the hardware: the tests make a folder that looks like it.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use common::report::{Diagnostic, ExitCode};
use serde::{Deserialize, Serialize};

/// Where it is mounted.
pub const ROOT: &str = crate::host::RESCTRL;

/// A container's class. The same value says what has to be removed when the container is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Its folder; empty for the root's own.
    pub group: String,
    /// Whether it is the container's alone, and goes with it.
    pub own: bool,
    /// Whether it may be made where it is missing.
    pub may_make: bool,
    /// Lines for its `schemata`, in this order.
    pub lines: Vec<String>,
    /// Name of the group that counts the container by itself.
    pub monitor: Option<String>,
}

/// What went wrong with a class.
#[derive(Debug, thiserror::Error)]
pub enum ResctrlError {
    /// A file or folder cannot be made, written, read or removed.
    #[error("cannot {step} `{}`", path.display())]
    Io {
        /// Which.
        step: &'static str,
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The class exists, with other limits than those that are asked for.
    #[error("the class `{group}` of resctrl exists, and has not `{line}`")]
    Differs {
        /// Which.
        group: String,
        /// What is asked for.
        line: String,
    },
    /// The container's own class exists already.
    #[error("the class `{0}` of resctrl exists already")]
    Exists(String),
}

impl Diagnostic for ResctrlError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { step: "make", .. } => {
                "the hardware has a small number of classes: see num_closids and num_rmids below /sys/fs/resctrl/info".to_owned()
            }
            Self::Io { step: "write", .. } => {
                "/sys/fs/resctrl/info/last_cmd_status says what the kernel does not like".to_owned()
            }
            Self::Differs { .. } => "ask for what it has, or for another closID".to_owned(),
            Self::Io { .. } => return None,
            Self::Exists(_) => "remove its folder, if no container is in it".to_owned(),
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Launcher
    }
}

impl Class {
    fn folder(&self, root: &Path) -> PathBuf {
        if self.group.is_empty() { root.to_owned() } else { root.join(&self.group) }
    }

    fn monitor_folder(&self, root: &Path) -> Option<PathBuf> {
        self.monitor.as_ref().map(|name| self.folder(root).join("mon_groups").join(name))
    }

    /// Makes the class, or finds that it is as it should be.
    ///
    /// # Errors
    /// As [`ResctrlError`] says. What was made until then is [removed](Self::remove) by the caller.
    pub fn make(&self, root: &Path) -> Result<(), ResctrlError> {
        let folder = self.folder(root);
        let schemata = folder.join("schemata");
        let made = self.may_make
            && match fs::create_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
                other => other.map(|()| true).map_err(failed("make", &folder))?,
            };
        if self.own && !made {
            return Err(ResctrlError::Exists(self.group.clone()));
        }
        if made {
            for line in &self.lines {
                let mut file = fs::OpenOptions::new()
                    .append(true)
                    .open(&schemata)
                    .map_err(failed("write", &schemata))?;
                // The kernel takes one line with each write, all of it or nothing.
                file.write_all(format!("{line}\n").as_bytes())
                    .map_err(failed("write", &schemata))?;
            }
        } else {
            let known = fs::read_to_string(&schemata).map_err(failed("read", &schemata))?;
            if let Some(line) = self.lines.iter().find(|line| !has(&known, line)) {
                let (group, line) = (self.group.clone(), line.clone());
                return Err(ResctrlError::Differs { group, line });
            }
        }
        self.monitor_folder(root)
            .map_or(Ok(()), |monitor| fs::create_dir(&monitor).map_err(failed("make", &monitor)))
    }

    /// The files into which a process writes `0` to be in the class, the class's own first.
    ///
    /// # Errors
    /// One cannot be opened.
    pub fn tasks(&self, root: &Path) -> Result<Vec<OwnedFd>, ResctrlError> {
        let folders = [Some(self.folder(root)), self.monitor_folder(root)];
        let open = |folder: PathBuf| {
            let path = folder.join("tasks");
            let file = fs::OpenOptions::new().write(true).open(&path);
            file.map(OwnedFd::from).map_err(failed("open", &path))
        };
        folders.into_iter().flatten().map(open).collect()
    }

    /// Removes what is the container's alone, whatever of it is there.
    ///
    /// # Errors
    /// A folder cannot be removed.
    pub fn remove(&self, root: &Path) -> Result<(), ResctrlError> {
        let own = self.own.then(|| self.folder(root));
        for folder in [self.monitor_folder(root), own].into_iter().flatten() {
            match fs::remove_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(failed("remove", &folder))?,
            }
        }
        Ok(())
    }
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ResctrlError {
    let path = path.to_owned();
    move |source| ResctrlError::Io { step, path, source }
}

/// Whether `schemata` says what a line asks for: the same resource, and of the domains that the line names each with that
/// value. The kernel pads names with blanks and values with zeros.
fn has(schemata: &str, line: &str) -> bool {
    let read = |line: &str| -> Option<(String, Vec<(String, String)>)> {
        let (resource, domains) = line.split_once(':')?;
        let domain = |domain: &str| {
            let (id, value) = domain.split_once('=')?;
            let plain = |text: &str| text.trim().trim_start_matches('0').to_ascii_lowercase();
            Some((plain(id), plain(value)))
        };
        let domains = domains.split(';').map(domain).collect::<Option<_>>()?;
        Some((resource.trim().to_owned(), domains))
    };
    let Some((resource, wanted)) = read(line) else { return false };
    schemata.lines().filter_map(read).any(|(known, domains)| {
        known == resource && wanted.iter().all(|domain| domains.contains(domain))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(group: &str, lines: &[&str]) -> Class {
        Class {
            group: group.to_owned(),
            own: false,
            may_make: !lines.is_empty(),
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
            monitor: None,
        }
    }

    /// A folder that looks like a class: the kernel fills each that is made.
    fn fill(folder: &Path, schemata: &str) {
        fs::create_dir_all(folder.join("mon_groups")).unwrap();
        fs::write(folder.join("schemata"), schemata).unwrap();
        fs::write(folder.join("tasks"), "").unwrap();
    }

    #[test]
    fn a_class_that_exists_must_have_what_is_asked_for() {
        let root = tempfile::tempdir().unwrap();
        fill(&root.path().join("gold"), "    L3:0=7ff;1=01f\n    MB:0=100;1= 70\n");
        let check = |lines: &[&str], expected: bool| {
            assert_eq!(class("gold", lines).make(root.path()).is_ok(), expected, "{lines:?}");
        };
        check(&[], true);
        check(&["L3:0=7ff;1=1f"], true);
        check(&["L3:1=1F", "MB:1=70"], true);
        check(&["L3:0=7fe"], false);
        check(&["L2:0=f"], false);
        check(&["MB:0=100;2=70"], false);
        check(&["nonsense"], false);
        // It is somebody's, and stays.
        class("gold", &[]).remove(root.path()).unwrap();
        assert!(root.path().join("gold").exists());
    }

    #[test]
    fn a_class_that_is_not_there_is_made_only_where_it_may_be() {
        let root = tempfile::tempdir().unwrap();
        let missing = class("gold", &[]).make(root.path()).unwrap_err();
        assert!(missing.to_string().contains("gold/schemata"), "{missing}");
        let mut own = Class { own: true, may_make: true, ..class("box", &[]) };
        own.make(root.path()).unwrap();
        assert!(matches!(own.make(root.path()), Err(ResctrlError::Exists(_))));
        own.remove(root.path()).unwrap();
        own.remove(root.path()).unwrap();
        assert!(!root.path().join("box").exists());
        // Made, but not filled by any kernel: what is to be written shows in the error.
        own.lines = vec!["L3:0=f".to_owned()];
        let error = own.make(root.path()).unwrap_err();
        assert!(error.to_string().starts_with("cannot write"), "{error}");
    }

    #[test]
    fn a_monitored_container_is_in_a_group_below_its_class() {
        let root = tempfile::tempdir().unwrap();
        fill(&root.path().join("gold"), "L3:0=f\n");
        let one = Class { monitor: Some("box".to_owned()), ..class("gold", &[]) };
        one.make(root.path()).unwrap();
        let group = root.path().join("gold/mon_groups/box");
        fs::write(group.join("tasks"), "").unwrap();
        for file in one.tasks(root.path()).unwrap() {
            rustix::io::write(&file, b"0").unwrap();
        }
        for tasks in [group.join("tasks"), root.path().join("gold/tasks")] {
            assert_eq!(fs::read(&tasks).unwrap(), b"0", "{}", tasks.display());
            fs::remove_file(tasks).unwrap();
        }
        one.remove(root.path()).unwrap();
        assert!(!group.exists() && root.path().join("gold").exists());
    }
}
