//! `Root`: a directory descriptor below which every path is resolved.
//!
//! No path inside an image or a foreign root is ever handed to the kernel as a bare string: absolute
//! links are re-rooted, `..` is clamped, magic links are refused (`openat2(2)` with
//! `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`, Linux 5.6). Where the kernel lacks it or a seccomp
//! filter hides it, libpathrs walks in user space.
//!
//! A resolver asks for thousands of paths that are not there, so a probe is one system call: the
//! error path of libpathrs was measured at ten. Who looks at much of one folder holds it open
//! ([`Folder`]).

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use pathrs::flags::OpenFlags;
use rustix::fs::{
    CWD, Mode, OFlags, RawDir, ResolveFlags, Stat, fstat, openat, openat2, readlinkat,
};
use rustix::io::Errno;

mod chain;
mod folder;

pub use chain::Resolution;
pub use folder::Folder;

/// `openat2` gives `EAGAIN` when a rename or mount anywhere on the host races with a `..` step.
/// Under heavy load a handful of repetitions is normal; more than this is somebody's attack.
const ATTEMPTS: usize = 128;

/// `PATH_MAX` of the kernel, which counts the closing NUL byte.
const MAX_PATH: usize = 4096;

/// A directory as a root.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    /// How it was named; only for messages.
    label: PathBuf,
    /// Whether libpathrs resolves instead of the kernel.
    user_space: AtomicBool,
    /// What [`Root::resolve_chain`] has seen.
    seen: chain::Seen,
}

/// Who walks along a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolver {
    /// `openat2(2)`.
    Kernel,
    /// libpathrs.
    Pathrs,
}

impl Root {
    /// Opens a host folder as a root. The folder itself may be reached through links: who names it
    /// is trusted, what lies below it is not.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, folder, flags, Mode::empty())?;
        Ok(Self::from_fd(fd, folder.to_owned()))
    }

    /// A root from a descriptor that is already open; `label` names it in messages.
    pub fn from_fd(fd: OwnedFd, label: PathBuf) -> Self {
        Self { fd, label, user_space: AtomicBool::new(false), seen: chain::Seen::default() }
    }

    /// The same root with the resolver given, instead of the kernel until it fails.
    #[must_use]
    pub fn with_resolver(self, resolver: Resolver) -> Self {
        self.user_space.store(resolver == Resolver::Pathrs, Ordering::Relaxed);
        self
    }

    /// Who resolves now: [`Resolver::Pathrs`] once the kernel has said that it has no `openat2`.
    pub fn resolver(&self) -> Resolver {
        if self.user_space.load(Ordering::Relaxed) { Resolver::Pathrs } else { Resolver::Kernel }
    }

    /// How the root was named.
    pub fn label(&self) -> &Path {
        &self.label
    }

    /// Opens for reading, links followed inside the root. Relative and absolute mean the same, and
    /// the empty path is the root. A FIFO or a device does not block.
    pub fn open_file(&self, path: &[u8]) -> io::Result<File> {
        self.open_with(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).map(File::from)
    }

    /// Opens as `O_PATH`, links followed inside the root.
    pub fn resolve(&self, path: &[u8]) -> io::Result<OwnedFd> {
        self.open_with(path, OFlags::PATH)
    }

    /// Opens as `O_PATH`, the last component not followed (a trailing slash follows it, as in the
    /// kernel).
    pub fn resolve_nofollow(&self, path: &[u8]) -> io::Result<OwnedFd> {
        self.open_with(path, OFlags::PATH | OFlags::NOFOLLOW)
    }

    /// What the link at `path` says; `EINVAL` when it is no link.
    pub fn read_link(&self, path: &[u8]) -> io::Result<Vec<u8>> {
        read_link_at(&self.resolve_nofollow(path)?)?.ok_or_else(|| Errno::INVAL.into())
    }

    /// Status of what `path` leads to, links followed.
    pub fn metadata(&self, path: &[u8]) -> io::Result<Stat> {
        Ok(fstat(self.resolve(path)?)?)
    }

    /// Status of `path` itself.
    pub fn symlink_metadata(&self, path: &[u8]) -> io::Result<Stat> {
        Ok(fstat(self.resolve_nofollow(path)?)?)
    }

    /// Names in the folder at `path`, sorted by bytes, without `.` and `..`.
    pub fn read_dir(&self, path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let folder = self.open_with(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut buffer = Vec::with_capacity(32 * 1024);
        let mut reader = RawDir::new(folder, buffer.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(entry) = reader.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// One system call where the kernel can do it. `flags` must not create or truncate.
    fn open_with(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = flags | OFlags::CLOEXEC;
        if self.resolver() == Resolver::Kernel {
            match self.open_in_kernel(path, flags) {
                // Linux < 5.6 has ENOSYS; container engines' filters from before it answer EPERM.
                // Nothing else here can be EPERM: neither O_NOATIME nor writing is ever asked for.
                Err(Errno::NOSYS | Errno::PERM) => self.user_space.store(true, Ordering::Relaxed),
                result => return Ok(result?),
            }
        }
        self.open_in_user_space(path, flags)
    }

    fn open_in_kernel(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        for _ in 1..ATTEMPTS {
            match openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
        openat2(&self.fd, path, flags, Mode::empty(), resolve)
    }

    fn open_in_user_space(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        // What the kernel says before it looks at anything.
        if path.contains(&0) {
            return Err(Errno::INVAL.into());
        }
        if path.len() >= MAX_PATH {
            return Err(Errno::NAMETOOLONG.into());
        }
        let root = pathrs::RootRef::from_fd(self.fd.as_fd());
        let bits = OpenFlags::from_bits_retain(u64::from(flags.bits()));
        let name = Path::new(OsStr::from_bytes(path));
        if !flags.contains(OFlags::PATH) {
            return root.open_subpath(name, bits).map(OwnedFd::from).map_err(from_pathrs);
        }
        let handle = if flags.contains(OFlags::NOFOLLOW) && !path.ends_with(b"/") {
            root.resolve_nofollow(name)
        } else {
            root.resolve(name)
        };
        handle.map(OwnedFd::from).map_err(from_pathrs)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What the link behind an `O_PATH` descriptor says; `None` when it is no link.
fn read_link_at(link: &OwnedFd) -> io::Result<Option<Vec<u8>>> {
    match readlinkat(link, "", Vec::new()) {
        Ok(target) => Ok(Some(target.into_bytes())),
        // readlinkat(2) with an empty path reports ENOENT where readlink has EINVAL.
        Err(Errno::NOENT | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The kernel's error number where libpathrs has one; callers tell "not there" from "not allowed" by it.
fn from_pathrs(error: pathrs::error::Error) -> io::Error {
    match error.kind() {
        pathrs::error::ErrorKind::OsError(Some(number)) => io::Error::from_raw_os_error(number),
        pathrs::error::ErrorKind::InvalidArgument => Errno::INVAL.into(),
        pathrs::error::ErrorKind::SafetyViolation => Errno::XDEV.into(),
        _ => io::Error::other(error),
    }
}
