//! The root filesystem as a folder, made below one descriptor.
//!
//! The folder is fresh and private until it is renamed, but its entries are still created one
//! component below an open parent folder, links never followed: what a plan says cannot leave the
//! folder, whatever a bug upstream makes of it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use common::tree::{ImagePath, Inode, Tree};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps};

use super::Output;
use crate::assemble::{Content, Contents};
use crate::image::ImageError;

/// Makes the tree in `folder`, which is empty. Bytes of all files.
pub(super) fn unpack(
    output: &Output,
    folder: &Path,
    tree: &Tree<Content>,
    contents: &Contents<'_>,
    on_bytes: impl FnMut(u64),
) -> Result<u64, ImageError> {
    let open = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, folder, open, Mode::empty())
        .map_err(|errno| output.failed("open")(errno.into()))?;
    let mut unpacking = Unpacking { root, contents, on_bytes, bytes: 0 };
    for (path, inode) in tree.iter() {
        unpacking.make(path, inode).map_err(|error| failed(output, path, error))?;
    }
    // Folders last and deepest first: what is made in a folder changes its time.
    let entries: Vec<_> = tree.iter().collect();
    for (path, inode) in entries.into_iter().rev() {
        unpacking.finish(path, inode).map_err(|error| failed(output, path, error))?;
    }
    Ok(unpacking.bytes)
}

fn failed(output: &Output, path: &ImagePath, source: io::Error) -> ImageError {
    ImageError::Output { action: "write", path: path.below(&output.path), source }
}

struct Unpacking<'a, F> {
    root: OwnedFd,
    contents: &'a Contents<'a>,
    on_bytes: F,
    bytes: u64,
}

impl<F: FnMut(u64)> Unpacking<'_, F> {
    /// The folder that holds `path`, and its name there. Every component is opened without
    /// following links.
    fn place<'p>(&self, path: &'p ImagePath) -> io::Result<(OwnedFd, &'p [u8])> {
        let mut at = self.root.try_clone()?;
        let mut components: Vec<&[u8]> = path.components().collect();
        let name = components.pop().unwrap_or(b".");
        for component in components {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            at = rustix::fs::openat(&at, component, flags, Mode::empty())?;
        }
        Ok((at, name))
    }

    fn make(&mut self, path: &ImagePath, inode: &Inode<Content>) -> io::Result<()> {
        if *path == ImagePath::root() {
            return Ok(());
        }
        let (at, name) = self.place(path)?;
        match inode {
            Inode::Directory(_) => rustix::fs::mkdirat(&at, name, Mode::RWXU)?,
            Inode::Symlink { target, .. } => rustix::fs::symlinkat(target.as_slice(), &at, name)?,
            Inode::Hardlink { target } => {
                let (first, first_name) = self.place(target)?;
                rustix::fs::linkat(&first, first_name, &at, name, AtFlags::empty())?;
            }
            Inode::File { metadata, content, .. } => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&at, name, flags, Mode::RUSR | Mode::WUSR)?;
                let mut file = File::from(file);
                let mut from = self.contents.open(content)?;
                let count = io::copy(&mut from, &mut file)?;
                file.flush()?;
                self.bytes += count;
                (self.on_bytes)(count);
                rustix::fs::fchmod(&file, Mode::from_raw_mode(metadata.mode))?;
                rustix::fs::futimens(&file, &times(metadata.mtime))?;
            }
        }
        Ok(())
    }

    /// Mode and time of folders, time of links.
    fn finish(&self, path: &ImagePath, inode: &Inode<Content>) -> io::Result<()> {
        let (at, name) = self.place(path)?;
        match inode {
            Inode::Directory(metadata) => {
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let folder = rustix::fs::openat(&at, name, flags, Mode::empty())?;
                rustix::fs::fchmod(&folder, Mode::from_raw_mode(metadata.mode))?;
                rustix::fs::futimens(&folder, &times(metadata.mtime))?;
            }
            Inode::Symlink { metadata, .. } => {
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::utimensat(&at, name, &times(metadata.mtime), flags)?;
            }
            Inode::File { .. } | Inode::Hardlink { .. } => {}
        }
        Ok(())
    }
}

fn times(mtime: i64) -> Timestamps {
    let time = Timespec { tv_sec: mtime, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

/// The scratch folder becomes the output. What stood there and is to be replaced is exchanged with
/// it in one step (renameat2(2), `RENAME_EXCHANGE`) and then removed.
pub(super) fn settle(output: &Output, scratch: tempfile::TempDir) -> Result<(), ImageError> {
    let rename = |flags| rustix::fs::renameat_with(CWD, scratch.path(), CWD, &output.path, flags);
    match rename(RenameFlags::NOREPLACE) {
        Ok(()) => {
            // Nothing is left under the temporary name.
            let _gone = scratch.keep();
            Ok(())
        }
        Err(rustix::io::Errno::EXIST) if output.force => {
            if !output.path.is_dir() {
                return Err(output.failed("replace")(io::ErrorKind::NotADirectory.into()));
            }
            rename(RenameFlags::EXCHANGE)
                .map_err(|errno| output.failed("replace")(errno.into()))?;
            scratch.close().map_err(output.failed("remove what was at"))
        }
        Err(rustix::io::Errno::EXIST) => Err(ImageError::Exists(output.path.clone())),
        Err(errno) => Err(output.failed("create")(errno.into())),
    }
}
