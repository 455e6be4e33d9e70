//! A regular file: new, with the content that the archive has for it; or, where another snapshot has
//! the same one, a further name of that ([`Objects`]).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use common::tree::tar::Reader;
use common::tree::{ImagePath, Metadata};
use rustix::fs::{Mode, OFlags, fstat, openat};

use super::tree::{Made, Tree};
use super::{Policy, UnpackError, name};
use crate::store::objects::{Candidate, Key, LEAST, Objects, Shape};

/// Bytes that move from the archive to a file at once.
pub(super) const CHUNK: usize = 128 << 10;

/// Bytes of the current entry.
#[derive(Debug)]
pub(super) struct Content<'a, R> {
    archive: &'a mut Reader<R>,
    buffer: &'a mut [u8],
    size: u64,
    /// Still in the archive.
    left: u64,
}

impl<'a, R: Read> Content<'a, R> {
    pub(super) fn new(archive: &'a mut Reader<R>, buffer: &'a mut [u8], size: u64) -> Self {
        Self { archive, buffer, size, left: size }
    }

    /// The next bytes; none at the end.
    fn next(&mut self, path: &ImagePath) -> Result<&[u8], UnpackError> {
        let wanted = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
        let mut filled = 0;
        while filled < wanted {
            match self.archive.read(&mut self.buffer[filled..wanted])? {
                0 => return Err(UnpackError::Truncated { path: path.clone() }),
                count => filled += count,
            }
        }
        self.left -= filled as u64;
        Ok(&self.buffer[..filled])
    }

    /// As far as `candidate` has the same content: how far, and what comes then. Nothing comes when all is the same.
    fn compare(
        &mut self,
        first: usize,
        candidate: &Candidate,
        path: &ImagePath,
    ) -> Result<(u64, usize), UnpackError> {
        let (mut same, mut count) = (0, first);
        while count > 0 && candidate.has(&self.buffer[..count], same) {
            same += count as u64;
            count = self.next(path)?.len();
        }
        Ok((same, count))
    }
}

/// Makes the file `path`.
pub(super) fn make<R: Read>(
    tree: &mut Tree,
    path: ImagePath,
    metadata: &Metadata,
    mut content: Content<'_, R>,
    policy: Policy,
    objects: &mut Objects,
) -> Result<(), UnpackError> {
    let mut pending = content.next(&path)?.len();
    let sharable = if content.size < LEAST { None } else { policy.shape(metadata, content.size) }
        .map(|shape| (Key::of(&shape, &content.buffer[..pending]), shape));
    let mut known: Option<(Candidate, u64)> = None;
    if let Some((key, shape)) = &sharable
        && let Some(candidate) = objects.find(*key, shape)
    {
        let same;
        (same, pending) = content.compare(pending, &candidate, &path)?;
        if same == content.size && link(tree, &path, &candidate)? {
            let inode = objects.linked(*key, shape, &candidate);
            tree.made(path, Made::File { inode });
            return Ok(());
        }
        known = Some((candidate, same));
    }
    let mut file = create(tree, &path)?;
    let failed = |source| UnpackError::File { action: "write", path: path.clone(), source };
    if let Some((candidate, same)) = known {
        candidate.copy(same, &mut file).map_err(failed)?;
    }
    while pending > 0 {
        file.write_all(&content.buffer[..pending]).map_err(failed)?;
        pending = content.next(&path)?.len();
    }
    policy.file(&file, metadata).map_err(|error| error.of(&path))?;
    let inode = fstat(&file).map_err(UnpackError::file("read", &path))?.st_ino;
    if let Some((key, shape)) = sharable {
        keep(tree, &path, inode, objects, (key, shape))?;
    }
    tree.made(path, Made::File { inode });
    Ok(())
}

fn create(tree: &mut Tree, path: &ImagePath) -> Result<File, UnpackError> {
    let name = name(path)?;
    // O_EXCL follows no link and opens nothing that is there: what is made is new, or it is an error.
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let private = Mode::RUSR | Mode::WUSR;
    tree.replace("create", path, |parent| openat(parent, name, flags, private)).map(File::from)
}

fn link(tree: &mut Tree, path: &ImagePath, candidate: &Candidate) -> Result<bool, UnpackError> {
    let name = name(path)?;
    tree.replace("link", path, |parent| candidate.link(parent, name))
}

fn keep(
    tree: &mut Tree,
    path: &ImagePath,
    inode: u64,
    objects: &mut Objects,
    (key, shape): (Key, Shape),
) -> Result<(), UnpackError> {
    let folder = tree.existing_parent(path)?;
    objects.keep(key, &shape, (folder.as_fd(), name(path)?, inode));
    Ok(())
}
