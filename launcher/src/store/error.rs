//! What can go wrong between a typed image and a leased snapshot.

use std::io;
use std::path::{Path, PathBuf};

use common::digest::Digest;
use common::oci::layout::LayoutError;
use common::oci::reference::Reference;
use common::report::Diagnostic;
use rustix::io::Errno;

use super::unpack::UnpackError;

/// A failed action of the store, with its subject.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// "open", "create" ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A folder of the store belongs to another user, who could change what is run from it.
    #[error("`{}` belongs to user {owner}, not to you", path.display())]
    ForeignStore {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// The layout with the images is damaged, or has not what was asked for.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// There is no such name in the store, and no such file.
    #[error("there is no image `{text}`")]
    NotFound {
        /// What was typed, escaped.
        text: String,
        /// Names in the store that are nearly the same.
        near: Vec<Reference>,
        /// Whether it could have been a name (or was a path only).
        name: bool,
    },
    /// A folder that is no OCI image layout.
    #[error("`{}` is a folder, but not an OCI image layout", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A file that is neither an OCI archive nor a rootfs tarball.
    #[error("`{}` is no image", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        source: UnpackError,
    },
    /// A device, socket or pipe.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The manifest and the config do not tell of the same layers.
    #[error("`{label}` has {layers} layers, but its configuration names {diff_ids}")]
    LayerCount {
        /// The image.
        label: String,
        /// Layers of the manifest.
        layers: usize,
        /// `rootfs.diff_ids` of the configuration.
        diff_ids: usize,
    },
    /// A layer is packed in a way that is not supported.
    #[error("a layer of `{label}` has the media type `{media_type}`, which cannot be unpacked")]
    MediaType {
        /// The image.
        label: String,
        /// The layer's media type, escaped.
        media_type: String,
    },
    /// A file system that is one layer among others.
    #[error("`{label}` has an EROFS layer beside others, which cannot be mounted")]
    ErofsLayers {
        /// The image.
        label: String,
    },
    /// Not what its media type says.
    #[error(
        "the layer of `{label}` is no EROFS file system, though its media type is `{media_type}`"
    )]
    NotErofs {
        /// The image.
        label: String,
        /// The layer's media type, escaped.
        media_type: String,
    },
    /// The kernel does not mount it.
    #[error("cannot mount the EROFS file system `{}`", path.display())]
    Erofs {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A layer could not be unpacked.
    #[error("cannot unpack layer {number} of `{label}`")]
    Layer {
        /// The image.
        label: String,
        /// Which one, from 1.
        number: usize,
        /// Why.
        source: UnpackError,
    },
    /// U7: a layer's uncompressed bytes are not those that the configuration names.
    #[error(
        "layer {number} of `{label}` is not what its configuration says: `{found}`, not `{expected}`"
    )]
    DiffId {
        /// The image.
        label: String,
        /// Which one, from 1.
        number: usize,
        /// `rootfs.diff_ids` of the configuration.
        expected: Digest,
        /// The digest of what was unpacked.
        found: Digest,
    },
    /// A tarball was written to while it was read.
    #[error("`{}` changed while it was unpacked", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The snapshot is used by a container.
    #[error("`{digest}` is in use by a container")]
    InUse {
        /// Its chain id.
        digest: Digest,
    },
    /// An id that is no name of a folder.
    #[error("`{0}` is not the id of a container")]
    Id(String),
}

impl StoreError {
    /// For `map_err` on a system call about `path`.
    pub(super) fn io<E: Into<io::Error>>(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self::Io { action, path: path.as_ref().to_owned(), source: error.into() }
    }
}

impl Diagnostic for StoreError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { source, .. } => return io_hint(source),
            Self::ForeignStore { .. } => "use a store of your own (--store or CORACLE_STORE); an \
                image of another store is run by the path of its folder: `FOLDER:TAG`"
                .to_owned(),
            Self::Layout(error) => return error.hint(),
            Self::NotFound { near, name, .. } => match (near.as_slice(), name) {
                ([], true) => "`paddle images` lists what is here; `coracle build PROGRAM` makes \
                    an image of a program"
                    .to_owned(),
                ([], false) => "give a name of `paddle images`, or the path of an OCI archive, an \
                    OCI layout or a rootfs tarball"
                    .to_owned(),
                (near, _) => {
                    let near: Vec<String> = near.iter().map(ToString::to_string).collect();
                    format!("did you mean {}?", near.join(" or "))
                }
            },
            Self::Folder { path } => format!(
                "pack a root filesystem first: `tar -C {0} -cf rootfs.tar .`",
                path.display()
            ),
            Self::NotAnImage { .. } | Self::NotAFile { .. } => {
                "an image is an OCI archive (.tar), an OCI layout folder, a rootfs tarball \
                 (.tar, .tar.gz, .tar.zst) or an EROFS file system"
                    .to_owned()
            }
            Self::LayerCount { .. } | Self::DiffId { .. } | Self::NotErofs { .. } => {
                "the image is damaged or hostile: fetch or build it again".to_owned()
            }
            Self::MediaType { .. } => {
                "layers may be plain tar, gzip or zstd; convert the image with `skopeo copy`"
                    .to_owned()
            }
            Self::ErofsLayers { .. } => {
                "make one file system of all its layers, or have them as archives".to_owned()
            }
            Self::Erofs { source, .. } => return erofs_hint(source),
            Self::Layer { source, .. } => return source.hint(),
            Self::Changed { .. } => "run it again when the file is complete".to_owned(),
            Self::InUse { .. } => {
                "`paddle ps` shows the containers; stop and remove them first".to_owned()
            }
            Self::Id(_) => return None,
        })
    }
}

fn erofs_hint(source: &io::Error) -> Option<String> {
    Some(match Errno::from_io_error(source)? {
        Errno::PERM => "only root may mount it".to_owned(),
        Errno::NODEV => "this kernel has no EROFS (CONFIG_EROFS_FS, Linux 5.4)".to_owned(),
        Errno::NOENT => "before Linux 6.12 a loop device is needed (`modprobe loop`)".to_owned(),
        Errno::INVAL | Errno::OPNOTSUPP | Errno::UCLEAN | Errno::BADMSG => {
            "it is damaged, or was made for a newer kernel: `fsck.erofs` says more".to_owned()
        }
        _ => return None,
    })
}

fn io_hint(source: &io::Error) -> Option<String> {
    match Errno::from_io_error(source)? {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            Some("you need a store that you may write to: choose one with --store".to_owned())
        }
        Errno::NOSPC | Errno::DQUOT => {
            Some("free some space (`paddle prune`), or move the store with --store".to_owned())
        }
        Errno::XDEV | Errno::BUSY => {
            Some("something is mounted there; unmount it first".to_owned())
        }
        _ => None,
    }
}
