//! The forms in which an image is handed over besides the store.
//!
//! Decides which format a name means, and that an output appears whole or not at all: everything is
//! written beside its destination and renamed. What is there already is left alone, unless it is to
//! be replaced.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use common::digest::{Digest, Digesting};
use common::oci::layout::ImageLayout;
use common::oci::reference::Reference;
use common::oci::{archive, blobs};
use common::tree::Tree;
use common::tree::tar::TarError;

use super::layer::{self, Compression, Encoder};
use super::{Image, ImageError, Options};
use crate::assemble::{Content, Contents};
use crate::interrupt::Interruptible;
use crate::plan::Plan;

mod folder;

/// What an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One file with an OCI image layout.
    OciArchive,
    /// A folder with an OCI image layout.
    OciDir,
    /// The root filesystem as a tarball.
    Tar,
    /// The same, compressed with gzip.
    #[value(name = "tar.gz")]
    TarGz,
    /// The same, compressed with zstd.
    #[value(name = "tar.zst")]
    TarZst,
    /// The root filesystem as a folder.
    Dir,
}

/// Where an image goes, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// File or folder.
    pub path: PathBuf,
    /// What it is.
    pub format: Format,
    /// Whether something that is there is replaced.
    pub force: bool,
}

impl Output {
    /// The format that was asked for, else what the name says: `.oci.tar` or `.oci` an OCI archive,
    /// `.tar`, `.tar.gz`, `.tgz`, `.tar.zst` a tarball, a slash at the end a folder.
    pub fn new(path: &Path, format: Option<Format>, force: bool) -> Result<Self, ImageError> {
        let name = path.as_os_str().as_encoded_bytes();
        let format = match format {
            Some(format) => format,
            None => by_name(name).ok_or_else(|| ImageError::NoFormat(path.to_owned()))?,
        };
        let end = name.iter().rposition(|&b| b != b'/').map_or(name.len(), |last| last + 1);
        let path = PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(
            &name[..end],
        ));
        let output = Self { path, format, force };
        output.check_free()?;
        Ok(output)
    }

    /// Whether it can be written as far as names go; asked before the work.
    fn check_free(&self) -> Result<(), ImageError> {
        if let Ok(there) = self.path.symlink_metadata() {
            if !self.force {
                return Err(ImageError::Exists(self.path.clone()));
            }
            // Root may well replace `/dev/null` by an image, and would break the host;
            // `/dev/stdout` is a link.
            let kind = there.file_type();
            if !(kind.is_file() || kind.is_dir()) {
                return Err(ImageError::NotReplaceable(self.path.clone()));
            }
        }
        if !self.parent().is_dir() {
            return Err(ImageError::NoFolder(self.parent().to_owned()));
        }
        // `--force -o ./` is a slip of the finger that would remove somebody's work.
        let here = std::env::current_dir().and_then(|here| here.canonicalize());
        if let (Ok(path), Ok(here)) = (self.path.canonicalize(), here)
            && here.starts_with(path)
        {
            return Err(ImageError::HoldsWorkingFolder(self.path.clone()));
        }
        Ok(())
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> ImageError + '_ {
        move |source| ImageError::Output { action, path: self.path.clone(), source }
    }

    /// As `failed("create")`, without the temporary name, which is nobody's business.
    fn not_created(&self, error: &io::Error) -> ImageError {
        self.failed("create")(error.kind().into())
    }

    /// The folder that it appears in.
    fn parent(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }
}

fn by_name(name: &[u8]) -> Option<Format> {
    let ends = |end: &str| name.len() > end.len() && name.ends_with(end.as_bytes());
    [
        ("/", Format::Dir),
        (".oci.tar", Format::OciArchive),
        (".oci", Format::OciArchive),
        (".tar", Format::Tar),
        (".tar.gz", Format::TarGz),
        (".tgz", Format::TarGz),
        (".tar.zst", Format::TarZst),
        (".tzst", Format::TarZst),
    ]
    .into_iter()
    .find_map(|(end, format)| ends(end).then_some(format))
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The image, in OCI formats.
    pub image: Option<Image>,
    /// The image's own digest, a tarball's as a file; a folder has none.
    pub digest: Option<Digest>,
    /// Bytes of the file; of a folder the sum of its files.
    pub size: u64,
}

impl Written {
    fn of(image: Image, size: u64) -> Self {
        let digest = blobs::digest(&image.manifest).ok();
        Self { image: Some(image), digest, size }
    }
}

/// Writes an image as `output` says.
pub fn write(
    output: &Output,
    name: &Reference,
    tree: &Tree<Content>,
    plan: &Plan,
    contents: &Contents<'_>,
    options: Options,
    on_bytes: impl FnMut(u64),
) -> Result<Written, ImageError> {
    match output.format {
        Format::OciArchive => {
            let scratch = scratch_folder(output)?;
            let layout = ImageLayout::create(scratch.path())?;
            let image = super::write(tree, plan, contents, options, &layout, on_bytes)?;
            let size = file(output, contents, |out| {
                Ok(archive::write(&layout, name, &image.manifest, out)?)
            })?;
            Ok(Written::of(image, size))
        }
        Format::OciDir => {
            let scratch = scratch_folder(output)?;
            let layout = ImageLayout::create(scratch.path())?;
            let image = super::write(tree, plan, contents, options, &layout, on_bytes)?;
            layout.tag(name, image.manifest.clone())?;
            folder::settle(output, scratch)?;
            let size = image.size;
            Ok(Written::of(image, size))
        }
        Format::Tar => tarball(output, Compression::None, tree, contents, on_bytes),
        Format::TarGz => tarball(output, Compression::Gzip, tree, contents, on_bytes),
        Format::TarZst => tarball(output, Compression::Zstd, tree, contents, on_bytes),
        Format::Dir => {
            let scratch = scratch_folder(output)?;
            let size = folder::unpack(output, scratch.path(), tree, contents, on_bytes)?;
            folder::settle(output, scratch)?;
            Ok(Written { image: None, digest: None, size })
        }
    }
}

fn tarball(
    output: &Output,
    compression: Compression,
    tree: &Tree<Content>,
    contents: &Contents<'_>,
    on_bytes: impl FnMut(u64),
) -> Result<Written, ImageError> {
    let mut digest = None;
    let size = file(output, contents, |out| {
        let out = Digesting::new(out);
        let mut encoder = Encoder::new(compression, out).map_err(output.failed("write"))?;
        let mut buffered = BufWriter::with_capacity(1 << 16, &mut encoder);
        layer::tar(tree, contents, &mut buffered, on_bytes).map_err(|error| match error {
            // A full disk belongs to this file; of a source that failed, the cause has the name.
            ImageError::Tar(TarError::Io(source)) => output.failed("write")(source),
            error => error,
        })?;
        drop(buffered);
        digest = Some(encoder.finish().map_err(output.failed("write"))?.finish().0);
        Ok(())
    })?;
    Ok(Written { image: None, digest, size })
}

/// A file that appears whole: written under a temporary name in the same folder. Its size.
fn file(
    output: &Output,
    contents: &Contents<'_>,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), ImageError>,
) -> Result<u64, ImageError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".coracle-").permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let scratch =
        builder.tempfile_in(output.parent()).map_err(|error| output.not_created(&error))?;
    let out = Interruptible { inner: scratch.as_file(), interrupt: contents.interrupt };
    let mut buffered = BufWriter::with_capacity(1 << 16, out);
    fill(&mut buffered)?;
    buffered.flush().map_err(output.failed("write"))?;
    drop(buffered);
    let file: &File = scratch.as_file();
    let size = file.metadata().map_err(output.failed("write"))?.len();
    if output.force {
        if output.path.is_dir() {
            let source = io::ErrorKind::IsADirectory.into();
            return Err(output.failed("replace")(source));
        }
        scratch.persist(&output.path).map_err(|error| output.failed("create")(error.error))?;
    } else {
        match scratch.persist_noclobber(&output.path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ImageError::Exists(output.path.clone()));
            }
            Err(error) => return Err(output.failed("create")(error.error)),
        }
    }
    Ok(size)
}

/// A folder beside the output, removed unless it becomes the output.
fn scratch_folder(output: &Output) -> Result<tempfile::TempDir, ImageError> {
    tempfile::Builder::new()
        .prefix(".coracle-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir_in(output.parent())
        .map_err(|error| output.not_created(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_format() {
        for (name, format) in [
            ("x.oci.tar", Some(Format::OciArchive)),
            ("x.oci", Some(Format::OciArchive)),
            ("x.tar", Some(Format::Tar)),
            ("x.tar.gz", Some(Format::TarGz)),
            ("x.tgz", Some(Format::TarGz)),
            ("/x.tar.zst", Some(Format::TarZst)),
            ("x/", Some(Format::Dir)),
            ("x", None),
            (".tar", None),
        ] {
            let output = Output::new(Path::new(name), None, false);
            assert_eq!(output.ok().map(|output| output.format), format, "{name}");
        }
    }

    #[test]
    fn devices_and_links_are_never_replaced() {
        for path in ["/dev/null", "/dev/stdout"] {
            let output = Output::new(Path::new(path), Some(Format::Tar), true);
            assert!(matches!(output, Err(ImageError::NotReplaceable(_))), "{output:?}");
        }
    }
}
