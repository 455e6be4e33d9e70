//! `Blobs`: what a layout in a folder and a layout in an archive have in common, and the rules for
//! trusting bytes and names that both keep.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use serde::de::DeserializeOwned;

use super::error::LayoutError;
use super::media_type::{CONTAINERD_NAME, REF_NAME};
use super::{Descriptor, ImageIndex, MediaType, reference::Reference};
use crate::digest::{Digest, Digesting};

/// Bytes that a blob which is read whole, and a file of JSON, may have at most.
pub const SMALL: u64 = 4 << 20;

/// Blobs by descriptor, and the index that leads to them.
pub trait Blobs {
    /// All of `index.json`.
    fn index(&self) -> Result<ImageIndex, LayoutError>;

    /// A small blob (at most 4 MiB), whole, digest and size verified.
    fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError>;

    /// A blob as a stream that fails at its end when digest or size differ.
    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError>;

    /// A blob of JSON, read and verified as by [`Blobs::read`].
    fn read_json<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T, LayoutError>
    where
        Self: Sized,
    {
        parse(Path::new(descriptor.digest().as_ref()), &self.read(descriptor)?)
    }
}

/// A descriptor of `size` bytes with this digest, without annotations.
pub fn descriptor(media_type: MediaType, digest: Digest, size: u64) -> Descriptor {
    Descriptor::new(media_type, size, digest)
}

/// The digest that a descriptor names, as ours.
pub fn digest(descriptor: &Descriptor) -> Result<Digest, LayoutError> {
    Ok(Digest::try_from(descriptor.digest())?)
}

/// The names that an entry of an index has. Docker and containerd write the whole reference into an
/// annotation of their own and only the tag into the standard one.
pub fn name(descriptor: &Descriptor) -> Option<Reference> {
    let annotations = descriptor.annotations().as_ref()?;
    [CONTAINERD_NAME, REF_NAME].iter().find_map(|key| annotations.get(*key)?.parse().ok())
}

/// Named entries, sorted by name.
pub fn named(index: &ImageIndex) -> Vec<(Reference, Descriptor)> {
    let mut images: Vec<_> =
        index.manifests().iter().filter_map(|entry| Some((name(entry)?, entry.clone()))).collect();
    images.sort_by(|(a, _), (b, _)| a.cmp(b));
    images
}

/// An index of nothing.
pub(super) fn empty_index() -> ImageIndex {
    let mut index = ImageIndex::default();
    index.set_media_type(Some(MediaType::ImageIndex));
    index
}

/// The descriptor with this name and no other.
pub(super) fn with_name(mut descriptor: Descriptor, name: &Reference) -> Descriptor {
    let mut annotations: HashMap<_, _> = descriptor.annotations().clone().unwrap_or_default();
    annotations.remove(CONTAINERD_NAME);
    annotations.insert(REF_NAME.to_owned(), name.to_string());
    descriptor.set_annotations(Some(annotations));
    descriptor
}

/// Removes the entries with this name; the first of them.
pub(super) fn take(index: &mut ImageIndex, wanted: &Reference) -> Option<Descriptor> {
    let has_name = |entry: &Descriptor| name(entry).as_ref() == Some(wanted);
    let found = index.manifests().iter().find(|entry| has_name(entry)).cloned();
    let rest = index.manifests().iter().filter(|entry| !has_name(entry)).cloned().collect();
    index.set_manifests(rest);
    found
}

/// Adds an entry. Every index that we write has its entries by name, then digest.
pub(super) fn put(index: &mut ImageIndex, entry: Descriptor) {
    let mut entries = index.manifests().clone();
    entries.push(entry);
    entries.sort_by_cached_key(|entry| (name(entry), entry.digest().to_string()));
    index.set_manifests(entries);
}

/// Strictly one JSON value. `subject` is the file, or the digest of the blob.
pub(super) fn parse<T: DeserializeOwned>(subject: &Path, bytes: &[u8]) -> Result<T, LayoutError> {
    serde_json::from_slice(bytes)
        .map_err(|source| LayoutError::Json { path: subject.to_owned(), source })
}

/// All of a small blob.
pub(super) fn read_whole<R: Read>(
    blob: &mut Verified<R>,
    digest: &Digest,
) -> Result<Vec<u8>, LayoutError> {
    if blob.size > SMALL {
        return Err(LayoutError::TooLarge { digest: *digest, size: blob.size, limit: SMALL });
    }
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match blob.advance(&mut buffer)? {
            0 => return Ok(bytes),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A stream that must have exactly `size` bytes of this digest. The last bytes are handed out only
/// when all were right and nothing follows (rule U7), so that a reader who stops at the right size
/// has still verified.
#[derive(Debug)]
pub struct Verified<R> {
    /// `None` once all was verified, or once it failed.
    inner: Option<Digesting<R>>,
    expected: Digest,
    size: u64,
    failed: bool,
}

impl<R: Read> Verified<R> {
    /// Expects `size` bytes of this digest, from the start of `inner` to its end.
    pub fn new(inner: R, expected: Digest, size: u64) -> Self {
        Self { inner: Some(Digesting::new(inner)), expected, size, failed: false }
    }

    /// As [`Read::read`], with our errors.
    fn advance(&mut self, buffer: &mut [u8]) -> Result<usize, LayoutError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some(mut stream) = self.inner.take() else {
            return if self.failed { Err(self.damaged()) } else { Ok(0) };
        };
        self.failed = true;
        let left = self.size - stream.count();
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.fill(&mut stream, &mut buffer[..most])?;
        if count < most {
            // `most` is not zero only while bytes are missing.
            let found = stream.count();
            return Err(LayoutError::Size { digest: self.expected, expected: self.size, found });
        }
        if stream.count() < self.size {
            self.inner = Some(stream);
        } else {
            self.verify(stream)?;
        }
        self.failed = false;
        Ok(count)
    }

    /// Fills the whole buffer unless the stream ends.
    fn fill(&self, stream: &mut impl Read, buffer: &mut [u8]) -> Result<usize, LayoutError> {
        let mut count = 0;
        while count < buffer.len() {
            match stream.read(&mut buffer[count..]) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(LayoutError::Blob { digest: self.expected, source }),
            }
        }
        Ok(count)
    }

    fn verify(&self, stream: Digesting<R>) -> Result<(), LayoutError> {
        let (found, size, mut rest) = stream.finish();
        if self.fill(&mut rest, &mut [0])? > 0 {
            let digest = self.expected;
            return Err(LayoutError::Size { digest, expected: size, found: size + 1 });
        }
        if found == self.expected {
            return Ok(());
        }
        Err(LayoutError::Mismatch { expected: self.expected, found })
    }

    /// What a reader gets who goes on after an error.
    fn damaged(&self) -> LayoutError {
        let source = io::Error::from(io::ErrorKind::InvalidData);
        LayoutError::Blob { digest: self.expected, source }
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.advance(buffer)?)
    }
}
