//! `StoredImage`: manifest and config of an image, verified; its layers still packed.

use std::cell::RefCell;
use std::io::Read;

use common::digest::Digest;
use common::escape::Escaped;
use common::oci::archive::Archive;
use common::oci::blobs::{self, Blobs};
use common::oci::compression::Compression;
use common::oci::layout::{ImageLayout, LayoutError};
use common::oci::media_type::{EROFS, EROFS_LAYER, ZSTD_SUFFIX};
use common::oci::reference::Reference;
use common::oci::select::{host, select};
use common::oci::{Descriptor, ImageConfiguration, ImageIndex, MediaType, Platform};

use super::{StoreError, tarball::Tarball};

/// An image that can be unpacked.
#[derive(Debug)]
pub struct StoredImage {
    label: String,
    digest: Option<Digest>,
    config: ImageConfiguration,
    chain: Option<Digest>,
    pub(super) content: Content,
}

/// Where the layers are.
#[derive(Debug)]
pub(super) enum Content {
    /// Blobs of a layout or an archive.
    Layers(Box<dyn Packed>, Vec<Layer>),
    /// One file, which is one layer.
    Tarball(Tarball),
    /// A file system, mounted from where it is.
    Erofs(Tarball),
}

/// A layer, packed.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) descriptor: Descriptor,
    pub(super) packing: Packing,
    /// The digest of its uncompressed bytes.
    pub(super) diff_id: Digest,
}

/// What a layer is, and how it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// An archive, which is unpacked.
    Tar(Compression),
    /// A file system, which is mounted.
    Erofs(Compression),
}

impl Packing {
    fn of(media_type: &MediaType) -> Option<Self> {
        let name = media_type.as_ref();
        let (name, compression) = match name.strip_suffix(ZSTD_SUFFIX) {
            Some(name) => (name, Compression::Zstd),
            None => (name, Compression::None),
        };
        if matches!(name, EROFS | EROFS_LAYER) {
            return Some(Self::Erofs(compression));
        }
        Compression::of(media_type).map(Self::Tar)
    }
}

/// [`Blobs`], as a value whose type is decided at run time.
pub(super) trait Packed: std::fmt::Debug {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError>;
}

impl Packed for ImageLayout {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError> {
        self.open_blob(descriptor)
    }
}

impl Packed for Archive {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError> {
        self.open_blob(descriptor)
    }
}

impl StoredImage {
    /// How a person calls it: `curl:latest`, `./curl.tar`. Escaped, so that it can be printed.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Digest of the manifest; a plain rootfs tarball has none.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The image's configuration. For a rootfs tarball: this host's platform and nothing else.
    pub fn config(&self) -> &ImageConfiguration {
        &self.config
    }

    /// The chain id of its layers. Of a rootfs tarball that was never unpacked it is not known.
    pub fn chain(&self) -> Option<Digest> {
        self.chain
    }

    /// Whether its root is a file system of its maker's, which the kernel is made to read.
    pub fn is_erofs(&self) -> bool {
        match &self.content {
            Content::Erofs(_) => true,
            Content::Tarball(_) => false,
            Content::Layers(_, layers) => {
                layers.iter().any(|layer| matches!(layer.packing, Packing::Erofs(_)))
            }
        }
    }

    /// Reads manifest and config of the image `name` for this host, verified; of the only image
    /// where there is no name.
    pub(super) fn load<B: Blobs + Packed + 'static>(
        blobs: B,
        name: Option<&Reference>,
        label: String,
    ) -> Result<Self, StoreError> {
        let (chosen, manifest, config) = {
            let once = Once { blobs: &blobs, read: RefCell::default() };
            let (chosen, manifest) = select(&once, name, &host())?;
            let config: ImageConfiguration = once.read_json(manifest.config())?;
            (chosen, manifest, config)
        };
        check_platform(&config)?;
        let diff_ids = diff_ids(&config)?;
        let (layers, diff_count) = (manifest.layers().len(), diff_ids.len());
        if layers != diff_count {
            return Err(StoreError::LayerCount { label, layers, diff_ids: diff_count });
        }
        let layers = manifest
            .layers()
            .iter()
            .zip(&diff_ids)
            .map(|(descriptor, &diff_id)| {
                let packing = Packing::of(descriptor.media_type()).ok_or_else(|| {
                    let media_type = descriptor.media_type().to_string();
                    let media_type = Escaped(media_type.as_bytes()).to_string();
                    StoreError::MediaType { label: label.clone(), media_type }
                })?;
                Ok(Layer { descriptor: descriptor.clone(), packing, diff_id })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let mounted = layers.iter().any(|layer| matches!(layer.packing, Packing::Erofs(_)));
        if mounted && diff_count != 1 {
            return Err(StoreError::ErofsLayers { label });
        }
        Ok(Self {
            label,
            digest: Some(blobs::digest(&chosen)?),
            config,
            chain: Some(chain_id(&diff_ids)),
            content: Content::Layers(Box::new(blobs), layers),
        })
    }

    /// A root filesystem without a configuration; `chain` if it was unpacked before.
    pub(super) fn bare(tarball: Tarball, label: String, chain: Option<Digest>) -> Self {
        let config = ImageConfiguration::default();
        Self { label, digest: None, config, chain, content: Content::Tarball(tarball) }
    }

    /// A file system without a configuration.
    pub(super) fn bare_erofs(file: Tarball, label: String) -> Self {
        let config = ImageConfiguration::default();
        Self { label, digest: None, config, chain: None, content: Content::Erofs(file) }
    }
}

/// Blobs of which each small one is read and verified once, however often it is asked for: choosing a manifest has to
/// look at the same ones.
struct Once<'a, B> {
    blobs: &'a B,
    read: RefCell<Vec<(Digest, Vec<u8>)>>,
}

impl<B: Blobs> Blobs for Once<'_, B> {
    fn index(&self) -> Result<ImageIndex, LayoutError> {
        self.blobs.index()
    }

    fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        let digest = blobs::digest(descriptor)?;
        let mut read = self.read.borrow_mut();
        let known = read.iter().find(|(known, bytes)| {
            *known == digest && u64::try_from(bytes.len()) == Ok(descriptor.size())
        });
        if let Some((_, bytes)) = known {
            return Ok(bytes.clone());
        }
        let bytes = self.blobs.read(descriptor)?;
        read.push((digest, bytes.clone()));
        Ok(bytes)
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError> {
        self.blobs.open_blob(descriptor)
    }
}

/// What the index says about the platform is only a promise; the configuration keeps it or not.
fn check_platform(config: &ImageConfiguration) -> Result<(), LayoutError> {
    let host = host();
    if config.os() == host.os() && config.architecture() == host.architecture() {
        return Ok(());
    }
    let mut found = Platform::default();
    found.set_os(config.os().clone());
    found.set_architecture(config.architecture().clone());
    Err(LayoutError::Platform { wanted: Box::new(host), found: vec![found] })
}

/// The name in an index outside the store that a person means by `tag`: other tools write a bare tag
/// where we write the whole name.
pub(super) fn name_of(blobs: &impl Blobs, tag: &str) -> Result<Reference, LayoutError> {
    let known: Vec<Reference> =
        blobs::named(&blobs.index()?).into_iter().map(|(name, _)| name).collect();
    let bare = |name: &&Reference| name.tag() == Reference::DEFAULT_TAG && name.name() == tag;
    let mut meant = known.iter().filter(|name| name.tag() == tag || bare(name));
    match (meant.next(), meant.next(), tag.parse()) {
        (Some(one), None, _) => Ok(one.clone()),
        (None, _, Ok(name)) => Err(LayoutError::NoSuchImage { name, known }),
        _ => Err(LayoutError::Ambiguous { known }),
    }
}

/// The digests of the uncompressed layers.
pub(super) fn diff_ids(config: &ImageConfiguration) -> Result<Vec<Digest>, LayoutError> {
    let ids = config.rootfs().diff_ids().iter();
    Ok(ids.map(|id| id.parse()).collect::<Result<_, _>>()?)
}

/// image-spec config.md, "Layer `ChainID`": one name for the result of applying all layers.
pub(super) fn chain_id(diff_ids: &[Digest]) -> Digest {
    let apply = |chain: Digest, next: &Digest| Digest::of(format!("{chain} {next}").as_bytes());
    match diff_ids.split_first() {
        Some((first, rest)) => rest.iter().fold(*first, apply),
        None => Digest::of(b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_of_one_layer_is_its_diff_id() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(chain_id(&[a]), a);
        assert_eq!(chain_id(&[a, b]), Digest::of(format!("{a} {b}").as_bytes()));
        assert_ne!(chain_id(&[a, b]), chain_id(&[b, a]));
    }
}
