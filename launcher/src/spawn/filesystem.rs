//! New instances of file systems, detached: what they are mounted with is set before anyone can reach them (R3). What a file
//! system dislikes it says itself, in the log of its context (fsopen(2)), and that is passed on.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MountFlags, fsconfig_create,
    fsconfig_reconfigure, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, fspick, mount,
};

use super::Step;
use super::step::{At, Done};
use crate::plan::Change;

/// A value of fsconfig(2) is cut at this length, its end included (fs/fsopen.c).
const LONGEST: usize = 255;

/// An option: a key, and a value unless it is a flag.
pub(super) type Opt = (String, Option<String>);

/// A file system that was refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) errno: Errno,
    /// The kernel's own words.
    why: String,
}

/// Gives a refusal its step and object.
pub(super) trait Explain<T> {
    fn explain(self, step: Step, object: impl fmt::Display) -> Done<T>;
}

impl<T> Explain<T> for Result<T, Refused> {
    fn explain(self, step: Step, object: impl fmt::Display) -> Done<T> {
        match self {
            Ok(it) => Ok(it),
            Err(Refused { errno, why }) if why.is_empty() => Err(errno).at(step, object),
            Err(Refused { errno, why }) => Err(errno).at(step, format_args!("{object} ({why})")),
        }
    }
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Self { errno, why: String::new() }
    }
}

/// A detached new instance of a file system.
pub(super) fn new(
    filesystem: &str,
    name: &str,
    options: &[Opt],
    change: Change,
) -> Result<OwnedFd, Refused> {
    let context = fsopen(filesystem, FsOpenFlags::FSOPEN_CLOEXEC)?;
    create(context.as_fd(), name, options).map_err(|errno| refused(context.as_fd(), errno))?;
    mount_made(context.as_fd(), change)
}

/// The first half of [`new`]: an instance that is not mounted, in the namespaces of whoever calls. Allocates nothing where
/// [that is so](is_made_without_memory); what the kernel dislikes it tells who tries the whole.
pub(super) fn make(filesystem: &str, name: &str, options: &[Opt]) -> Result<OwnedFd, Errno> {
    let context = fsopen(filesystem, FsOpenFlags::FSOPEN_CLOEXEC)?;
    create(context.as_fd(), name, options)?;
    Ok(context)
}

/// The second half. Mount tables are in the order of these calls.
pub(super) fn mount_made(context: BorrowedFd<'_>, change: Change) -> Result<OwnedFd, Refused> {
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, flags(change))
        .map_err(|errno| refused(context, errno))
}

fn create(context: BorrowedFd<'_>, name: &str, options: &[Opt]) -> Result<(), Errno> {
    fsconfig_set_string(context, c"source", name)?;
    configure(context, options)?;
    fsconfig_create(context)
}

/// Changes a file system that is mounted, wherever that is.
pub(super) fn reconfigure(mount: BorrowedFd<'_>, options: &[Opt]) -> Result<(), Refused> {
    let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
    let context = fspick(mount, c"", flags)?;
    configure(context.as_fd(), options)
        .and_then(|()| fsconfig_reconfigure(context.as_fd()))
        .map_err(|errno| refused(context.as_fd(), errno))
}

fn configure(context: BorrowedFd<'_>, options: &[Opt]) -> Result<(), Errno> {
    for (key, value) in options {
        match value {
            Some(value) => fsconfig_set_string(context, key.as_str(), value.as_str())?,
            None => fsconfig_set_flag(context, key.as_str())?,
        }
    }
    Ok(())
}

/// The errors that the context has noted: one a line, `e` before each.
fn refused(context: BorrowedFd<'_>, errno: Errno) -> Refused {
    let mut why = String::new();
    let mut line = [0; 256];
    // ENODATA at the end; a handful at most is kept (fs/fs_context.c).
    while let Ok(length @ 1..) = rustix::io::read(context, &mut line) {
        let text = String::from_utf8_lossy(line.get(..length).unwrap_or_default());
        if let Some(text) = text.trim_end().strip_prefix("e ") {
            let separator = if why.is_empty() { "" } else { "; " };
            why.push_str(separator);
            why.push_str(text);
        }
    }
    Refused { errno, why }
}

/// Whether an option is longer than fsconfig(2) takes: the layers of an overlay, say.
pub(super) fn is_long(name: &str, options: &[Opt]) -> bool {
    let long = |text: &str| text.len() > LONGEST;
    long(name) || options.iter().any(|(_, value)| value.as_deref().is_some_and(long))
}

/// Whether [`make`] needs no memory: texts of this length become the kernel's on the stack.
pub(super) fn is_made_without_memory(name: &str, options: &[Opt]) -> bool {
    !is_long(name, options) && options.iter().all(|(key, _)| key.len() <= LONGEST)
}

/// Mounts a new instance at once, with options of up to a page, for those that are too [long](is_long) otherwise. Attributes
/// are there from the first moment, too.
pub(super) fn mount_long(
    filesystem: &str,
    name: &str,
    options: &[Opt],
    change: Change,
    point: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let mut flags = legacy(change);
    let words: Vec<String> = options
        .iter()
        .filter(|(key, value)| value.is_some() || !take_flag(&mut flags, key))
        .map(|(key, value)| match value {
            // What mount(8) wants around a security context; see the plan's table of options.
            Some(value) if key.ends_with("context") => format!("{key}=\"{value}\""),
            Some(value) => format!("{key}={value}"),
            None => key.clone(),
        })
        .collect();
    let data = std::ffi::CString::new(words.join(",")).or(Err(Errno::INVAL))?;
    // The host's procfs, and a descriptor of our own in it: no path that anyone else could change.
    let target = format!("/proc/self/fd/{}", point.as_raw_fd());
    mount(name, target, filesystem, flags, data.as_c_str())
}

/// Whether a word is one of those that fsconfig(2) understands for every file system (`vfs_parse_sb_flag` in `fs/fs_context.c`).
/// mount(2) has bits for them, and a file system that parses its own text, as overlayfs did before Linux 6.5, refuses them there.
fn take_flag(flags: &mut MountFlags, word: &str) -> bool {
    let (flag, set) = match word {
        "ro" => (MountFlags::RDONLY, true),
        // Of the file system; the mount itself may be read-only all the same.
        "rw" => return true,
        "sync" => (MountFlags::SYNCHRONOUS, true),
        "async" => (MountFlags::SYNCHRONOUS, false),
        "dirsync" => (MountFlags::DIRSYNC, true),
        "lazytime" => (MountFlags::LAZYTIME, true),
        "nolazytime" => (MountFlags::LAZYTIME, false),
        "mand" => (MountFlags::PERMIT_MANDATORY_FILE_LOCKING, true),
        "nomand" => (MountFlags::PERMIT_MANDATORY_FILE_LOCKING, false),
        _ => return false,
    };
    flags.set(flag, set);
    true
}

/// In the kernel's bits for a new mount.
fn flags(change: Change) -> MountAttrFlags {
    MountAttrFlags::from_bits_retain(u32::try_from(change.set).unwrap_or_default())
}

/// In the bits of mount(2).
fn legacy(change: Change) -> MountFlags {
    let set = flags(change);
    let pairs = [
        (MountAttrFlags::MOUNT_ATTR_RDONLY, MountFlags::RDONLY),
        (MountAttrFlags::MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
        (MountAttrFlags::MOUNT_ATTR_NODEV, MountFlags::NODEV),
        (MountAttrFlags::MOUNT_ATTR_NOEXEC, MountFlags::NOEXEC),
        (MountAttrFlags::MOUNT_ATTR_NOATIME, MountFlags::NOATIME),
        (MountAttrFlags::MOUNT_ATTR_STRICTATIME, MountFlags::STRICTATIME),
        (MountAttrFlags::MOUNT_ATTR_NODIRATIME, MountFlags::NODIRATIME),
        (MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, MountFlags::NOSYMFOLLOW),
    ];
    pairs
        .into_iter()
        .filter(|(bit, _)| set.contains(*bit))
        .fold(MountFlags::empty(), |all, (_, flag)| all | flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_needs_memory() {
        for (key, value, expected) in [(255, 255, true), (256, 1, false), (1, 256, false)] {
            let options = [("k".repeat(key), Some("v".repeat(value)))];
            assert_eq!(is_made_without_memory("tmpfs", &options), expected, "{key} {value}");
        }
    }

    #[test]
    fn words_of_every_file_system_are_bits_of_mount() {
        let mut flags = MountFlags::NOSUID;
        for (word, taken, after) in [
            ("ro", true, MountFlags::NOSUID | MountFlags::RDONLY),
            ("sync", true, MountFlags::NOSUID | MountFlags::RDONLY | MountFlags::SYNCHRONOUS),
            ("userxattr", false, MountFlags::NOSUID | MountFlags::RDONLY | MountFlags::SYNCHRONOUS),
            ("async", true, MountFlags::NOSUID | MountFlags::RDONLY),
        ] {
            assert_eq!((take_flag(&mut flags, word), flags), (taken, after), "{word}");
        }
    }
}
