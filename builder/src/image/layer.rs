//! Tree -> tar -> compressed blob; both digests are taken while the bytes pass.

use std::io::{self, BufWriter, Read, Write};

use clap::ValueEnum;
use common::digest::{Digest, Digesting};
use common::oci::layout::ImageLayout;
use common::oci::{Descriptor, MediaType};
use common::tree::{Tree, tar};

use super::ImageError;
use super::gzip::Gzip;
use crate::assemble::{Content, Contents};

/// How a layer or tarball is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Compression {
    /// Understood by everything.
    #[default]
    Gzip,
    /// Smaller and faster; needs containerd 1.5, Docker 23, Podman 2 or later.
    Zstd,
    /// No compression.
    None,
}

/// A layer as it was written.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The blob.
    pub descriptor: Descriptor,
    /// Digest of the tar.
    pub diff_id: Digest,
    /// Bytes of the tar.
    pub unpacked: u64,
}

/// zstd's own default. Part of the format.
const ZSTD_LEVEL: i32 = 3;

/// A compressor in front of a writer.
pub enum Encoder<W: Write> {
    /// gzip.
    Gzip(Box<GzipEncoder<W>>),
    /// zstd, one thread.
    Zstd(zstd::Encoder<'static, W>),
    /// As it is.
    None(W),
}

/// The parallel gzip of this crate.
#[derive(Debug)]
pub struct GzipEncoder<W>(Gzip<W>);

impl<W: Write> std::fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "Encoder::Gzip",
            Self::Zstd(_) => "Encoder::Zstd",
            Self::None(_) => "Encoder::None",
        })
    }
}

impl<W: Write> Encoder<W> {
    /// Starts.
    pub fn new(compression: Compression, out: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gzip => Self::Gzip(Box::new(GzipEncoder(Gzip::new(out)?))),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(out, ZSTD_LEVEL)?),
            Compression::None => Self::None(out),
        })
    }

    /// Ends, and gives back what it wrote to.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Gzip(gzip) => gzip.0.finish(),
            Self::Zstd(zstd) => zstd.finish(),
            Self::None(out) => Ok(out),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(gzip) => gzip.0.write(buffer),
            Self::Zstd(zstd) => zstd.write(buffer),
            Self::None(out) => out.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(gzip) => gzip.0.flush(),
            Self::Zstd(zstd) => zstd.flush(),
            Self::None(out) => out.flush(),
        }
    }
}

/// A reader that says how much it read.
struct Told<'f, F> {
    inner: Box<dyn Read>,
    on_bytes: &'f std::cell::RefCell<F>,
}

impl<F: FnMut(u64)> Read for Told<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (self.on_bytes.borrow_mut())(count as u64);
        Ok(count)
    }
}

/// Writes the tree as tar. `on_bytes` is told of bytes of contents.
pub(super) fn tar(
    tree: &Tree<Content>,
    contents: &Contents<'_>,
    out: impl Write,
    on_bytes: impl FnMut(u64),
) -> Result<(), ImageError> {
    let on_bytes = std::cell::RefCell::new(on_bytes);
    let open = |_: &common::tree::ImagePath, content: &Content| {
        Ok(Told { inner: contents.open(content)?, on_bytes: &on_bytes })
    };
    tar::write(tree, open, out).map_err(ImageError::Tar)
}

/// Writes the layer into `layout`.
pub(super) fn write(
    tree: &Tree<Content>,
    contents: &Contents<'_>,
    compression: Compression,
    layout: &ImageLayout,
    on_bytes: impl FnMut(u64),
) -> Result<Layer, ImageError> {
    let blob = layout.new_blob()?;
    let encoder = Encoder::new(compression, blob).map_err(ImageError::Layer)?;
    // Headers of 512 bytes are not worth a system call or a hash update each.
    let mut out = Digesting::new(encoder);
    let mut buffer = BufWriter::with_capacity(1 << 16, &mut out);
    tar(tree, contents, &mut buffer, on_bytes)?;
    buffer.flush().map_err(ImageError::Layer)?;
    drop(buffer);
    let (diff_id, unpacked, encoder) = out.finish();
    let blob = encoder.finish().map_err(ImageError::Layer)?;
    let media_type = match compression {
        Compression::Gzip => MediaType::ImageLayerGzip,
        Compression::Zstd => MediaType::ImageLayerZstd,
        Compression::None => MediaType::ImageLayer,
    };
    Ok(Layer { descriptor: blob.finish(media_type)?, diff_id, unpacked })
}
