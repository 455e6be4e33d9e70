//! This program's own file, kept out of a container's reach (R6).
//!
//! A process on its way into a container is this program until it executes another. A container's program that leads
//! to `/proc/self/exe`, or a script run by that, makes it stay what it is; and whoever inside can open `/proc/<pid>/exe`
//! holds the host's file, to be written when nothing executes it any more (CVE-2019-5736).
//!
//! So a command that sends a process into a container which runs first becomes one that executes a file that nobody can
//! write through that link: the same, by a read-only mount that is attached nowhere. Where the kernel lets it, it goes on as it is
//! and has its memory mapped from there ([`sys::image`], 0.2 ms); otherwise it executes it (0.5 ms); without the right to mount,
//! a sealed copy in memory. An ordinary user's command does so only if the file is that user's own.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use rustix::fs::{Access, AtFlags, CWD, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use super::step::At;
use super::{SpawnError, Step, place};
use crate::sys;
use crate::sys::exec::Strings;
use crate::sys::mount::{Extent, Travel};

const LINK: &std::ffi::CStr = c"/proc/self/exe";

/// Has this process execute a file that cannot be written from inside, unless it does already: the same, by a view of it. Where that
/// needs an exec, it is one with the same arguments and environment; so this is to be called before anything is opened or
/// changed that an exec would lose.
///
/// # Errors
///
/// No way works.
pub fn out_of_reach() -> Result<(), SpawnError> {
    const OBJECT: &str = "this program's own file";
    if is_out_of_reach().at(Step::Protect, OBJECT)? {
        return Ok(());
    }
    let view = read_only();
    if view.as_ref().is_ok_and(adopted) {
        return Ok(());
    }
    let strings = |all: Vec<Vec<u8>>| Strings::new(all).or(Err(Errno::INVAL));
    let arguments = std::env::args_os().map(OsStringExt::into_vec).collect();
    let arguments = strings(arguments).at(Step::Protect, OBJECT)?;
    let environment = std::env::vars_os().map(|(name, value)| {
        let mut entry = name.into_vec();
        entry.push(b'=');
        entry.extend(value.into_vec());
        entry
    });
    let environment = strings(environment.collect()).at(Step::Protect, OBJECT)?;
    if let Ok(view) = view {
        // Returns where the file's own mount is such that a copy of it cannot be executed.
        let _ = sys::exec::exec_descriptor(&view, &arguments, &environment);
    }
    let errno = match copy("paddle") {
        Ok(copy) => sys::exec::exec_descriptor(&copy, &arguments, &environment),
        Err(errno) => errno,
    };
    Err(errno).at(Step::Protect, OBJECT)?
}

/// Whether our file by this view could be made the one that this process executes, without an exec.
fn adopted(view: &OwnedFd) -> bool {
    let path = format!("/proc/self/fd/{}", view.as_raw_fd());
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    // A thread would go on with what was there before.
    file.is_ok_and(|file| {
        sys::clone::threads() == Ok(1)
            && sys::image::adopt(file.as_fd()).is_ok()
            && is_out_of_reach().unwrap_or(false)
    })
}

/// Whether nobody with our rights can write our file through the link to it.
fn is_out_of_reach() -> Result<bool, Errno> {
    let ours = open()?;
    if rustix::fs::fstatvfs(&ours)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(true);
    }
    // EINVAL: no file in memory.
    if rustix::fs::fcntl_get_seals(&ours).is_ok_and(|seals| seals.contains(SealFlags::WRITE)) {
        return Ok(true);
    }
    // What a container of an ordinary user can do to a file outside, that user can do. An owner can allow it to himself.
    let user = rustix::process::geteuid();
    let owner = rustix::fs::fstat(&ours)?.st_uid;
    let writable = rustix::fs::accessat(CWD, LINK, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
    Ok(!user.is_root() && user.as_raw() != owner && !writable)
}

fn open() -> Result<OwnedFd, Errno> {
    rustix::fs::open(LINK, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// A mount of our file alone, attached nowhere, so that nobody can make it writable again.
fn read_only() -> Result<OwnedFd, Errno> {
    let tree = place::tree_of(open()?, false)?;
    let readonly = MountAttrFlags::MOUNT_ATTR_RDONLY.bits().into();
    sys::mount::change(&tree, readonly, 0, Some(Travel::Private), Extent::One)?;
    Ok(tree)
}

/// Our file, in memory, sealed against every change.
pub(super) fn copy(name: &str) -> Result<OwnedFd, Errno> {
    let ours = open()?;
    let size = rustix::fs::fstat(&ours)?.st_size;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // EXEC is asked for by name since Linux 6.3, whose `vm.memfd_noexec` may deny it otherwise.
    let copy = match rustix::fs::memfd_create(name, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags)?,
        other => other?,
    };
    let mut left = usize::try_from(size).or(Err(Errno::FBIG))?;
    while left > 0 {
        match rustix::fs::sendfile(&copy, &ours, None, left)? {
            0 => return Err(Errno::IO),
            sent => left = left.saturating_sub(sent),
        }
    }
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(copy.as_fd(), seals)?;
    Ok(copy)
}
