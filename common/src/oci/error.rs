//! What can be wrong with a layout or an archive, and what its reader can do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::Platform;
use super::reference::Reference;
use crate::digest::{Digest, DigestError};
use crate::escape::Escaped;
use crate::report::Diagnostic;
use crate::tree::tar::TarError;

/// What was wrong, with which file or blob.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file operation failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// "read", "create" ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no `oci-layout` in the folder or archive.
    #[error("`{}` is not an OCI image layout: it has no `oci-layout`", path.display())]
    NotALayout {
        /// The folder or archive.
        path: PathBuf,
    },
    /// `oci-layout` names a version other than 1.
    #[error("`{}` has version `{}` of the image layout, only 1.0.0 is known", path.display(), Escaped(version.as_bytes()))]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        version: String,
    },
    /// A folder, device or FIFO where a regular file should be.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// The thing.
        path: PathBuf,
    },
    /// A file that is read whole is too large for it.
    #[error("`{}` has more than {limit} bytes", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes allowed.
        limit: u64,
    },
    /// A file or blob is not the JSON that it should be.
    #[error("`{}` is not the JSON that it should be", path.display())]
    Json {
        /// The file, or the digest of the blob.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A descriptor's digest is none that we can check.
    #[error("a descriptor names a blob that cannot be verified")]
    Digest(#[from] DigestError),
    /// A descriptor names a blob that is not there.
    #[error("blob `{digest}` is missing")]
    Missing {
        /// Its name.
        digest: Digest,
    },
    /// A blob is longer or shorter than its descriptor says.
    #[error("blob `{digest}` has {found} bytes, its descriptor says {expected}")]
    Size {
        /// Its name.
        digest: Digest,
        /// As the descriptor says.
        expected: u64,
        /// As found; where a stream went on, at least that many.
        found: u64,
    },
    /// A blob's bytes are not those of its name.
    #[error("blob `{expected}` is damaged: its bytes have the digest `{found}`")]
    Mismatch {
        /// Its name.
        expected: Digest,
        /// The digest of its bytes.
        found: Digest,
    },
    /// A blob that is read whole is too large for it.
    #[error("blob `{digest}` has {size} bytes, more than the {limit} that are read at once")]
    TooLarge {
        /// Its name.
        digest: Digest,
        /// As the descriptor says.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Reading a blob failed.
    #[error("cannot read blob `{digest}`")]
    Blob {
        /// Its name.
        digest: Digest,
        /// What the kernel said.
        source: io::Error,
    },
    /// An archive is no tar that we accept.
    #[error("`{}` cannot be read as an archive", path.display())]
    Tar {
        /// The archive.
        path: PathBuf,
        /// Where and why.
        source: TarError,
    },
    /// An archive is compressed as a whole; blobs cannot be read in place.
    #[error("`{}` is compressed with {format}", path.display())]
    Compressed {
        /// The archive.
        path: PathBuf,
        /// "gzip", "zstd", "xz" or "bzip2".
        format: &'static str,
    },
    /// An archive has two files of one name.
    #[error("`{}` has `{name}` twice", path.display())]
    Duplicate {
        /// The archive.
        path: PathBuf,
        /// The name, escaped.
        name: String,
    },
    /// An archive made by `docker save` before version 25: a `manifest.json`, but no layout.
    #[error("`{}` is an archive of the old docker format, not an OCI image layout", path.display())]
    DockerArchive {
        /// The archive.
        path: PathBuf,
    },
    /// Writing an archive failed.
    #[error("cannot write the archive")]
    Write(#[source] TarError),
    /// No image has the name.
    #[error("there is no image named `{name}`")]
    NoSuchImage {
        /// The name asked for.
        name: Reference,
        /// Names that are there.
        known: Vec<Reference>,
    },
    /// No name was given, and there is not exactly one image.
    #[error("{} images are here, and none was named", known.len())]
    Ambiguous {
        /// Names that are there.
        known: Vec<Reference>,
    },
    /// A descriptor leads to something that is no image.
    #[error("`{digest}` is not an image: its media type is `{}`", Escaped(media_type.as_bytes()))]
    NotAnImage {
        /// Its name.
        digest: String,
        /// As the descriptor says.
        media_type: String,
    },
    /// An index has no image for the platform.
    #[error("there is no image for `{}`, only for {}", show(wanted), list(found.iter().map(show)))]
    Platform {
        /// The platform asked for.
        wanted: Box<Platform>,
        /// Platforms that are there.
        found: Vec<Platform>,
    },
    /// Indexes are nested deeper than any tool makes them.
    #[error("indexes within indexes, more than {limit} deep")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
}

impl LayoutError {
    /// For `map_err`: what was done to which path.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether a file was not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// The layout error inside an error of a verified stream, such as [`super::blobs::Blobs::open_blob`] gives.
    pub fn inside(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<LayoutError> for io::Error {
    /// For streams: `InvalidData`, with the error inside.
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Io { source, .. } | LayoutError::Blob { source, .. } => source,
            error => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

impl Diagnostic for LayoutError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { source, path, .. } => return io_hint(source, path),
            Self::Write(TarError::Io(source)) | Self::Blob { source, .. } => {
                return io_hint(source, Path::new("the file system"));
            }
            Self::NotALayout { .. } => {
                "a layout is a folder, or a tar of one, with oci-layout, index.json and blobs/".into()
            }
            Self::Missing { .. } | Self::Size { .. } | Self::Mismatch { .. } => {
                "the image is incomplete or damaged: fetch or build it again".into()
            }
            Self::Compressed { format, .. } => format!("decompress it first (`{format} -d`)"),
            Self::DockerArchive { .. } => {
                "`docker save` writes OCI layouts from version 25 on; or convert it: `skopeo copy docker-archive:IN oci-archive:OUT`".into()
            }
            Self::NoSuchImage { known, .. } | Self::Ambiguous { known } if !known.is_empty() => {
                format!("named images: {}", list(known.iter()))
            }
            Self::NoSuchImage { .. } | Self::Ambiguous { .. } => "no image here has a name".into(),
            Self::Platform { found, .. } if !found.is_empty() => "build or fetch the image for this platform".into(),
            _ => return None,
        })
    }
}

/// What to do about an error of the kernel that people meet.
fn io_hint(source: &io::Error, path: &Path) -> Option<String> {
    match source.kind() {
        io::ErrorKind::StorageFull => Some(format!(
            "the disk of `{}` is full: make room, or move the store with --store",
            path.display()
        )),
        io::ErrorKind::QuotaExceeded => {
            Some(format!("your quota on the disk of `{}` is used up", path.display()))
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            Some(format!("`{}` is on a read-only file system", path.display()))
        }
        io::ErrorKind::PermissionDenied => Some(format!(
            "you may not use `{}`: choose another place with --store, or ask its owner",
            path.display()
        )),
        _ => None,
    }
}

fn show(platform: &Platform) -> String {
    let variant = platform.variant().as_ref().map(|v| format!("/{v}")).unwrap_or_default();
    let text = format!("{}/{}{variant}", platform.os(), platform.architecture());
    Escaped(text.as_bytes()).to_string()
}

fn list<T: std::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.is_empty() { "nothing".to_owned() } else { items.join(", ") }
}
