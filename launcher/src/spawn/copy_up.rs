//! What is at a mount point is copied into the file system in memory that will hide it (`tmpcopyup`). It is the image's: everything
//! goes from descriptor to descriptor and through no link (R1), and the file system's size bounds it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, chmodat, chownat,
    fstat, mkdirat, mknodat, openat, readlinkat, statat, symlinkat, utimensat,
};
use rustix::io::Errno;

/// Folders that lie deeper are refused: each takes two descriptors while it is copied.
const DEEPEST: usize = 100;

/// Copies all that is in one folder into another.
pub(super) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    folder(&open_folder(from, c".")?, &open_folder(to, c".")?, 0)
}

fn open_folder(at: impl AsFd, name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

fn folder(from: &OwnedFd, to: &OwnedFd, depth: usize) -> Result<(), Errno> {
    if depth > DEEPEST {
        return Err(Errno::LOOP);
    }
    for entry in Dir::new(from.try_clone().or(Err(Errno::MFILE))?)? {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            one(from, to, name, depth)?;
        }
    }
    Ok(())
}

fn one(from: &OwnedFd, to: &OwnedFd, name: &std::ffi::CStr, depth: usize) -> Result<(), Errno> {
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    match kind {
        FileType::Directory => {
            mkdirat(to, name, Mode::RWXU)?;
            folder(&open_folder(from, name)?, &open_folder(to, name)?, depth + 1)?;
        }
        FileType::RegularFile => file(from, to, name)?,
        FileType::Symlink => symlinkat(readlinkat(from, name, Vec::new())?, to, name)?,
        FileType::Unknown => return Err(Errno::INVAL),
        other => mknodat(to, name, other, Mode::RUSR | Mode::WUSR, stat.st_rdev)?,
    }
    metadata(to, name, &stat, kind)
}

fn file(from: &OwnedFd, to: &OwnedFd, name: &std::ffi::CStr) -> Result<(), Errno> {
    let common = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Should it have become a pipe meanwhile, that does not block; and it is not copied.
    let read = openat(from, name, common | OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&read)?.st_mode) != FileType::RegularFile {
        return Err(Errno::STALE);
    }
    let flags = common | OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
    let written = openat(to, name, flags, Mode::RUSR | Mode::WUSR)?;
    while rustix::fs::sendfile(&written, &read, None, 1 << 30)? > 0 {}
    Ok(())
}

/// Owner, then permissions (a change of owner drops set-ids), then time.
fn metadata(to: &OwnedFd, name: &std::ffi::CStr, stat: &Stat, kind: FileType) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if kind != FileType::Symlink {
        // Nobody else has the file system yet: the name is what was made here.
        chmodat(to, name, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty())?;
    }
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let nanoseconds = |value: u64| i64::try_from(value).unwrap_or(0);
    let times = Timestamps {
        last_access: time(stat.st_atime, nanoseconds(stat.st_atime_nsec)),
        last_modification: time(stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
    };
    utimensat(to, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}
