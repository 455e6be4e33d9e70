//! Which blobs and snapshots a name reaches.

use std::collections::{BTreeMap, BTreeSet};

use common::digest::Digest;
use common::oci::blobs::{self, Blobs};
use common::oci::layout::{ImageLayout, LayoutError};
use common::oci::media_type::{PROVENANCE_ANNOTATION, is_config, is_index, is_manifest};
use common::oci::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde::de::DeserializeOwned;

use crate::store::image::{chain_id, diff_ids};

/// Indexes within indexes, as everywhere (`common::oci::select`).
const LEVELS: usize = 4;

/// Blobs with their sizes, and chain ids.
#[derive(Debug, Default)]
pub(super) struct Reach {
    pub(super) blobs: BTreeMap<Digest, u64>,
    pub(super) chains: BTreeSet<Digest>,
}

impl Reach {
    /// What these descriptors lead to. A damaged blob leads nowhere: what only it names is not needed
    /// by anything that works. One that cannot be read is an error.
    pub(super) fn of<'a>(
        layout: &ImageLayout,
        start: impl IntoIterator<Item = &'a Descriptor>,
    ) -> Result<Self, LayoutError> {
        let mut reach = Self::default();
        for descriptor in start {
            reach.visit(layout, descriptor, 0)?;
        }
        Ok(reach)
    }

    fn visit(
        &mut self,
        layout: &ImageLayout,
        descriptor: &Descriptor,
        level: usize,
    ) -> Result<(), LayoutError> {
        let Ok(digest) = blobs::digest(descriptor) else { return Ok(()) };
        self.blobs.insert(digest, descriptor.size());
        if is_index(descriptor.media_type()) && level < LEVELS {
            if let Some(index) = document::<ImageIndex>(layout, descriptor)? {
                for inner in index.manifests() {
                    self.visit(layout, inner, level + 1)?;
                }
            }
        } else if is_manifest(descriptor.media_type())
            && let Some(manifest) = document::<ImageManifest>(layout, descriptor)?
        {
            self.manifest(layout, &manifest)?;
        }
        Ok(())
    }

    fn manifest(
        &mut self,
        layout: &ImageLayout,
        manifest: &ImageManifest,
    ) -> Result<(), LayoutError> {
        for part in manifest.layers().iter().chain([manifest.config()]) {
            if let Ok(digest) = blobs::digest(part) {
                self.blobs.insert(digest, part.size());
            }
        }
        let annotations = manifest.annotations().as_ref();
        let provenance = annotations.and_then(|all| all.get(PROVENANCE_ANNOTATION));
        if let Some(Ok(digest)) = provenance.map(|text| text.parse::<Digest>()) {
            let size = std::fs::metadata(layout.blob_path(&digest)).map_or(0, |blob| blob.len());
            self.blobs.insert(digest, size);
        }
        if is_config(manifest.config().media_type())
            && let Some(config) = document::<ImageConfiguration>(layout, manifest.config())?
            && let Ok(ids) = diff_ids(&config)
        {
            self.chains.insert(chain_id(&ids));
        }
        Ok(())
    }
}

/// A blob of JSON; `None` if it is missing or damaged.
fn document<T: DeserializeOwned>(
    layout: &ImageLayout,
    descriptor: &Descriptor,
) -> Result<Option<T>, LayoutError> {
    match layout.read_json(descriptor) {
        Ok(document) => Ok(Some(document)),
        Err(error @ (LayoutError::Io { .. } | LayoutError::Blob { .. })) => Err(error),
        Err(_) => Ok(None),
    }
}
