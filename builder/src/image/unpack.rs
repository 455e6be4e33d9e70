//! An image's root filesystem as a temporary folder, as far as a check looks at it.
//!
//! Decides what the layers say together, and makes regular files, folders and links of it, nothing
//! else. Refuses to know ELF: contents are kept where a loader or kernel could read them, which is what
//! starts like an object or a script, and everything in `/etc`; other files are made empty. Owners,
//! times, attributes and set-ids are dropped.
//!
//! ```text
//! layers ──▶ spool/0, spool/1 ...  contents, by number: no name of the image is used yet
//!       └──▶ one map of paths      whiteouts applied, every parent a folder, or it is refused
//!            ──▶ root/             made in the order of the map, each parent entered through no link
//! ```
//! The archive is read by `common`'s strict reader (rules U3, U4, U6, U7 of docs/security.md); that
//! nothing is made through a link (U1, U2) is decided on the map, where there is nothing to race with,
//! and upheld by how parents are entered.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use common::report::Diagnostic;
use common::tree::{ImagePath, Inode, Tree};
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, chmodat, linkat, mkdirat, openat, renameat, symlinkat,
};
use rustix::io::Errno;
use tempfile::TempDir;

use super::ImageError;
use super::read::Opened;
use crate::interrupt::Interrupt;

/// Bytes that are kept of an image at most; what a loader reads of the largest real ones is less.
const MOST: u64 = 16 << 30;
/// `.wh.NAME` hides NAME of lower layers (OCI image specification, "Whiteouts").
const WHITEOUT: &[u8] = b".wh.";
/// Hides everything in its folder.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Why an image was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A path leads through something that is no folder.
    #[error("the image has `{path}`, and `{parent}` is no folder")]
    NotAFolder {
        /// The path.
        path: ImagePath,
        /// What stands in the way.
        parent: ImagePath,
    },
    /// A whiteout that hides nothing that there could be.
    #[error("`{0}` is not a whiteout that the image specification allows")]
    Whiteout(ImagePath),
    /// A hard link names what its own layer does not have.
    #[error("`{path}` is a hard link to `{target}`, which is no file of its layer")]
    HardLink {
        /// The link.
        path: ImagePath,
        /// What it names.
        target: ImagePath,
    },
    /// The folder cannot be made.
    #[error("cannot unpack `{path}`")]
    Make {
        /// The path in the image.
        path: ImagePath,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no place for the folder.
    #[error("cannot make a temporary folder")]
    Folder(#[source] io::Error),
}

impl Diagnostic for UnpackError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.hint(),
            Self::NotAFolder { .. } | Self::Whiteout(_) | Self::HardLink { .. } => {
                Some("the image is damaged or hostile; build or fetch it again".to_owned())
            }
            Self::Make { .. } | Self::Folder(_) => {
                Some("make room in the temporary folder, or name another with TMPDIR".to_owned())
            }
        }
    }
}

/// An unpacked image; the folder is removed with the value.
#[derive(Debug)]
pub struct Unpacked {
    folder: TempDir,
    /// Every regular file whose content was kept, and whether somebody may execute it.
    pub files: BTreeMap<ImagePath, bool>,
}

impl Unpacked {
    /// The root filesystem.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }
}

/// What stands at a path of all layers together.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Folder,
    Link(Vec<u8>),
    /// The number of its content, unless that was dropped.
    File {
        content: Option<u64>,
        executable: bool,
    },
}

type Nodes = BTreeMap<ImagePath, Node>;

/// Unpacks all layers. `interrupt` ends it early.
pub fn unpack(image: &Opened, interrupt: &Interrupt) -> Result<Unpacked, UnpackError> {
    let folder = tempfile::Builder::new().prefix("coracle-check-").tempdir();
    let folder = folder.map_err(UnpackError::Folder)?;
    let (spool, root) = (folder.path().join("spool"), folder.path().join("root"));
    fs::create_dir(&spool).and_then(|()| fs::create_dir(&root)).map_err(UnpackError::Folder)?;
    let mut contents = Spool { folder: spool.clone(), count: 0, left: MOST, interrupt };
    let trees = image.trees_with(|path, content| contents.keep(path, content))?;
    let mut nodes = Nodes::new();
    for tree in &trees {
        apply(&mut nodes, tree)?;
    }
    check_parents(&nodes)?;
    make(&nodes, &spool, &root)?;
    let files = nodes.into_iter().filter_map(|(path, node)| match node {
        Node::File { content: Some(_), executable } => Some((path, executable)),
        _ => None,
    });
    Ok(Unpacked { files: files.collect(), folder })
}

/// Contents, by number.
struct Spool<'i> {
    folder: PathBuf,
    count: u64,
    left: u64,
    interrupt: &'i Interrupt,
}

impl Spool<'_> {
    fn keep(&mut self, path: &ImagePath, content: &mut dyn Read) -> io::Result<Option<u64>> {
        self.interrupt.check()?;
        let mut start = Vec::new();
        (&mut *content).take(4).read_to_end(&mut start)?;
        let configuration = path.components().next() == Some(b"etc");
        if !(configuration || start.starts_with(b"\x7fELF") || start.starts_with(b"#!")) {
            io::copy(content, &mut io::sink())?;
            return Ok(None);
        }
        let number = self.count;
        self.count += 1;
        let mut file = File::create_new(self.folder.join(number.to_string()))?;
        file.write_all(&start)?;
        let copied = io::copy(&mut content.take(self.left + 1), &mut file)?;
        self.left = self.left.checked_sub(copied).ok_or_else(|| {
            io::Error::other(format!("its programs and libraries have more than {MOST} bytes"))
        })?;
        Ok(Some(number))
    }
}

/// Puts a layer on those below it.
fn apply(nodes: &mut Nodes, layer: &Tree<Option<u64>>) -> Result<(), UnpackError> {
    for (path, inode) in layer.iter() {
        hide(nodes, path, inode)?;
    }
    for (path, inode) in layer.iter() {
        if path.file_name().is_some_and(|name| name.starts_with(WHITEOUT)) {
            continue;
        }
        let node = node(layer, path, inode)?;
        // A folder is put on a folder; anything else replaces what is there with all below it.
        let both = (nodes.get(path), &node);
        if !matches!(both, (Some(Node::Folder) | None, Node::Folder)) {
            remove(nodes, path);
        }
        nodes.insert(path.clone(), node);
    }
    Ok(())
}

fn node(
    layer: &Tree<Option<u64>>,
    path: &ImagePath,
    inode: &Inode<Option<u64>>,
) -> Result<Node, UnpackError> {
    // A further name of a file has that file's content.
    let file = match inode {
        Inode::Hardlink { target } => layer.get(target).ok_or(target),
        other => Ok(other),
    };
    match file {
        Ok(Inode::Directory(_)) => Ok(Node::Folder),
        Ok(Inode::Symlink { target, .. }) => Ok(Node::Link(target.clone())),
        Ok(Inode::File { metadata, content, .. }) => {
            Ok(Node::File { content: *content, executable: metadata.mode & 0o111 != 0 })
        }
        Ok(Inode::Hardlink { target }) | Err(target) => {
            Err(UnpackError::HardLink { path: path.clone(), target: target.clone() })
        }
    }
}

/// Follows a whiteout, if it is one.
fn hide<C>(nodes: &mut Nodes, path: &ImagePath, inode: &Inode<C>) -> Result<(), UnpackError> {
    let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else { return Ok(()) };
    let Some(hidden) = name.strip_prefix(WHITEOUT) else { return Ok(()) };
    let wrong = || UnpackError::Whiteout(path.clone());
    if !matches!(inode, Inode::File { size: 0, .. }) {
        return Err(wrong());
    }
    if name == OPAQUE {
        let kept = nodes.remove(&parent);
        remove(nodes, &parent);
        nodes.extend(kept.map(|kept| (parent, kept)));
        return Ok(());
    }
    if matches!(hidden, b"" | b"." | b"..") || hidden.starts_with(WHITEOUT) {
        return Err(wrong());
    }
    let target = parent.join(hidden).map_err(|_why| wrong())?;
    remove(nodes, &target);
    Ok(())
}

/// Removes a path and all below it.
fn remove(nodes: &mut Nodes, path: &ImagePath) {
    nodes.remove(path);
    let below: Vec<ImagePath> = nodes
        .range(path.clone()..)
        .map(|(other, _)| other)
        .take_while(|other| other.as_bytes().starts_with(path.as_bytes()))
        .filter(|other| other.starts_with(path))
        .cloned()
        .collect();
    for path in below {
        nodes.remove(&path);
    }
}

/// No path may lead through a link or a file: a folder that nobody made is made later.
fn check_parents(nodes: &Nodes) -> Result<(), UnpackError> {
    for path in nodes.keys() {
        for parent in path.ancestors() {
            if !matches!(nodes.get(&parent), None | Some(Node::Folder)) {
                return Err(UnpackError::NotAFolder { path: path.clone(), parent });
            }
        }
    }
    Ok(())
}

fn make(nodes: &Nodes, spool: &PathBuf, root: &PathBuf) -> Result<(), UnpackError> {
    let open = |folder: &PathBuf| -> Result<OwnedFd, UnpackError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, folder, flags, Mode::empty()).map_err(|e| UnpackError::Folder(e.into()))
    };
    let mut maker = Maker { spool: open(spool)?, root: open(root)?, first: BTreeMap::new() };
    for (path, node) in nodes {
        maker
            .make(path, node)
            .map_err(|number| UnpackError::Make { path: path.clone(), source: number.into() })?;
    }
    Ok(())
}

struct Maker<'n> {
    spool: OwnedFd,
    root: OwnedFd,
    /// The first path of each content.
    first: BTreeMap<u64, &'n ImagePath>,
}

impl<'n> Maker<'n> {
    fn make(&mut self, path: &'n ImagePath, node: &Node) -> Result<(), Errno> {
        let Some(name) = path.file_name() else { return Ok(()) };
        let parent = self.parent(path)?;
        match node {
            Node::Folder => match mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
                // Implied by a path that sorts before it.
                Err(Errno::EXIST) => Ok(()),
                made => made,
            },
            Node::Link(target) => symlinkat(target.as_slice(), &parent, name),
            Node::File { content: None, .. } => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                openat(&parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
            }
            Node::File { content: Some(number), executable } => {
                if let Some(first) = self.first.get(number) {
                    let folder = self.parent(first)?;
                    let first = first.file_name().unwrap_or_default();
                    return linkat(&folder, first, &parent, name, AtFlags::empty());
                }
                self.first.insert(*number, path);
                let mode = if *executable { 0o755 } else { 0o644 };
                let spooled = number.to_string();
                chmodat(&self.spool, &spooled, Mode::from_raw_mode(mode), AtFlags::empty())?;
                renameat(&self.spool, &spooled, &parent, name)
            }
        }
    }

    /// The folder of a path, each component entered through no link, and made where nobody made it.
    fn parent(&self, path: &ImagePath) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let enter = |at: &OwnedFd, name: &[u8]| openat(at.as_fd(), name, flags, Mode::empty());
        let mut at = enter(&self.root, b".")?;
        let mut names: Vec<&[u8]> = path.components().collect();
        names.pop();
        for name in names {
            at = match enter(&at, name) {
                Err(Errno::NOENT) => {
                    mkdirat(&at, name, Mode::from_raw_mode(0o755))?;
                    enter(&at, name)?
                }
                entered => entered?,
            };
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use common::tree::Metadata;

    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).unwrap()
    }

    fn layer(entries: &[(&str, Option<&str>)]) -> Tree<Option<u64>> {
        let mut tree = Tree::new();
        for (number, (name, target)) in (0..).zip(entries) {
            let metadata = Metadata::default();
            let inode = match target {
                None if name.ends_with('/') => Inode::Directory(metadata),
                None => Inode::File { metadata, size: 0, content: Some(number) },
                Some(target) => Inode::Symlink { metadata, target: target.as_bytes().to_vec() },
            };
            tree.insert(path(name), inode);
        }
        tree
    }

    fn together(layers: &[&[(&str, Option<&str>)]]) -> Result<Vec<String>, UnpackError> {
        let mut nodes = Nodes::new();
        for entries in layers {
            apply(&mut nodes, &layer(entries))?;
        }
        check_parents(&nodes)?;
        Ok(nodes.keys().map(ToString::to_string).collect())
    }

    #[test]
    fn layers_hide_and_replace_what_is_below() {
        for (layers, expected) in [
            (&[&[("/a/", None), ("/a/x", None)][..], &[("/a/.wh.x", None)]][..], &["/a"][..]),
            (&[&[("/a/", None), ("/a/x", None), ("/ab", None)], &[("/.wh.a", None)]], &["/ab"]),
            (
                &[
                    &[("/a/", None), ("/a/x", None)],
                    &[("/a/", None), ("/a/.wh..wh..opq", None), ("/a/y", None)],
                ],
                &["/a", "/a/y"],
            ),
            (&[&[("/a/", None), ("/a/x", None)], &[("/a", Some("b"))]], &["/a"]),
            (&[&[("/a", Some("b"))], &[("/a/", None), ("/a/x", None)]], &["/a", "/a/x"]),
        ] {
            assert_eq!(together(layers).unwrap(), expected);
        }
    }

    #[test]
    fn nothing_is_put_behind_a_link_or_a_file() {
        let link: &[(&str, Option<&str>)] = &[("/a", Some("/etc"))];
        let file: &[(&str, Option<&str>)] = &[("/a", None)];
        let inside: &[(&str, Option<&str>)] = &[("/a/x", None)];
        for layers in [[link, inside], [file, inside]] {
            let error = together(&layers).unwrap_err();
            assert_eq!(error.to_string(), "the image has `/a/x`, and `/a` is no folder");
        }
        for name in ["/.wh..", "/.wh...", "/.wh.", "/.wh..wh.x"] {
            let error = together(&[&[(name, None)]]).unwrap_err();
            assert!(matches!(error, UnpackError::Whiteout(_)), "{name}: {error}");
        }
    }
}
