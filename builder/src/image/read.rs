//! An image that is already there: in the store by name, an OCI archive, or an OCI folder.
//!
//! Everything in it is untrusted: blobs are verified by their digests, names are escaped before
//! they are shown.

use std::io::{self, Read};
use std::path::Path;

use common::digest::Digest;
use common::oci::archive::Archive;
use common::oci::blobs::{self, Blobs};
use common::oci::compression::{self, Decoder, Limits};
use common::oci::layout::{ImageLayout, LayoutError};
use common::oci::reference::Reference;
use common::oci::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, media_type};
use common::tree::tar::{self, Reader};
use common::tree::{ImagePath, Tree};

use super::ImageError;
use super::provenance::Provenance;

/// Annotation of a manifest: bytes of the provenance, which with its digest makes a descriptor.
pub(super) const PROVENANCE_SIZE: &str = "dev.coracle.provenance.size";

/// Bytes of provenance that are read at most: a hostile image must not fill the memory.
const MOST_PROVENANCE: u64 = 64 << 20;

/// Where an image is.
#[derive(Debug)]
pub enum Place {
    /// A folder: the store, or a layout of its own.
    Layout(ImageLayout),
    /// An archive.
    Archive(Box<Archive>),
}

impl Blobs for Place {
    fn index(&self) -> Result<ImageIndex, LayoutError> {
        match self {
            Self::Layout(layout) => layout.index(),
            Self::Archive(archive) => Ok(archive.index().clone()),
        }
    }

    fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        match self {
            Self::Layout(layout) => layout.read(descriptor),
            Self::Archive(archive) => archive.read(descriptor),
        }
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError> {
        match self {
            Self::Layout(layout) => layout.open_blob(descriptor),
            Self::Archive(archive) => archive.open_blob(descriptor),
        }
    }
}

/// An image, opened.
#[derive(Debug)]
pub struct Opened {
    place: Place,
    /// Its name, where it has one.
    pub name: Option<Reference>,
    /// The manifest's descriptor.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: ImageManifest,
    /// The configuration.
    pub config: ImageConfiguration,
}

/// Opens `what`, as `paddle` understands it: a name of the store, unless it starts like a path
/// (`/`, `./`, `../`); then an archive or folder of that name. Without a `store` there are no
/// names.
pub fn open(what: &str, store: Option<&Path>) -> Result<Opened, ImageError> {
    if let Some(opened) = named(what, store)? {
        return Ok(opened);
    }
    let path = Path::new(what);
    if path.exists() { at(path) } else { Err(ImageError::NoImage(what.escape_debug().to_string())) }
}

/// The image that has this name in the store; `None` where there is none, and for what starts like a
/// path.
pub fn named(what: &str, store: Option<&Path>) -> Result<Option<Opened>, ImageError> {
    let is_path = ["/", "./", "../"].iter().any(|start| what.starts_with(start));
    if let (false, Ok(name), Some(store)) = (is_path, what.parse::<Reference>(), store)
        && store.join("oci-layout").is_file()
    {
        let layout = ImageLayout::open(store)?;
        if let Some(descriptor) = layout.find(&name)? {
            return read(Place::Layout(layout), Some(name), descriptor).map(Some);
        }
    }
    Ok(None)
}

/// The image in an OCI layout, a folder or an archive.
pub fn at(path: &Path) -> Result<Opened, ImageError> {
    if path.is_dir() {
        first(Place::Layout(ImageLayout::open(path)?))
    } else {
        first(Place::Archive(Box::new(Archive::open(path)?)))
    }
}

/// The only image of a place, or the first by name.
fn first(place: Place) -> Result<Opened, ImageError> {
    let (descriptor, _) = common::oci::select::select(&place, None, &common::oci::select::host())?;
    let name = blobs::name(&descriptor);
    read(place, name, descriptor)
}

fn read(
    place: Place,
    name: Option<Reference>,
    descriptor: Descriptor,
) -> Result<Opened, ImageError> {
    let manifest: ImageManifest = place.read_json(&descriptor)?;
    let config = place.read_json(manifest.config())?;
    Ok(Opened { place, name, descriptor, manifest, config })
}

impl Opened {
    /// Bytes of the manifest and all that it names.
    pub fn size(&self) -> u64 {
        let layers: u64 = self.manifest.layers().iter().map(Descriptor::size).sum();
        self.descriptor.size() + self.manifest.config().size() + layers
    }

    /// Copies manifest, configuration, layers and the provenance, where there is one, into another layout;
    /// the manifest's descriptor there.
    pub fn copy_to(&self, layout: &ImageLayout) -> Result<Descriptor, ImageError> {
        let copy = |blob: &Descriptor, from: &mut dyn Read| {
            let mut writer = layout.new_blob()?;
            io::copy(from, &mut writer).map_err(ImageError::Copy)?;
            writer.finish(blob.media_type().clone()).map_err(ImageError::from)
        };
        // No manifest names it, so tools that copy images leave it behind.
        if let Some(blob) = self.provenance_blob().filter(|blob| blob.size() <= MOST_PROVENANCE)
            && let Ok(mut from) = self.place.open_blob(&blob)
        {
            copy(&blob, &mut from)?;
        }
        for blob in self.manifest.layers().iter().chain([self.manifest.config()]) {
            copy(blob, &mut self.place.open_blob(blob)?)?;
        }
        copy(&self.descriptor, &mut self.place.open_blob(&self.descriptor)?)
    }

    /// Number of entries, as the builder counted them.
    pub fn entries(&self) -> Option<u64> {
        self.manifest.annotations().as_ref()?.get(media_type::ENTRIES_ANNOTATION)?.parse().ok()
    }

    /// Why each entry is there.
    pub fn provenance(&self) -> Result<Provenance, ImageError> {
        let descriptor = self.provenance_blob().ok_or(ImageError::NoProvenance)?;
        let mut bytes = Vec::new();
        self.place
            .open_blob(&descriptor)?
            .take(MOST_PROVENANCE)
            .read_to_end(&mut bytes)
            .map_err(ImageError::Provenance)?;
        serde_json::from_slice(&bytes)
            .map_err(|source| ImageError::Malformed { what: "provenance", source })
    }

    fn provenance_blob(&self) -> Option<Descriptor> {
        let annotation = |key: &str| self.manifest.annotations().as_ref()?.get(key).cloned();
        let digest: Digest = annotation(media_type::PROVENANCE_ANNOTATION)?.parse().ok()?;
        let size: u64 = annotation(PROVENANCE_SIZE)?.parse().ok()?;
        Some(blobs::descriptor(media_type::PROVENANCE.into(), digest, size))
    }

    /// The root filesystem's entries, layer by layer; contents are dropped.
    pub fn trees(&self) -> Result<Vec<Tree<()>>, ImageError> {
        self.trees_with(|_, content| io::copy(content, &mut io::sink()).map(drop))
    }

    /// The root filesystem's entries, layer by layer; `keep` makes of each file's bytes what is kept.
    pub fn trees_with<C>(
        &self,
        mut keep: impl FnMut(&ImagePath, &mut dyn Read) -> io::Result<C>,
    ) -> Result<Vec<Tree<C>>, ImageError> {
        let mut trees = Vec::new();
        for layer in self.manifest.layers() {
            let Some(compression) = compression::Compression::of(layer.media_type()) else {
                continue;
            };
            let blob = self.place.open_blob(layer)?;
            let decoder =
                Decoder::new(compression, blob, Limits::default()).map_err(ImageError::Layer)?;
            let tree =
                tar::read(&mut Reader::new(decoder), &mut keep).map_err(ImageError::Unread)?;
            trees.push(tree);
        }
        Ok(trees)
    }
}

/// One line of `coracle images`.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub name: Reference,
    /// Digest of its manifest.
    pub digest: String,
    /// Bytes of all its blobs.
    pub size: u64,
    /// Entries of its root filesystem, where they were counted.
    pub entries: Option<u64>,
    /// `linux/amd64`.
    pub platform: String,
}

/// The images of a store.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those that can be read, sorted by name.
    pub images: Vec<Listed>,
    /// Those that cannot.
    pub damaged: Vec<(Reference, ImageError)>,
}

/// All named images of a store; none where there is no store yet.
pub fn list(store: &Path) -> Result<Listing, ImageError> {
    let mut listing = Listing::default();
    if !store.join("oci-layout").is_file() {
        return Ok(listing);
    }
    let layout = ImageLayout::open(store)?;
    for (name, descriptor) in layout.images()? {
        match read(Place::Layout(layout.clone()), Some(name.clone()), descriptor) {
            Ok(opened) => listing.images.push(Listed {
                name,
                digest: opened.descriptor.digest().to_string(),
                size: opened.size(),
                entries: opened.entries(),
                platform: format!("{}/{}", opened.config.os(), opened.config.architecture()),
            }),
            Err(error) => listing.damaged.push((name, error)),
        }
    }
    Ok(listing)
}
