//! What of an entry's metadata reaches the disk (U2, U5, U6).
//!
//! | attribute | as root | as an ordinary user |
//! |---|---|---|
//! | owner | kept | the user, who is root in the container's user namespace |
//! | set-uid, set-gid | kept | kept where the owner (group) is root, else dropped |
//! | `user.*` | kept | kept |
//! | `security.capability` | kept on files, if well-formed | dropped: only root may set it |
//! | `system.posix_acl_*` | kept | dropped: it names ids that do not exist |
//! | `trusted.overlay.*`, `user.overlay.*` | refused by the reader (`common::tree::tar`) | the same |
//! | any other | dropped: it speaks about the policy of another host | dropped |
//!
//! The store's folders are 0700, and containers start with `no_new_privs`: a kept set-uid bit acts
//! only in a container that was told to allow it.

use std::os::fd::{AsFd, BorrowedFd};

use common::tree::tar::{Entry, EntryKind};
use common::tree::{ImagePath, Metadata};
use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown, fsetxattr,
    futimens, utimensat,
};
use rustix::io::Errno;

use super::UnpackError;
use crate::store::objects::Shape;

/// Whose files are made.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Policy {
    /// Numeric owners are those of the image. Needs root.
    pub(in crate::store) keep_ids: bool,
    /// Effective user and group: what a new file has already.
    pub(in crate::store) own: (u32, u32),
}

/// A failed step of setting metadata.
#[derive(Debug)]
pub(super) struct Failed(&'static str, Errno);

impl Failed {
    /// As an error about `path`.
    pub(super) fn of(&self, path: &ImagePath) -> UnpackError {
        UnpackError::file(self.0, path)(self.1)
    }
}

const CAPABILITY: &[u8] = b"security.capability";

/// Refuses what no policy accepts, before anything is made.
pub(super) fn check(entry: &Entry) -> Result<(), UnpackError> {
    for (name, value) in &entry.metadata.xattrs {
        if name == CAPABILITY
            && !(matches!(entry.kind, EntryKind::File { .. }) && is_capability(value))
        {
            return Err(UnpackError::Capability { path: entry.path.clone() });
        }
    }
    Ok(())
}

/// `struct vfs_cap_data` of revision 2, or of revision 3 for the host's root (capability.h): a root
/// id of another user namespace means nothing in an image.
fn is_capability(value: &[u8]) -> bool {
    let word = |at: usize| value.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    let revision = word(0).map(|bytes| u32::from_le_bytes(bytes) & 0xff00_0000);
    match (revision, value.len()) {
        (Some(0x0200_0000), 20) => true,
        (Some(0x0300_0000), 24) => word(20).map(u32::from_le_bytes) == Some(0),
        _ => false,
    }
}

impl Policy {
    /// Everything of a file or folder, on its descriptor, in the order that the kernel needs: writing
    /// clears set-uid, chown clears set-uid and capabilities, and all of them change times.
    pub(super) fn file(self, fd: impl AsFd, metadata: &Metadata) -> Result<(), Failed> {
        let fd = fd.as_fd();
        if let Some((uid, gid)) = self.owner(metadata) {
            fchown(fd, Some(uid), Some(gid)).map_err(|e| Failed("change the owner of", e))?;
        }
        fchmod(fd, self.mode(metadata)).map_err(|e| Failed("change the mode of", e))?;
        for (name, value) in &metadata.xattrs {
            if self.keeps(name) {
                fsetxattr(fd, name.as_slice(), value, XattrFlags::empty())
                    .map_err(|e| Failed("set an attribute of", e))?;
            }
        }
        futimens(fd, &times(metadata)).map_err(|e| Failed("set the time of", e))
    }

    /// Owner and time of a link. Its mode and attributes mean nothing on Linux.
    pub(super) fn symlink(
        self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        metadata: &Metadata,
    ) -> Result<(), Errno> {
        if let Some((uid, gid)) = self.owner(metadata) {
            chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        utimensat(folder, name, &times(metadata), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// What a file of this size will look like; `None` where it has attributes besides.
    pub(super) fn shape(self, metadata: &Metadata, size: u64) -> Option<Shape> {
        let owner = if self.keep_ids { (metadata.uid, metadata.gid) } else { self.own };
        let mode = self.mode(metadata).as_raw_mode();
        let plain = !metadata.xattrs.iter().any(|(name, _)| self.keeps(name));
        plain.then_some(Shape { size, mode, owner, mtime: metadata.mtime })
    }

    /// The owner to set; `None` where a new file has it already.
    fn owner(self, metadata: &Metadata) -> Option<(Uid, Gid)> {
        let wanted = (metadata.uid, metadata.gid);
        (self.keep_ids && wanted != self.own)
            .then(|| (Uid::from_raw(wanted.0), Gid::from_raw(wanted.1)))
    }

    fn mode(self, metadata: &Metadata) -> Mode {
        let mut mode = Mode::from_raw_mode(metadata.mode & 0o7777);
        if !self.keep_ids {
            // Set-uid to `games` must not become set-uid to root because ids are squashed.
            if metadata.uid != 0 {
                mode.remove(Mode::SUID);
            }
            if metadata.gid != 0 {
                mode.remove(Mode::SGID);
            }
        }
        mode
    }

    fn keeps(self, attribute: &[u8]) -> bool {
        attribute.starts_with(b"user.")
            || (self.keep_ids
                && [CAPABILITY, b"system.posix_acl_access", b"system.posix_acl_default"]
                    .contains(&attribute))
    }
}

fn times(metadata: &Metadata) -> Timestamps {
    let time = Timespec { tv_sec: metadata.mtime, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u6_squashed_set_ids_never_become_root_s() {
        let user = Policy { keep_ids: false, own: (1000, 1000) };
        let root = Policy { keep_ids: true, own: (0, 0) };
        for (uid, gid, mode, as_root, as_user) in [
            (0, 0, 0o6755, 0o6755, 0o6755),
            (5, 0, 0o6755, 0o6755, 0o2755),
            (0, 5, 0o6755, 0o6755, 0o4755),
            (5, 5, 0o7711, 0o7711, 0o1711),
        ] {
            let metadata = Metadata { uid, gid, mode, ..Metadata::default() };
            assert_eq!(root.mode(&metadata).as_raw_mode(), as_root);
            assert_eq!(user.mode(&metadata).as_raw_mode(), as_user);
            assert!(user.owner(&metadata).is_none());
            assert_eq!(root.owner(&metadata).is_some(), (uid, gid) != (0, 0));
        }
    }

    #[test]
    fn u6_attributes_by_policy() {
        let user = Policy { keep_ids: false, own: (1000, 1000) };
        let root = Policy { keep_ids: true, own: (0, 0) };
        for (name, as_root, as_user) in [
            (&b"user.note"[..], true, true),
            (b"security.capability", true, false),
            (b"system.posix_acl_access", true, false),
            (b"security.selinux", false, false),
            (b"trusted.other", false, false),
        ] {
            assert_eq!((root.keeps(name), user.keeps(name)), (as_root, as_user));
        }
    }

    #[test]
    fn u6_only_capabilities_of_the_host_s_own_namespace_are_well_formed() {
        let revision2 = [&[0, 0, 0, 2][..], &[0; 16]].concat();
        let revision3 = |root: u8| [&[1, 0, 0, 3][..], &[0; 16], &[root, 0, 0, 0]].concat();
        assert!(is_capability(&revision2));
        assert!(is_capability(&revision3(0)));
        assert!(!is_capability(&revision3(1)));
        assert!(!is_capability(&revision2[..12]));
        assert!(!is_capability(b""));
    }
}
