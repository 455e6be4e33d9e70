//! Tree -> bytes: the layer, the configuration, the manifest, the provenance, and the forms an
//! image is handed over in.
//!
//! Decides bytes. Two equal trees and configurations give equal bytes, whatever the machine and the
//! number of threads.
//!
//! ```text
//! layer       Tree -> canonical tar -> gzip or zstd blob, all digests taken while streaming
//! gzip        fixed blocks, compressed in parallel, joined to one member
//! config      Configuration -> OCI configuration and manifest, canonical JSON
//! provenance  why each entry is there, as a blob beside the layer
//! formats/    OCI archive and folder, plain tarball, unpacked folder
//! read        an image that is already there: for why, inspect, images, check
//! unpack      its root filesystem as a folder, as far as a check looks at it
//! ```

use std::io;
use std::path::PathBuf;

use common::digest::Digest;
use common::oci::Descriptor;
use common::oci::layout::{ImageLayout, LayoutError};
use common::report::{Diagnostic, ExitCode};
use common::tree::Tree;
use common::tree::tar::TarError;

use crate::assemble::{Content, Contents, Epoch};
use crate::plan::Plan;

mod config;
pub mod formats;
mod gzip;
mod layer;
pub mod provenance;
pub mod read;
pub mod unpack;

pub use layer::{Compression, Encoder, Layer};

/// An image as it was written.
#[derive(Debug, Clone)]
pub struct Image {
    /// The manifest.
    pub manifest: Descriptor,
    /// Digest of the layer's uncompressed tar.
    pub diff_id: Digest,
    /// Bytes of the uncompressed tar.
    pub unpacked: u64,
    /// Bytes of all blobs.
    pub size: u64,
    /// Entries of the root filesystem: files, folders, links.
    pub entries: usize,
}

/// Why an image could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A blob could not be copied.
    #[error("cannot copy the image")]
    Copy(#[source] io::Error),
    /// A file of the image could not be read or the layer not be written.
    #[error("cannot write the layer")]
    Layer(#[source] io::Error),
    /// A layer of an image that is there cannot be read.
    #[error("cannot read a layer of the image")]
    Unread(#[source] TarError),
    /// The tree cannot be said in tar.
    #[error("cannot write the layer")]
    Tar(#[source] TarError),
    /// The layout failed.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A value cannot be said in JSON.
    #[error("cannot write `{what}` as JSON")]
    Json {
        /// Which value.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// A value of the specification is refused by its own type.
    #[error("cannot make the {what}")]
    Value {
        /// Which value.
        what: &'static str,
        /// Why.
        source: oci_spec::OciSpecError,
    },
    /// The output is there already.
    #[error("`{}` exists", .0.display())]
    Exists(PathBuf),
    /// The output's folder is not there.
    #[error("there is no folder `{}` for the output", .0.display())]
    NoFolder(PathBuf),
    /// The output to replace is a link, a device, a pipe or a socket.
    #[error("`{}` is neither a file nor a folder, and is not replaced", .0.display())]
    NotReplaceable(PathBuf),
    /// The output to replace is where the person stands, or holds it.
    #[error("`{}` is the working folder, or holds it, and is not replaced", .0.display())]
    HoldsWorkingFolder(PathBuf),
    /// The output's name says no format.
    #[error("`{}` does not say in which format the image is wanted", .0.display())]
    NoFormat(PathBuf),
    /// The output cannot be made.
    #[error("cannot {action} `{}`", path.display())]
    Output {
        /// "create", "write" ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// What was named is no image.
    #[error("there is no image `{0}`")]
    NoImage(String),
    /// A blob of an image is not what it should be.
    #[error("the image's {what} cannot be understood")]
    Malformed {
        /// Which blob.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// The image was not made by `coracle`, or without provenance.
    #[error("the image does not say why its files are there")]
    NoProvenance,
    /// The provenance cannot be read.
    #[error("cannot read why the image's files are there")]
    Provenance(#[source] io::Error),
    /// No such path in the image.
    #[error("the image has no `{0}`")]
    NoPath(String),
}

impl ImageError {
    /// Whether the disk is full somewhere below.
    fn is_full(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>()
                && matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

impl Diagnostic for ImageError {
    fn hint(&self) -> Option<String> {
        if self.is_full() {
            return Some("make room, or write elsewhere with --store or -o".to_owned());
        }
        let text = match self {
            Self::Layout(error) => return error.hint(),
            Self::Exists(_) => "use --force to replace it, or another name",
            Self::NotReplaceable(_) => "name another output; of a link, what it leads to",
            Self::NoFolder(_) => "make it first, or write elsewhere",
            Self::Output { source, .. } if is_forbidden(source) => {
                "write elsewhere with -o, or as a user who may"
            }
            Self::NoFormat(_) => {
                "end its name in .oci.tar, .tar, .tar.gz, .tar.zst or `/`, or use --format"
            }
            Self::NoImage(_) => "`coracle images` lists what is in the store",
            Self::NoProvenance => "only images that `coracle build` wrote in an OCI format know",
            Self::NoPath(_) => "`coracle inspect --files IMAGE` lists its paths",
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoFormat(_) => ExitCode::Usage,
            _ => ExitCode::Failed,
        }
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Writes layer, configuration, provenance and manifest into `layout`. `on_bytes` is told of bytes
/// of the layer.
pub fn write(
    tree: &Tree<Content>,
    plan: &Plan,
    contents: &Contents<'_>,
    options: Options,
    layout: &ImageLayout,
    on_bytes: impl FnMut(u64),
) -> Result<Image, ImageError> {
    let layer = layer::write(tree, contents, options.compression, layout, on_bytes)?;
    let provenance = provenance::write(plan, layout)?;
    config::write(plan, &layer, &provenance, options.epoch, tree.len(), layout)
}

/// What a person chooses about bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// How the layer is compressed.
    pub compression: Compression,
    /// The time of everything.
    pub epoch: Epoch,
}
