//! `Folder`: one folder below a root, held open, so that what stands directly in it costs one system
//! call to look at.
//!
//! A name here is a single component that is never followed: it cannot lead anywhere else, whatever
//! happens to the tree meanwhile.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, Stat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::Root;

/// A folder below a root.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Root {
    /// The folder at `path`, links followed inside the root.
    pub fn folder(&self, path: &[u8]) -> io::Result<Folder> {
        self.open_with(path, OFlags::PATH | OFlags::DIRECTORY).map(Folder)
    }
}

impl Folder {
    /// A folder in this one; `ENOTDIR` where `name` is a link.
    pub fn folder(&self, name: &[u8]) -> io::Result<Self> {
        self.open(name, OFlags::PATH | OFlags::DIRECTORY).map(Self)
    }

    /// Status of what stands under `name`; of a link, its own.
    pub fn status(&self, name: &[u8]) -> io::Result<Stat> {
        Ok(statat(&self.0, component(name)?, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// What the link `name` says; `EINVAL` when it is no link.
    pub fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(readlinkat(&self.0, component(name)?, Vec::new())?.into_bytes())
    }

    /// Opens the file `name` for reading. A FIFO or a device does not block; a link is `ELOOP`.
    pub fn open_file(&self, name: &[u8]) -> io::Result<File> {
        self.open(name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).map(File::from)
    }

    fn open(&self, name: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.0, component(name)?, flags, Mode::empty())?)
    }
}

/// Refuses what is no single component.
fn component(name: &[u8]) -> io::Result<&[u8]> {
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') {
        return Err(Errno::INVAL.into());
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_name_is_one_component_and_never_followed() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("in")).unwrap();
        std::fs::write(place.path().join("in/file"), "text").unwrap();
        symlink("/etc/passwd", place.path().join("in/link")).unwrap();
        symlink("/", place.path().join("in/away")).unwrap();
        let root = Root::open(place.path()).unwrap();
        let folder = root.folder(b"/").unwrap().folder(b"in").unwrap();
        assert_eq!(io::read_to_string(folder.open_file(b"file").unwrap()).unwrap(), "text");
        assert_eq!(folder.read_link(b"link").unwrap(), b"/etc/passwd");
        let errno = |error: io::Error| Errno::from_io_error(&error).unwrap();
        for name in [&b""[..], b".", b"..", b"../in", b"a/b", b"/etc"] {
            assert_eq!(errno(folder.status(name).unwrap_err()), Errno::INVAL, "{name:?}");
            assert_eq!(errno(folder.open_file(name).unwrap_err()), Errno::INVAL, "{name:?}");
        }
        assert_eq!(errno(folder.open_file(b"link").unwrap_err()), Errno::LOOP);
        assert_eq!(errno(folder.folder(b"away").unwrap_err()), Errno::NOTDIR);
        assert_eq!(errno(folder.read_link(b"file").unwrap_err()), Errno::INVAL);
        assert_eq!(errno(folder.status(b"none").unwrap_err()), Errno::NOENT);
    }
}
