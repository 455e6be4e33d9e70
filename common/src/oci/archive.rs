//! An OCI layout in one `.tar` file: read in place (blobs are ranges of the file), written canonically.
//!
//! Only plain tar can be read in place. A compressed one is refused with its own error, so that the
//! caller can decide where to decompress it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blobs::{self, Blobs, SMALL, Verified};
use super::layout::{ImageLayout, LayoutError, Marker, open_regular};
use super::media_type::{self, PROVENANCE_ANNOTATION};
use super::{Descriptor, ImageIndex, ImageManifest, json, reference::Reference};
use crate::digest::Digest;
use crate::escape::Escaped;
use crate::tree::tar::{Entry, EntryKind, Reader, TarError, Writer};
use crate::tree::{ImagePath, Metadata};

/// An archive opened for reading; nothing is unpacked.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    file: Arc<File>,
    index: ImageIndex,
    blobs: BTreeMap<Digest, Range>,
}

/// Where a blob is in the file.
#[derive(Debug, Clone, Copy)]
struct Range {
    start: u64,
    size: u64,
}

/// First bytes of files that are compressed as a whole.
const COMPRESSED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
];

impl Archive {
    /// Reads the archive's own headers (not the blobs).
    pub fn open(path: &Path) -> Result<Self, LayoutError> {
        let file = open_regular(path)?;
        let mut start = [0; 6];
        let known = file.read_at(&mut start, 0).map_err(LayoutError::io("read", path))?;
        for (magic, format) in COMPRESSED {
            if start[..known].starts_with(magic) {
                return Err(LayoutError::Compressed { path: path.to_owned(), format });
            }
        }
        let contents = Contents::read(path, &file)?;
        let (Some(marker), Some(index)) = (contents.marker, contents.index) else {
            let path = path.to_owned();
            return Err(if contents.docker {
                LayoutError::DockerArchive { path }
            } else {
                LayoutError::NotALayout { path }
            });
        };
        Marker::check(&path.join(Marker::FILE), &marker)?;
        let index = blobs::parse(&path.join("index.json"), &index)?;
        Ok(Self { path: path.to_owned(), file: Arc::new(file), index, blobs: contents.blobs })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its `index.json`.
    pub fn index(&self) -> &ImageIndex {
        &self.index
    }

    /// As [`ImageLayout::read`].
    pub fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        let digest = blobs::digest(descriptor)?;
        blobs::read_whole(&mut self.open_verified(&digest, descriptor.size())?, &digest)
    }

    /// As [`ImageLayout::open_blob`].
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError> {
        let digest = blobs::digest(descriptor)?;
        Ok(Box::new(self.open_verified(&digest, descriptor.size())?))
    }

    fn open_verified(&self, digest: &Digest, size: u64) -> Result<Verified<Slice>, LayoutError> {
        let range = *self.blobs.get(digest).ok_or(LayoutError::Missing { digest: *digest })?;
        if range.size != size {
            let (digest, found) = (*digest, range.size);
            return Err(LayoutError::Size { digest, expected: size, found });
        }
        let slice = Slice { file: Arc::clone(&self.file), position: range.start, left: range.size };
        Ok(Verified::new(slice, *digest, size))
    }
}

impl Blobs for Archive {
    fn index(&self) -> Result<ImageIndex, LayoutError> {
        Ok(self.index.clone())
    }

    fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        self.read(descriptor)
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError> {
        self.open_blob(descriptor)
    }
}

/// What of an archive concerns us. Other files are passed over: `docker save` adds `manifest.json`
/// and links for its own older versions.
#[derive(Default)]
struct Contents {
    marker: Option<Vec<u8>>,
    index: Option<Vec<u8>>,
    docker: bool,
    blobs: BTreeMap<Digest, Range>,
}

impl Contents {
    fn read(path: &Path, file: &File) -> Result<Self, LayoutError> {
        let broken = |source| LayoutError::Tar { path: path.to_owned(), source };
        let mut contents = Self::default();
        let mut reader = Reader::new(file);
        while let Some(entry) = reader.next_entry_seeking().map_err(broken)? {
            let EntryKind::File { size } = entry.kind else { continue };
            let name = entry.path.relative();
            let again = match name {
                b"oci-layout" => {
                    contents.marker.replace(small(path, &entry, &mut reader)?).is_some()
                }
                b"index.json" => {
                    contents.index.replace(small(path, &entry, &mut reader)?).is_some()
                }
                b"manifest.json" => std::mem::replace(&mut contents.docker, true),
                _ => match blob(name) {
                    Some(digest) => {
                        let range = Range { start: reader.position(), size };
                        contents.blobs.insert(digest, range).is_some()
                    }
                    None => false,
                },
            };
            if again {
                let name = Escaped(name).to_string();
                return Err(LayoutError::Duplicate { path: path.to_owned(), name });
            }
        }
        Ok(contents)
    }
}

/// The digest that a blob's name in an archive says.
fn blob(name: &[u8]) -> Option<Digest> {
    let hex = name.strip_prefix(b"blobs/sha256/")?;
    format!("{}:{}", Digest::ALGORITHM, str::from_utf8(hex).ok()?).parse().ok()
}

/// The content of the current entry, which is read whole.
fn small(
    archive: &Path,
    entry: &Entry,
    reader: &mut Reader<&File>,
) -> Result<Vec<u8>, LayoutError> {
    let path = entry.path.below(archive);
    let mut bytes = Vec::new();
    reader.take(SMALL + 1).read_to_end(&mut bytes).map_err(LayoutError::io("read", &path))?;
    if bytes.len() as u64 > SMALL {
        return Err(LayoutError::FileTooLarge { path, limit: SMALL });
    }
    Ok(bytes)
}

/// A part of a file, read by position: several may be read at once.
#[derive(Debug)]
struct Slice {
    file: Arc<File>,
    position: u64,
    left: u64,
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..most], self.position)?;
        self.position += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// Writes one image of `layout`, and nothing else, as an archive: `oci-layout`, `index.json` and its
/// blobs in order of digest. Every blob is verified on the way. The bytes depend on the image and its
/// name only.
pub fn write(
    layout: &ImageLayout,
    name: &Reference,
    manifest: &Descriptor,
    out: impl Write,
) -> Result<(), LayoutError> {
    let mut blobs = BTreeMap::new();
    collect(layout, manifest, &mut blobs, 0)?;
    let mut index = blobs::empty_index();
    blobs::put(&mut index, blobs::with_name(manifest.clone(), name));
    let index = json::canonical(&index)
        .map_err(|source| LayoutError::Json { path: PathBuf::from("index.json"), source })?;
    let mut writer = Writer::new(out);
    put(&mut writer, Marker::FILE, Marker::BYTES.len() as u64, Marker::BYTES)?;
    put(&mut writer, "index.json", index.len() as u64, index.as_slice())?;
    for folder in ["blobs", "blobs/sha256"] {
        writer.append(&entry(folder, 0o755, EntryKind::Directory)?, io::empty()).map_err(failed)?;
    }
    for (digest, descriptor) in &blobs {
        let path = format!("blobs/sha256/{}", digest.hex());
        put(&mut writer, &path, descriptor.size(), layout.open_blob(descriptor)?)?;
    }
    writer.finish().map_err(failed)?;
    Ok(())
}

fn put(
    writer: &mut Writer<impl Write>,
    path: &str,
    size: u64,
    content: impl Read,
) -> Result<(), LayoutError> {
    writer.append(&entry(path, 0o644, EntryKind::File { size })?, content).map_err(failed)
}

fn entry(path: &str, mode: u32, kind: EntryKind) -> Result<Entry, LayoutError> {
    let path = ImagePath::root().join(path).map_err(|problem| {
        failed(TarError::Entry { name: path.into(), offset: 0, problem: problem.into() })
    })?;
    Ok(Entry { path, metadata: Metadata { mode, ..Metadata::default() }, kind })
}

/// A damaged blob is the layout's fault, not the archive's.
fn failed(error: TarError) -> LayoutError {
    match error {
        TarError::Io(error) => match error.downcast::<LayoutError>() {
            Ok(error) => error,
            Err(error) => LayoutError::Write(TarError::Io(error)),
        },
        error => LayoutError::Write(error),
    }
}

/// The blobs that an image needs: manifests, configurations, layers, and why each file is there.
fn collect(
    layout: &ImageLayout,
    descriptor: &Descriptor,
    blobs: &mut BTreeMap<Digest, Descriptor>,
    depth: usize,
) -> Result<(), LayoutError> {
    if depth > media_type::MAX_DEPTH {
        return Err(LayoutError::TooDeep { limit: media_type::MAX_DEPTH });
    }
    if blobs.insert(blobs::digest(descriptor)?, descriptor.clone()).is_some() {
        return Ok(());
    }
    if media_type::is_index(descriptor.media_type()) {
        for entry in layout.read_json::<ImageIndex>(descriptor)?.manifests() {
            collect(layout, entry, blobs, depth + 1)?;
        }
    } else if media_type::is_manifest(descriptor.media_type()) {
        let manifest: ImageManifest = layout.read_json(descriptor)?;
        for part in std::iter::once(manifest.config()).chain(manifest.layers()) {
            blobs.insert(blobs::digest(part)?, part.clone());
        }
        let annotations = manifest.annotations().iter().flatten();
        for (_, digest) in annotations.filter(|(key, _)| *key == PROVENANCE_ANNOTATION) {
            let digest: Digest = digest.parse()?;
            let path = layout.blob_path(&digest);
            let size = fs::metadata(&path).map_err(LayoutError::io("read", &path))?.len();
            let part = blobs::descriptor(media_type::PROVENANCE.into(), digest, size);
            blobs.insert(digest, part);
        }
    }
    Ok(())
}
