//! File operations on a name below an open folder.
//!
//! Every function takes a folder's descriptor and one name, never a path, and none follows a link:
//! there is nothing to resolve, so there is nothing that a hostile tree could redirect. Names come
//! from `readdir`, or from an `ImagePath` (no slash, no `..`, no NUL).

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, chmodat, fchmod, fstat,
    openat, openat2, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

/// Folders that [`empty`] holds open at once. What lies deeper is first moved up.
const OPEN_FOLDERS: usize = 32;

/// Opens the folder `name` as a place to work below (`O_PATH`). A link gives `ELOOP` or `ENOTDIR`, a
/// mount point `EXDEV`.
pub(super) fn enter(folder: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    open_folder(folder.as_fd(), name, OFlags::PATH)
}

/// Opens the folder `name` so that it can be listed and locked.
pub(super) fn open(folder: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    open_folder(folder.as_fd(), name, OFlags::RDONLY)
}

/// Opens the regular file `name` for reading.
pub(super) fn file(folder: impl AsFd, name: &[u8]) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty()).map(File::from)
}

fn open_folder(folder: BorrowedFd<'_>, name: &[u8], access: OFlags) -> Result<OwnedFd, Errno> {
    let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let strict = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match openat2(folder, name, flags, Mode::empty(), strict) {
        // Linux before 5.6, or a filter that hides openat2. `name` is one component, so O_NOFOLLOW
        // says the same; a mount shows as another device.
        Err(Errno::NOSYS | Errno::PERM) => {
            let opened = openat(folder, name, flags, Mode::empty())?;
            if fstat(&opened)?.st_dev == fstat(folder)?.st_dev {
                Ok(opened)
            } else {
                Err(Errno::XDEV)
            }
        }
        opened => opened,
    }
}

/// Whether `name` in `folder` is the very file that is open as `fd`.
pub(super) fn is_still(folder: impl AsFd, name: &[u8], fd: impl AsFd) -> Result<bool, Errno> {
    let opened = fstat(fd)?;
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) => Ok((named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Names in `folder`, without `.` and `..`.
pub(super) fn names(folder: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// Removes whatever `name` is, with everything below it; whether it was there. Enters no mount.
pub(super) fn remove(folder: impl AsFd, name: &[u8]) -> io::Result<bool> {
    let folder = folder.as_fd();
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(Errno::ISDIR) => {
            let top = open_to_empty(folder, name)?;
            empty(&top)?;
            unlinkat(folder, name, AtFlags::REMOVEDIR)?;
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes everything below `top`, however deep: a container can nest folders deeper than there are
/// descriptors, so that what lies deeper than [`OPEN_FOLDERS`] is moved up and taken in a later round.
pub(super) fn empty(top: impl AsFd) -> io::Result<()> {
    let mut round = Round { top: top.as_fd(), moved: 0, again: true };
    while round.again {
        round.again = false;
        round.empty(round.top, 0)?;
    }
    Ok(())
}

struct Round<'a> {
    top: BorrowedFd<'a>,
    moved: u64,
    again: bool,
}

impl Round<'_> {
    fn empty(&mut self, folder: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if entry.file_type() != FileType::Directory {
                match unlinkat(folder, name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => continue,
                    // Some file systems do not tell the type in readdir.
                    Err(Errno::ISDIR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let child = open_to_empty(folder, name)?;
            if depth == OPEN_FOLDERS {
                self.move_up(folder, name)?;
                continue;
            }
            self.empty(child.as_fd(), depth + 1)?;
            match unlinkat(folder, name, AtFlags::REMOVEDIR) {
                Ok(()) => {}
                // Something was moved up into it, or readdir skipped an entry: the next round.
                Err(Errno::NOTEMPTY) => self.again = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn move_up(&mut self, folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
        self.again = true;
        loop {
            self.moved += 1;
            let target = format!(".deep-{}", self.moved);
            match renameat_with(folder, name, self.top, target, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                outcome => return Ok(outcome?),
            }
        }
    }
}

/// Opens a folder whose entries are to be removed. An ordinary user needs its permission for that,
/// which an image (mode 0555) or an overlay (`work/work`, mode 000) may have withheld.
fn open_to_empty(folder: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    match open(folder, name) {
        Ok(opened) if rustix::process::geteuid().is_root() => Ok(opened),
        Ok(opened) => {
            // Only its owner may; if we are not, removing says so.
            let _ = fchmod(&opened, Mode::RWXU);
            Ok(opened)
        }
        Err(Errno::ACCESS) => {
            let pinned = enter(folder, name)?;
            // fchmod refuses O_PATH descriptors; proc(5) leads to the pinned folder and nowhere else.
            chmodat(CWD, proc_path(&pinned), Mode::RWXU, AtFlags::empty())?;
            open(folder, name)
        }
        Err(error) => Err(error),
    }
}

/// Writes the small file `name` in one step: who reads it sees the old or the new one. With `sync`
/// it is on the disk afterwards.
pub(super) fn write_beside(
    folder: impl AsFd,
    name: &str,
    bytes: &[u8],
    sync: bool,
) -> io::Result<()> {
    let beside = format!("{name}.{}", rustix::process::getpid().as_raw_nonzero());
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::NOFOLLOW;
    let mode = Mode::RUSR | Mode::WUSR;
    let mut file = File::from(openat(&folder, &beside, flags | OFlags::CLOEXEC, mode)?);
    file.write_all(bytes)?;
    if sync {
        file.sync_all()?;
    }
    Ok(renameat(&folder, &beside, &folder, name)?)
}

/// The path by which procfs gives an open file back.
pub(super) fn proc_path(fd: impl AsFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    fn folder(path: &Path) -> OwnedFd {
        File::open(path).unwrap().into()
    }

    #[test]
    fn removing_follows_no_link() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path();
        fs::create_dir_all(path.join("kept/inside")).unwrap();
        fs::create_dir_all(path.join("gone/a/b")).unwrap();
        symlink(path.join("kept"), path.join("gone/a/link")).unwrap();
        symlink("../../kept", path.join("gone/a/relative")).unwrap();
        symlink(path.join("kept"), path.join("link")).unwrap();
        assert!(remove(folder(path), b"gone").unwrap());
        assert!(remove(folder(path), b"link").unwrap());
        assert!(!remove(folder(path), b"link").unwrap());
        assert_eq!(names(folder(path)).unwrap(), [b"kept"]);
        assert!(path.join("kept/inside").is_dir());
        assert_eq!(enter(folder(path), b"nothing").unwrap_err(), Errno::NOENT);
    }

    #[test]
    fn a_tree_deeper_than_the_descriptor_limit_is_removed() {
        let here = tempfile::tempdir().unwrap();
        let top = folder(here.path());
        rustix::fs::mkdirat(&top, "deep", Mode::RWXU).unwrap();
        let mut at = enter(&top, b"deep").unwrap();
        for _ in 0..1500 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = enter(&at, b"d").unwrap();
        }
        assert!(remove(&top, b"deep").unwrap());
        assert!(names(&top).unwrap().is_empty());
    }

    #[test]
    fn a_folder_without_permissions_is_removed() {
        let here = tempfile::tempdir().unwrap();
        let inner = here.path().join("work/work");
        fs::create_dir_all(inner.join("x")).unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o0)).unwrap();
        assert!(remove(folder(here.path()), b"work").unwrap());
    }
}
