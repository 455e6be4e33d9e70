//! `restore`: a container whose processes criu makes again, from files that `checkpoint` wrote.
//!
//! The state, the cgroups and what is known of the container are made as `create` makes them; in the place of process 1 comes
//! criu, as a child of ours, and makes that as our child.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, FdFlags, retry_on_intr};
use rustix::mount::{MountPropagationFlags, mount_bind_recursive, mount_change};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::create::{Attendance, Entered, enter, undo};
use super::run::settle;
use super::{Foreground, LifecycleError, Request};
use crate::checkpoint::{self, CheckpointError, Restore};
use crate::plan::NamespaceKind;
use crate::run::claim;
use crate::runtime::{ProcessId, StateDirectory, Status};
use crate::spawn::{Child, SpawnError};
use crate::supervise::{self, Ended, Limits, Signal, Signals, Streams, Wanted};
use crate::sys;
use crate::sys::clone::Side;

/// Makes the container again. How it ended, if that was waited for; and what went wrong with its poststop hooks.
pub fn restore(
    request: &Request,
    restore: Restore,
    states: &StateDirectory,
    foreground: Foreground,
) -> Result<(Option<Ended>, Option<SpawnError>), LifecycleError> {
    checkpoint::refuse_terminal(&request.bundle.spec)?;
    let Foreground::Yes { keep } = foreground else {
        let mut entered = enter(request, states, Attendance::Left)?;
        return match make(&mut entered, request, restore) {
            Ok(_) => Ok((None, None)),
            Err(error) => Err(undo(entered, error)),
        };
    };
    let signals = Signals::block().map_err(LifecycleError::Streams)?;
    let streams = Streams::open(Wanted { tty: false, interactive: true });
    let streams = streams.map_err(LifecycleError::Streams)?;
    let mut entered = enter(request, states, Attendance::Foreground { keep })?;
    let limits = Limits { timeout: None, stop_signal: Signal::TERM };
    let ended = make(&mut entered, request, restore)
        .and_then(|child| Ok(supervise::wait(child, &signals, streams, limits, None)?));
    match ended {
        Ok(ended) => Ok((Some(ended), settle(entered, ended, keep)?)),
        Err(error) => Err(undo(entered, error)),
    }
}

/// Has criu make the processes, and enters who is the first of them.
fn make(
    entered: &mut Entered,
    request: &Request,
    mut restore: Restore,
) -> Result<Child, LifecycleError> {
    let spec = &request.bundle.spec;
    let Entered { held, plan } = entered;
    claim::group(held, &plan.cgroup)?;
    // criu writes the number before it is known whether everything succeeds.
    let folder = tempfile::tempdir().map_err(LifecycleError::Streams)?;
    restore.root = checkpoint::root_of(spec);
    restore.pid_file = folder.path().join("pid");
    restore.external.extend(checkpoint::sources(spec, &request.bundle.path));
    restore.common.empty_network |= checkpoint::has_new_network(spec);
    let mut given = give_streams(&mut restore)?;
    given.extend(give_namespaces(spec, &mut restore)?);
    make_mount_point(&restore.root)?;
    restore.run()?;
    drop(given);
    let child = first(&restore.pid_file)?;
    let process = ProcessId::of(child.pid).map_err(LifecycleError::Identity)?;
    held.set_status(Status::Running { process })?;
    if plan.has_new(NamespaceKind::Network) {
        loopback_up(&child).map_err(|errno| LifecycleError::Streams(errno.into()))?;
    }
    request.handles.write_pid(child.pid)?;
    Ok(child)
}

/// criu wants the new root to be a mount point. In a mount namespace of our own, so that none is left behind.
fn make_mount_point(root: &Path) -> Result<(), CheckpointError> {
    let made = || -> Result<(), Errno> {
        sys::clone::unshare(NamespaceKind::Mount.flag())?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change(c"/", private)?;
        mount_bind_recursive(root, root)
    };
    made().map_err(|errno| CheckpointError::Root { path: root.to_owned(), source: errno.into() })
}

/// Our three streams come in the places of those that were the caller's. Descriptors that were one file are one again: a
/// device among ours is opened for both reading and writing then.
fn give_streams(restore: &mut Restore) -> Result<Vec<OwnedFd>, LifecycleError> {
    let names = checkpoint::descriptors(&restore.common.images)?;
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let ours = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    let mut given: Vec<OwnedFd> = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for name in names.iter().map(String::as_str).filter(|name| !name.is_empty()) {
        if done.contains(&name) {
            continue;
        }
        done.push(name);
        let candidates = || names.iter().zip(ours).filter(|(other, _)| other.as_str() == name);
        let device = candidates().map(|(_, stream)| stream).find(|stream| is_device(*stream));
        // The last of one name is who writes, mostly.
        let Some(stream) = device.or_else(|| candidates().next_back().map(|(_, stream)| stream))
        else {
            continue;
        };
        let kept = keep(stream).map_err(|errno| LifecycleError::Streams(errno.into()))?;
        restore.inherited.push((kept.as_raw_fd(), name.to_owned()));
        given.push(kept);
    }
    Ok(given)
}

fn is_device(stream: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(stream)
        .is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::CharacterDevice)
}

fn keep(stream: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let again = format!("/proc/self/fd/{}", stream.as_raw_fd());
    let again = is_device(stream)
        .then(|| rustix::fs::open(again, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).ok())
        .flatten();
    let kept = match again {
        Some(again) => again,
        None => rustix::io::fcntl_dupfd_cloexec(stream, 3)?,
    };
    rustix::io::fcntl_setfd(&kept, FdFlags::empty())?;
    Ok(kept)
}

/// Namespaces that exist are joined, those of network and pids by a descriptor.
fn give_namespaces(spec: &Spec, restore: &mut Restore) -> Result<Vec<OwnedFd>, CheckpointError> {
    let mut given = Vec::new();
    for (kind, path) in checkpoint::paths(spec) {
        let Some(path) = path else { continue };
        if let Some((_, key)) = checkpoint::external_key(kind) {
            let opened = rustix::fs::open(path, OFlags::RDONLY, Mode::empty());
            let opened = opened.map_err(|errno| CheckpointError::Namespace {
                path: path.to_owned(),
                source: errno.into(),
            })?;
            restore.inherited.push((opened.as_raw_fd(), key.to_owned()));
            given.push(opened);
            continue;
        }
        let name = match kind {
            LinuxNamespaceType::Ipc => "ipc",
            LinuxNamespaceType::Uts => "uts",
            LinuxNamespaceType::Mount => "mnt",
            LinuxNamespaceType::User => "user",
            LinuxNamespaceType::Time => "time",
            _ => return Err(CheckpointError::Joined(kind.to_string())),
        };
        restore.joined.push((name, path.to_owned()));
    }
    Ok(given)
}

/// The first of the processes that criu made, a child of ours.
fn first(file: &Path) -> Result<Child, LifecycleError> {
    let missing = |source| CheckpointError::Read { path: file.to_owned(), source };
    let text = std::fs::read_to_string(file).map_err(missing)?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| missing(std::io::ErrorKind::InvalidData.into()))?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|errno| LifecycleError::Identity(errno.into()))?;
    Ok(Child { pid, pidfd, console: None })
}

/// A network namespace that was made empty has a loopback device, which is down.
fn loopback_up(child: &Child) -> Result<(), Errno> {
    match sys::clone::fork_into(0, None)? {
        Side::Child => {
            let up =
                move_into_thread_name_spaces(child.pidfd.as_fd(), ThreadNameSpaceType::NETWORK)
                    .and_then(|()| sys::net::loopback_up());
            sys::clone::exit_now(i32::from(up.is_err()))
        }
        Side::Parent { pidfd, .. } => {
            let ended =
                retry_on_intr(|| waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED))?;
            match ended.and_then(|status| status.exit_status()) {
                Some(0) => Ok(()),
                _ => Err(Errno::NETDOWN),
            }
        }
    }
}
