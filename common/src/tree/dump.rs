//! A tree as text, one line per path, for people and for tests:
//!
//! ```text
//! 0755 0:0 dir - /usr
//! 4755 0:0 file 12 /usr/su @1700000000 security.capability=\x01 ba7816bf8f01
//! 0777 0:0 link 7 /lib -> usr/lib
//! -    -   hard - /usr/bin/b -> /usr/bin/a
//! ```
//!
//! Mode, owner, kind, size, path; then, where there is one: a link's target, a time other than 0, extended
//! attributes, the first digits of the content's digest. Everything from an image is escaped.

use std::fmt::Write as _;
use std::io::{self, Read};

use super::tar::{self, Reader, TarError};
use super::{ImagePath, Inode, Metadata, Tree};
use crate::digest::{Digest, Digesting};
use crate::escape::Escaped;

/// The whole tree, without digests.
pub fn dump<C>(tree: &Tree<C>) -> String {
    dump_with(tree, |_, _| None)
}

/// The whole tree, with the digest of each file's content where `digest` knows it.
pub fn dump_with<C>(tree: &Tree<C>, digest: impl Fn(&ImagePath, &C) -> Option<Digest>) -> String {
    let mut text = String::new();
    for (path, inode) in tree.iter() {
        match inode {
            Inode::Directory(metadata) => line(&mut text, metadata, "dir -", path, None),
            Inode::Symlink { metadata, target } => {
                line(&mut text, metadata, &format!("link {}", target.len()), path, Some(target));
            }
            Inode::File { metadata, size, content } => {
                line(&mut text, metadata, &format!("file {size}"), path, None);
                if let Some(digest) = digest(path, content) {
                    let _ = write!(text, " {}", digest.short());
                }
            }
            Inode::Hardlink { target } => {
                let _ = write!(text, "-    -   hard - {path} -> {target}");
            }
        }
        text.push('\n');
    }
    text
}

/// An archive as [`tar::read`] accepts it, with digests.
pub fn dump_tar(bytes: impl Read) -> Result<String, TarError> {
    let tree = tar::read(&mut Reader::new(bytes), |_, content| {
        let mut sink = Digesting::new(io::sink());
        io::copy(content, &mut sink)?;
        Ok(sink.finish().0)
    })?;
    Ok(dump_with(&tree, |_, digest| Some(*digest)))
}

fn line(text: &mut String, metadata: &Metadata, kind: &str, path: &ImagePath, to: Option<&[u8]>) {
    let Metadata { mode, uid, gid, mtime, xattrs } = metadata;
    let _ = write!(text, "{mode:04o} {uid}:{gid} {kind} {path}");
    if let Some(target) = to {
        let _ = write!(text, " -> {}", Escaped(target));
    }
    if *mtime != 0 {
        let _ = write!(text, " @{mtime}");
    }
    for (name, value) in xattrs {
        let _ = write!(text, " {}={}", Escaped(name), Escaped(value));
    }
}
