//! Why an archive was refused, or could not be written.

use std::io;

use common::tree::ImagePath;
use common::tree::tar::TarError;
use rustix::io::Errno;

use super::limits::Limit;

/// What stopped a layer, with the entry that did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The archive breaks a rule of the one strict parser (U3), or cannot be read.
    #[error("the archive cannot be read")]
    Tar(#[from] TarError),
    /// Reading an entry's content failed.
    #[error("the archive cannot be read")]
    Read(#[from] io::Error),
    /// The archive ends within a file.
    #[error("the archive ends within `{path}`")]
    Truncated {
        /// The file.
        path: ImagePath,
    },
    /// A file operation failed on the host.
    #[error("cannot {action} `{path}`")]
    File {
        /// "create", "write" ...
        action: &'static str,
        /// The entry.
        path: ImagePath,
        /// What the kernel said.
        source: io::Error,
    },
    /// U1: an entry would replace the root folder by something else.
    #[error("the archive has an entry for `/` that is no folder")]
    Root,
    /// U1, U5: an entry lies below something that is a link or a file, not a folder.
    #[error("`{path}` lies below `{parent}`, which is no folder")]
    NotAFolder {
        /// The entry.
        path: ImagePath,
        /// What stands in its way.
        parent: ImagePath,
    },
    /// U4: a hard link to something that this archive has not made as a regular file.
    #[error("`{path}` is a hard link to `{target}`, which is no file of the same archive")]
    Hardlink {
        /// The link.
        path: ImagePath,
        /// What it wanted to share.
        target: ImagePath,
    },
    /// U5: a whiteout that names nothing, the folder itself or its parent, or that is no empty file.
    #[error("`{path}` is not a whiteout that the image specification allows")]
    Whiteout {
        /// The entry.
        path: ImagePath,
    },
    /// U6: file capabilities that are malformed, or on something else than a file.
    #[error("`{path}` has file capabilities that are not valid here")]
    Capability {
        /// The entry.
        path: ImagePath,
    },
    /// U6: one of the limits.
    #[error("`{path}` exceeds the limit of {limit}")]
    TooMuch {
        /// The entry with which it was exceeded.
        path: ImagePath,
        /// Which limit.
        limit: Limit,
    },
}

impl UnpackError {
    /// For `map_err` on a system call about `path`.
    pub(in crate::store) fn file(action: &'static str, path: &ImagePath) -> impl Fn(Errno) -> Self {
        move |error| Self::File { action, path: path.clone(), source: error.into() }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::File { source, .. } => {
                match source.raw_os_error().map(Errno::from_raw_os_error) {
                    Some(Errno::NOSPC | Errno::DQUOT) => {
                        "free some space (`paddle prune`), or move the store with --store"
                            .to_owned()
                    }
                    Some(Errno::ROFS | Errno::ACCESS | Errno::PERM) => {
                        "the store must be on a file system that you may write to; \
                     move it with --store"
                            .to_owned()
                    }
                    Some(Errno::OPNOTSUPP) => {
                        "the store's file system has no extended attributes; move it with --store"
                            .to_owned()
                    }
                    _ => return None,
                }
            }
            Self::TooMuch { .. } => {
                "an image like this is either made to fill the disk, or far bigger than one \
                 application needs"
                    .to_owned()
            }
            Self::Tar(_) | Self::Read(_) | Self::Truncated { .. } => {
                "the image is damaged or hostile: fetch or build it again".to_owned()
            }
            _ => "the image breaks a rule that protects this host (docs/security.md); \
                  build it again with `coracle build`, or ask whoever made it"
                .to_owned(),
        })
    }
}
