//! `coracle __prove-child`: the process that becomes a program of the image: its root (of a peer), its user,
//! no right that only the sandbox needs, then exec.
//!
//! A process of its own, as all this is the whole process's and cannot be undone.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::sys::signal::SigSet;
use nix::unistd::{Gid, Pid, Uid, chdir, chroot, setgroups, setpgid, setresgid, setresuid};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

/// The verb; it is not for people.
pub const VERB: &str = "__prove-child";
/// This program, where the sandbox shows it.
pub(in crate::proof) const PROGRAM: &str = "/.coracle/coracle";

/// The arguments of [`VERB`].
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    #[arg(long)]
    root: Option<PathBuf>,
    #[arg(long)]
    uid: u32,
    #[arg(long)]
    gid: u32,
    #[arg(long, value_delimiter = ',')]
    groups: Vec<u32>,
    #[arg(last = true, required = true)]
    words: Vec<OsString>,
}

/// Becomes the program. Comes back, as a shell would, with 127 if there is none, with 126 if it cannot be
/// executed, and with 125 if it was not even tried.
pub fn enter(arguments: &Arguments) -> ExitCode {
    let (status, what) = match become_it(arguments) {
        Err(error) => (125, error),
        Ok(()) => execute(&arguments.words),
    };
    // It is the step's standard error, which its reader is shown.
    writeln!(io::stderr(), "coracle: {what}").ok();
    ExitCode::from(status)
}

fn become_it(arguments: &Arguments) -> Result<(), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |errno: nix::Error| format!("cannot {what}: {}", errno.desc())
    };
    // A program that signals its group means what it has started.
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(failed("make a group of processes"))?;
    if let Some(root) = &arguments.root {
        chroot(root).and_then(|()| chdir("/")).map_err(failed("enter the peer's root"))?;
    }
    // What the sandbox has more than an image that is run usually.
    match remove_capability_from_bounding_set(CapabilitySet::SYS_PTRACE) {
        Err(errno) if errno != rustix::io::Errno::PERM => {
            return Err(format!("cannot give up a capability: {errno}"));
        }
        _ => {}
    }
    let (uid, gid) = (Uid::from_raw(arguments.uid), Gid::from_raw(arguments.gid));
    let groups: Vec<Gid> = arguments.groups.iter().map(|id| Gid::from_raw(*id)).collect();
    let user = format!("become user {uid} of group {gid}");
    match setgroups(&groups) {
        // A user namespace without ranges of ids has no further groups to set (user_namespaces(7)).
        Err(nix::Error::EPERM) if groups.is_empty() => {}
        result => result.map_err(failed(&user))?,
    }
    setresgid(gid, gid, gid).map_err(failed(&user))?;
    setresuid(uid, uid, uid).map_err(failed(&user))?;
    SigSet::all().thread_unblock().map_err(failed("unblock signals"))
}

/// Executes the program; a name without a slash is looked up as execvp(3) does.
fn execute(words: &[OsString]) -> (u8, String) {
    let Some((name, arguments)) = words.split_first() else {
        return (125, "no command".to_owned());
    };
    let shown = name.as_bytes().escape_ascii();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut refused = None;
    for file in places(name, &path) {
        // Standard library's exec: it gives the program the signals that a program expects.
        let error = Command::new(&file).arg0(name).args(arguments).exec();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                if file.symlink_metadata().is_err() => {}
            _ => {
                refused.get_or_insert(error);
            }
        }
    }
    match refused {
        Some(error) if error.kind() == io::ErrorKind::NotFound => {
            (127, format!("cannot execute `{shown}`: its interpreter is not in the image"))
        }
        Some(error) => (126, format!("cannot execute `{shown}`: {error}")),
        None => (127, format!("there is no program `{shown}` in the image")),
    }
}

fn places(name: &OsStr, path: &OsStr) -> Vec<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(name)];
    }
    let folders = path.as_bytes().split(|&byte| byte == b':');
    folders
        .map(|folder| if folder.is_empty() { b"." } else { folder })
        .map(|folder| Path::new(OsStr::from_bytes(folder)).join(name))
        .collect()
}
