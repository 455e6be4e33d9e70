//! `criu`, the program that writes the processes of a container to files and makes them again (criu(8)).
//!
//! It is called by its command line, which is its most stable interface. What it is told is decided here; what it does with
//! it, it writes to a log, of which an error quotes what matters.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::escape::Escaped;

use super::CheckpointError;

/// What is common to writing and reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the command line")]
pub struct Common {
    /// Where the files are.
    pub images: PathBuf,
    /// Where logs go; with the images otherwise.
    pub work: Option<PathBuf>,
    /// Open TCP connections stay open.
    pub tcp_established: bool,
    /// UNIX sockets may lead out of the container.
    pub external_sockets: bool,
    /// The terminal may be the caller's.
    pub shell_job: bool,
    /// File locks are kept.
    pub file_locks: bool,
    /// What is done about cgroups.
    pub cgroups: CgroupsMode,
    /// Network namespaces are made new, and nothing of them is kept.
    pub empty_network: bool,
    /// Memory that is in an earlier image is not kept twice.
    pub auto_dedup: bool,
    /// Memory is fetched when it is needed.
    pub lazy_pages: bool,
}

/// What criu does about cgroups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "criu's own words: --manage-cgroups of criu(8)")]
pub enum CgroupsMode {
    #[default]
    Soft,
    Full,
    Strict,
    Ignore,
    None,
    Props,
}

impl CgroupsMode {
    fn word(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Full => "full",
            Self::Strict => "strict",
            Self::Ignore => "ignore",
            Self::None => "none",
            Self::Props => "props",
        }
    }
}

/// Writing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the command line")]
pub(super) struct Dump {
    /// See there.
    pub common: Common,
    /// The container's first process.
    pub pid: i32,
    /// Its root on the host.
    pub root: PathBuf,
    /// Only memory, while the container goes on; the next dump has to write only what changed since.
    pub pre: bool,
    /// The container goes on afterwards.
    pub leave_running: bool,
    /// Data on the way in TCP connections is left out.
    pub skip_in_flight: bool,
    /// Files that were removed while open get a name again.
    pub link_remap: bool,
    /// An earlier image, relative to the images.
    pub parent: Option<PathBuf>,
    /// Address and port of a page server.
    pub page_server: Option<(String, u16)>,
    /// A descriptor that is told when pages can be fetched.
    pub status: Option<i32>,
    /// The freezer's group of the container.
    pub freezer: Option<PathBuf>,
    /// What does not belong to the container: mounts, namespaces, files.
    pub external: Vec<String>,
}

/// Reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restore {
    /// See there.
    pub common: Common,
    /// The new root on the host, a mount point.
    pub root: PathBuf,
    /// Where the first process's pid is written.
    pub pid_file: PathBuf,
    /// Profile of a security module: `TYPE:NAME`.
    pub lsm_profile: Option<String>,
    /// Mount context of a security module.
    pub lsm_mount_context: Option<String>,
    /// What does not belong to the container, and what it is now.
    pub external: Vec<String>,
    /// Descriptors that take the place of what did not belong to the container: number and key.
    pub inherited: Vec<(i32, String)>,
    /// Namespaces that are joined: kind and file.
    pub joined: Vec<(&'static str, PathBuf)>,
}

impl Common {
    fn arguments(&self, log: &str) -> Vec<OsString> {
        let mut all = vec![OsString::from("-D"), self.images.clone().into()];
        if let Some(work) = &self.work {
            all.extend(["-W".into(), work.clone().into()]);
        }
        all.extend(["-o", log, "-v4"].map(OsString::from));
        all.push(format!("--manage-cgroups={}", self.cgroups.word()).into());
        for (set, option) in [
            (self.tcp_established, "--tcp-established"),
            (self.external_sockets, "--ext-unix-sk"),
            (self.shell_job, "--shell-job"),
            (self.file_locks, "--file-locks"),
            (self.auto_dedup, "--auto-dedup"),
            (self.lazy_pages, "--lazy-pages"),
        ] {
            if set {
                all.push(option.into());
            }
        }
        if self.empty_network {
            all.extend(["--empty-ns", "net"].map(OsString::from));
        }
        all
    }

    /// The folder of the logs.
    fn logs(&self) -> &Path {
        self.work.as_deref().unwrap_or(&self.images)
    }
}

impl Dump {
    const LOG: &str = "dump.log";

    /// criu's command line.
    fn arguments(&self) -> Vec<OsString> {
        let verb = if self.pre { "pre-dump" } else { "dump" };
        let mut all: Vec<OsString> = vec![verb.into(), "-t".into(), self.pid.to_string().into()];
        all.extend(self.common.arguments(Self::LOG));
        all.extend(["--root".into(), self.root.clone().into()]);
        for (set, option) in [
            (self.leave_running && !self.pre, "--leave-running"),
            (self.skip_in_flight, "--skip-in-flight"),
            (self.link_remap, "--link-remap"),
            (self.pre || self.parent.is_some(), "--track-mem"),
        ] {
            if set {
                all.push(option.into());
            }
        }
        if let Some(parent) = &self.parent {
            all.extend(["--prev-images-dir".into(), parent.clone().into()]);
        }
        if let Some((address, port)) = &self.page_server {
            all.extend(["--page-server", "--address", address].map(OsString::from));
            all.extend(["--port".into(), port.to_string().into()]);
        }
        if let Some(status) = self.status {
            all.extend(["--status-fd".into(), status.to_string().into()]);
        }
        if let Some(freezer) = &self.freezer {
            all.extend(["--freeze-cgroup".into(), freezer.clone().into()]);
        }
        all.extend(external(&self.external));
        all
    }

    /// Has it written.
    pub(super) fn run(&self) -> Result<(), CheckpointError> {
        run(&self.arguments(), &self.common.logs().join(Self::LOG))
    }
}

impl Restore {
    const LOG: &str = "restore.log";

    /// criu's command line: the container's first process becomes a child of ours.
    fn arguments(&self) -> Vec<OsString> {
        let mut all: Vec<OsString> =
            ["restore", "--restore-detached", "--restore-sibling", "--evasive-devices"]
                .map(OsString::from)
                .to_vec();
        all.extend(self.common.arguments(Self::LOG));
        all.extend(["--root".into(), self.root.clone().into()]);
        all.extend(["--pidfile".into(), self.pid_file.clone().into()]);
        for (option, value) in
            [("--lsm-profile", &self.lsm_profile), ("--lsm-mount-context", &self.lsm_mount_context)]
        {
            if let Some(value) = value {
                all.extend([option.into(), value.into()]);
            }
        }
        all.extend(external(&self.external));
        for (number, key) in &self.inherited {
            all.extend(["--inherit-fd".into(), format!("fd[{number}]:{key}").into()]);
        }
        for (kind, file) in &self.joined {
            let mut joined = OsString::from(format!("{kind}:"));
            joined.push(file);
            all.extend(["--join-ns".into(), joined]);
        }
        all
    }

    /// Has it read.
    pub fn run(&self) -> Result<(), CheckpointError> {
        run(&self.arguments(), &self.common.logs().join(Self::LOG))
    }
}

fn external(resources: &[String]) -> impl Iterator<Item = OsString> {
    resources.iter().flat_map(|resource| ["--external".into(), resource.into()])
}

/// Runs it. It says nothing on its own standard error that is not in its log as well.
fn run(arguments: &[OsString], log: &Path) -> Result<(), CheckpointError> {
    let status = Command::new("criu").args(arguments).stderr(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(CheckpointError::Criu { log: log.to_owned(), said: quote(log) }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(CheckpointError::NoCriu),
        Err(error) => Err(CheckpointError::Start(error)),
    }
}

/// The errors in criu's log, escaped: they name files of the container.
fn quote(log: &Path) -> Vec<String> {
    const LINES: usize = 5;
    let text = std::fs::read(log).unwrap_or_default();
    let errors = text
        .split(|byte| *byte == b'\n')
        .filter(|line| line.windows(5).any(|word| word == b"Error"));
    errors.take(LINES).map(|line| Escaped(line).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arguments: &[OsString]) -> String {
        let words: Vec<_> = arguments.iter().map(|word| word.to_str().unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn a_dump_is_told_all_that_was_asked() {
        let least = Dump {
            pid: 7,
            root: "/r".into(),
            common: Common { images: "/i".into(), ..Common::default() },
            ..Dump::default()
        };
        assert_eq!(
            line(&least.arguments()),
            "dump -t 7 -D /i -o dump.log -v4 --manage-cgroups=soft --root /r"
        );
        let most = Dump {
            common: Common {
                images: "/i".into(),
                work: Some("/w".into()),
                tcp_established: true,
                external_sockets: true,
                shell_job: true,
                file_locks: true,
                cgroups: CgroupsMode::Ignore,
                empty_network: true,
                auto_dedup: true,
                lazy_pages: true,
            },
            pid: 7,
            root: "/r".into(),
            pre: false,
            leave_running: true,
            skip_in_flight: true,
            link_remap: true,
            parent: Some("../p".into()),
            page_server: Some(("::1".to_owned(), 9)),
            status: Some(5),
            freezer: Some("/f".into()),
            external: vec!["mnt[/a]:/a".to_owned()],
        };
        assert_eq!(
            line(&most.arguments()),
            "dump -t 7 -D /i -W /w -o dump.log -v4 --manage-cgroups=ignore --tcp-established \
             --ext-unix-sk --shell-job --file-locks --auto-dedup --lazy-pages --empty-ns net --root /r \
             --leave-running --skip-in-flight --link-remap --track-mem --prev-images-dir ../p \
             --page-server --address ::1 --port 9 --status-fd 5 --freeze-cgroup /f --external mnt[/a]:/a"
        );
        let pre = Dump { pre: true, ..least };
        assert_eq!(
            line(&pre.arguments()),
            "pre-dump -t 7 -D /i -o dump.log -v4 --manage-cgroups=soft --root /r --track-mem"
        );
    }

    #[test]
    fn a_restore_is_told_all_that_was_asked() {
        let restore = Restore {
            common: Common { images: "/i".into(), ..Common::default() },
            root: "/r".into(),
            pid_file: "/p".into(),
            lsm_profile: Some("selinux:x".to_owned()),
            lsm_mount_context: Some("y".to_owned()),
            external: vec!["mnt[/a]:/b".to_owned()],
            inherited: vec![(0, "pipe:[5]".to_owned())],
            joined: vec![("ipc", "/n".into())],
        };
        assert_eq!(
            line(&restore.arguments()),
            "restore --restore-detached --restore-sibling --evasive-devices -D /i -o restore.log -v4 \
             --manage-cgroups=soft --root /r --pidfile /p --lsm-profile selinux:x --lsm-mount-context y \
             --external mnt[/a]:/b --inherit-fd fd[0]:pipe:[5] --join-ns ipc:/n"
        );
    }

    #[test]
    fn errors_of_the_log_are_quoted_escaped() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "(00.1) fine\n(00.2) Error (x.c:1): no \x1b[31m\n").unwrap();
        assert_eq!(quote(&log), ["(00.2) Error (x.c:1): no \\x1b[31m"]);
        assert!(quote(&folder.path().join("none")).is_empty());
    }
}
