//! The maps of a new user namespace are written, and the child becomes its root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::process::Pid;

use super::Step;
use super::step::{At, Done};
use crate::plan::{IdMaps, IdRange, MapWriter};

/// In the launcher: maps the ids of the child's user namespace.
///
/// The child has not been reaped, so its pid means it and nothing else.
pub(super) fn map(maps: &IdMaps, pid: Pid) -> Done {
    let proc = proc(pid);
    if maps.deny_setgroups {
        write(&proc.join("setgroups"), "deny").at(Step::MapIds, "setgroups")?;
    }
    match &maps.writer {
        MapWriter::Launcher => {
            write(&proc.join("uid_map"), &lines(&maps.uids)).at(Step::MapIds, "users")?;
            write(&proc.join("gid_map"), &lines(&maps.gids)).at(Step::MapIds, "groups")?;
        }
        MapWriter::Helpers { newuidmap, newgidmap } => {
            help(newuidmap, pid, &maps.uids).at(Step::MapIds, newuidmap.display())?;
            help(newgidmap, pid, &maps.gids).at(Step::MapIds, newgidmap.display())?;
        }
    }
    Ok(())
}

fn proc(pid: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()))
}

/// A map must be written by one call (`user_namespaces(7)`).
fn write(path: &Path, text: &str) -> Result<(), Errno> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(file, text.as_bytes()).map(drop)
}

fn lines(ranges: &[IdRange]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for IdRange { inside, outside, count } in ranges {
        let _ = writeln!(text, "{inside} {outside} {count}");
    }
    text
}

/// Runs a set-uid helper: `newuidmap PID INSIDE OUTSIDE COUNT ...`. It says itself what it dislikes, on standard error.
fn help(program: &Path, pid: Pid, ranges: &[IdRange]) -> Result<(), Errno> {
    let numbers = ranges.iter().flat_map(|range| [range.inside, range.outside, range.count]);
    let status = Command::new(program)
        .arg(pid.as_raw_nonzero().to_string())
        .args(numbers.map(|number| number.to_string()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    if status.success() { Ok(()) } else { Err(Errno::PERM) }
}

/// In the child: user 0, group 0 and no other groups of the new user namespace, but those that are to be kept; so that what is
/// made belongs to root inside.
pub(super) fn become_root(maps: &IdMaps, keep_groups: bool) -> Done {
    if !maps.deny_setgroups && !keep_groups {
        rustix::thread::set_thread_groups(&[]).at(Step::Credentials, "0")?;
    }
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_res_gid(gid, gid, gid).at(Step::Credentials, "0")?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).at(Step::Credentials, "0")
}
