//! From packed layers to a published snapshot.
//!
//! ```text
//! blob (digest verified at its end) -> decoder -> hash -> strict tar -> files below pending/<key>/root
//! all diff_ids right? -> metadata of folders, record -> rename to snapshots/<chain>
//! ```

use std::io::Read;
use std::os::fd::OwnedFd;

use common::digest::Digest;
use common::escape::Escaped;
use common::oci::compression::{self, Compression};
use rustix::fs::{Mode, mkdirat};

use super::image::{Content, Layer, Packed, Packing, chain_id};
use super::objects::Objects;
use super::pending::Claim;
use super::pipeline::{self, Blocks};
use super::snapshot::{Format, Found, Record, Snapshot, current_boot};
use super::tarball::{Identity, Tarball};
use super::unpack::{self, Budget, Tree, UnpackError};
use super::{ROOT, Store, StoreError, StoredImage, below, erofs, source};

impl Store {
    /// The image's root filesystem: unpacked now if it never was, otherwise only leased.
    pub fn unpack(&self, image: &StoredImage) -> Result<Snapshot, StoreError> {
        loop {
            // A tarball's chain may have become known while we waited for the one who unpacked it.
            let chain = image.chain().or_else(|| match &image.content {
                Content::Tarball(tarball) => self.known_tarball(&tarball.identity),
                Content::Layers(..) | Content::Erofs(_) => None,
            });
            if let Some(chain) = chain
                && let Found::Ready(snapshot) = self.lease(chain)?
            {
                return Ok(snapshot);
            }
            let key = match &image.content {
                Content::Tarball(tarball) => tarball.identity.key(),
                Content::Erofs(file) => return Snapshot::outside(file),
                Content::Layers(_, layers) => {
                    let ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
                    chain_id(&ids).hex()
                }
            };
            let Some(claim) = Claim::take(self, key)? else { continue };
            // Finished between our look and our claim?
            if let Some(chain) = chain
                && let Found::Ready(snapshot) = self.lease(chain)?
            {
                claim.discard()?;
                return Ok(snapshot);
            }
            match self.fill(&claim, image) {
                Ok(chain) => self.publish(claim, chain)?,
                Err(error) => {
                    // What cannot be removed now, the next command will.
                    claim.discard().ok();
                    return Err(error);
                }
            }
        }
    }

    /// Unpacks into a claimed folder; the chain id of what is there then.
    fn fill(&self, claim: &Claim<'_>, image: &StoredImage) -> Result<Digest, StoreError> {
        let path = || self.path.join(super::PENDING);
        if let Content::Layers(blobs, layers) = &image.content
            && let [Layer { packing: Packing::Erofs(compression), .. }] = layers.as_slice()
        {
            let record =
                self.copy(claim, image.label(), (blobs.as_ref(), &layers[0], *compression))?;
            record.write(claim.folder()).map_err(StoreError::io("write a record in", path()))?;
            return Ok(layers[0].diff_id);
        }
        mkdirat(claim.folder(), ROOT, Mode::RWXU).map_err(StoreError::io("create", path()))?;
        let root =
            below::open(claim.folder(), ROOT.as_bytes()).map_err(StoreError::io("open", path()))?;
        let mut work = Work::new(self, root, image.label())?;
        let chain = match &image.content {
            Content::Layers(blobs, layers) => work.layers(blobs.as_ref(), layers)?,
            Content::Tarball(tarball) => work.tarball(tarball)?,
            // Nothing of it comes into the store.
            Content::Erofs(file) => return Ok(Digest::of(file.identity.key().as_bytes())),
        };
        work.objects
            .write_list(claim.folder())
            .map_err(StoreError::io("write a list in", path()))?;
        let record = work.finish(self)?;
        record.write(claim.folder()).map_err(StoreError::io("write a record in", path()))?;
        if let Content::Tarball(tarball) = &image.content {
            self.remember_tarball(tarball, chain)?;
        }
        Ok(chain)
    }

    /// Makes the file of a snapshot that is mounted: the bytes of its only layer.
    fn copy(
        &self,
        claim: &Claim<'_>,
        label: &str,
        (blobs, layer, compression): (&dyn Packed, &Layer, Compression),
    ) -> Result<Record, StoreError> {
        let path = self.path.join(super::PENDING);
        let mut file = erofs::create(claim.folder()).map_err(StoreError::io("create", &path))?;
        let blob = blobs.open(&layer.descriptor)?;
        let limits = compression::Limits { bytes: self.limits.bytes, ratio: self.limits.ratio };
        let copy = |bytes: &mut Blocks| std::io::copy(bytes, &mut file);
        let (bytes, found) = pipeline::decode(blob, compression, limits, copy)
            .map_err(StoreError::io("copy a layer to", &path))?;
        let (label, number, expected) = (label.to_owned(), 1, layer.diff_id);
        if found != expected {
            return Err(StoreError::DiffId { label, number, expected, found });
        }
        if !erofs::is_erofs(&file).map_err(StoreError::io("read", &path))? {
            let media_type = Escaped(layer.descriptor.media_type().as_ref().as_bytes()).to_string();
            return Err(StoreError::NotErofs { label, media_type });
        }
        let (boot, ids, format) = (Some(boot()?), self.ids(), Format::Erofs);
        Ok(Record { version: Record::VERSION, boot, ids, format, bytes, entries: 1 })
    }

    /// Puts a complete snapshot where it is found; one that cannot be used makes room.
    fn publish(&self, claim: Claim<'_>, chain: Digest) -> Result<(), StoreError> {
        while !claim.publish(chain)? {
            if let Found::Ready(_) = self.lease(chain)? {
                return claim.discard();
            }
            self.remove_snapshot(chain)?;
        }
        Ok(())
    }
}

/// One unpacking.
struct Work<'a> {
    tree: Tree,
    budget: Budget,
    policy: unpack::Policy,
    objects: Objects,
    label: &'a str,
}

impl<'a> Work<'a> {
    fn new(store: &Store, root: OwnedFd, label: &'a str) -> Result<Self, StoreError> {
        Ok(Self {
            tree: Tree::new(root),
            budget: Budget::new(store.limits),
            policy: store.policy(),
            objects: Objects::open(store)?,
            label,
        })
    }

    fn layers(&mut self, blobs: &dyn Packed, layers: &[Layer]) -> Result<Digest, StoreError> {
        for (number, layer) in (1..).zip(layers) {
            let Packing::Tar(compression) = layer.packing else {
                return Err(StoreError::ErofsLayers { label: self.label.to_owned() });
            };
            let blob = blobs.open(&layer.descriptor)?;
            let found =
                self.layer(blob, compression).map_err(|source| self.failed(number, source))?;
            if found != layer.diff_id {
                let (label, expected) = (self.label.to_owned(), layer.diff_id);
                return Err(StoreError::DiffId { label, number, expected, found });
            }
        }
        let ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
        Ok(chain_id(&ids))
    }

    fn tarball(&mut self, tarball: &Tarball) -> Result<Digest, StoreError> {
        let Tarball { path, file, identity } = tarball;
        let compression = source::compression(file).map_err(StoreError::io("read", path))?;
        let unpacked = self.layer(file, compression);
        // A file that changed is the reason for whatever went wrong.
        if Identity::of(file, path)? != *identity {
            return Err(StoreError::Changed { path: path.clone() });
        }
        unpacked.map_err(|source| self.failed(1, source))
    }

    /// Applies a layer; the digest of its unpacked bytes, to the last.
    fn layer(
        &mut self,
        packed: impl Read + Send,
        compression: Compression,
    ) -> Result<Digest, UnpackError> {
        let limits =
            compression::Limits { bytes: self.budget.archive(), ratio: self.budget.ratio() };
        // The reader of the tar reads to the end, where the blob's own digest is verified (U7).
        let apply = |bytes: &mut Blocks| {
            let Self { tree, budget, policy, objects, .. } = self;
            unpack::apply(tree, bytes, budget, *policy, objects)
        };
        Ok(pipeline::decode(packed, compression, limits, apply)?.1)
    }

    fn failed(&self, number: usize, source: UnpackError) -> StoreError {
        StoreError::Layer { label: self.label.to_owned(), number, source }
    }

    /// What folders get last, and the record of it all.
    fn finish(self, store: &Store) -> Result<Record, StoreError> {
        let (bytes, entries) = self.budget.used();
        let label = self.label.to_owned();
        self.tree.finish(self.policy).map_err(|source| StoreError::Layer {
            label,
            number: 1,
            source,
        })?;
        let (boot, ids, format) = (Some(boot()?), store.ids(), Format::Folder);
        Ok(Record { version: Record::VERSION, boot, ids, format, bytes, entries })
    }
}

fn boot() -> Result<String, StoreError> {
    current_boot().ok_or_else(|| {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        StoreError::io("read", "/proc/sys/kernel/random/boot_id")(missing)
    })
}
