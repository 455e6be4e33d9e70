//! What is here, and what can go.
//!
//! An image is a name in `index.json`; blobs and snapshots live as long as a name reaches them. A
//! snapshot without a name comes from a file outside, or its name was taken away while a container
//! used it: it can go whenever nobody leases it, since it can be unpacked again.

mod reach;
mod settle;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::digest::Digest;
use common::oci::Descriptor;
use common::oci::blobs;
use common::oci::layout::LayoutError;
use common::oci::reference::Reference;

use super::{Store, StoreError, below, objects};
use reach::Reach;

/// A blob that no name reaches may belong to an image that is being built. Its builder has named it
/// after so long.
const BEING_BUILT: Duration = Duration::from_hours(1);

/// An image by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: Reference,
    /// Digest of what the name stands for: a manifest or an index.
    pub digest: Digest,
    /// Bytes of its blobs, packed.
    pub size: u64,
    /// Bytes of its unpacked files; `None` where it was not unpacked.
    pub unpacked: Option<u64>,
    /// Bytes of those files that unpacked files of other images are too: they are on the disk once.
    pub shared: u64,
    /// When it was last run; or, if it is not unpacked, when it came into the store.
    pub last_used: SystemTime,
    /// Its snapshots, by chain id: one, but for an index of several platforms.
    chains: BTreeSet<Digest>,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names.
    pub names: Vec<Reference>,
    /// Snapshots, by chain id.
    pub snapshots: Vec<Digest>,
    /// Number of blobs.
    pub blobs: u64,
    /// Bytes of those blobs, and of the files of those snapshots that no other has.
    pub bytes: u64,
    /// Snapshots that stay because a container uses them.
    pub in_use: Vec<Digest>,
}

impl Removed {
    fn add(&mut self, other: Self) {
        self.names.extend(other.names);
        self.snapshots.extend(other.snapshots);
        self.blobs += other.blobs;
        self.bytes += other.bytes;
        self.in_use.extend(other.in_use);
    }
}

/// Which images [`Store::prune`] removes. By default none that has a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruning {
    /// Those not used for so long.
    pub older_than: Option<Duration>,
    /// All but the so many used last.
    pub keep: Option<usize>,
}

impl Pruning {
    /// Whether the image of this rank (0 was used last) and age goes.
    fn takes(self, candidate: &Candidate, rank: usize, age: Duration) -> bool {
        match (self.older_than, self.keep) {
            (None, None) => matches!(candidate, Candidate::Snapshot(_)),
            (oldest, keep) => {
                oldest.is_none_or(|oldest| age >= oldest) && keep.is_none_or(|keep| rank >= keep)
            }
        }
    }
}

/// Something that may be pruned.
#[derive(Debug)]
enum Candidate {
    Name(Reference, BTreeSet<Digest>),
    /// One that no name reaches.
    Snapshot(Digest),
}

impl Store {
    /// All images by name, sorted.
    pub fn images(&self) -> Result<Vec<Listed>, StoreError> {
        self.layout.images()?.into_iter().map(|(name, found)| self.listed(name, &found)).collect()
    }

    fn listed(&self, name: Reference, descriptor: &Descriptor) -> Result<Listed, StoreError> {
        let digest = blobs::digest(descriptor)?;
        let reach = Reach::of(&self.layout, [descriptor])?;
        let records: Vec<_> = reach.chains.iter().filter_map(|chain| self.record(*chain)).collect();
        let objects = reach.chains.iter().flat_map(|chain| self.objects_of(*chain));
        let shared = self.shared(&objects.collect::<Vec<_>>())?;
        let arrived = || modified(&self.layout.blob_path(&digest));
        Ok(Listed {
            name,
            digest,
            size: reach.blobs.values().sum(),
            unpacked: records.iter().map(|(record, _)| record.bytes).reduce(|a, b| a + b),
            shared,
            last_used: records.iter().map(|(_, used)| *used).max().unwrap_or_else(arrived),
            chains: reach.chains,
        })
    }

    /// Takes a name away, and removes what only it reached. A snapshot that a container uses stays,
    /// until [`Store::prune`].
    pub fn remove(&self, name: &Reference) -> Result<Removed, StoreError> {
        let known = self.layout.images()?;
        let named = known.iter().filter(|(known, _)| known == name).map(|(_, found)| found);
        let before = Reach::of(&self.layout, named)?;
        if !self.layout.untag(name)? {
            let known = known.into_iter().map(|(name, _)| name).collect();
            return Err(LayoutError::NoSuchImage { name: name.clone(), known }.into());
        }
        let mut removed = Removed { names: vec![name.clone()], ..Removed::default() };
        // With the lock, nobody gives a name to what is being removed.
        let lock = self.layout.lock()?;
        let live = Reach::of(&self.layout, self.layout.index()?.manifests())?;
        for blob in before.blobs.keys().filter(|blob| !live.blobs.contains_key(*blob)) {
            self.remove_blob(&self.layout.blob_path(blob), &mut removed)?;
        }
        drop(lock);
        for chain in before.chains.difference(&live.chains) {
            self.remove_unless_used(*chain, &mut removed)?;
        }
        removed.bytes += self.sweep_objects()?;
        Ok(removed)
    }

    /// Removes images by last use, then all that no name reaches: blobs, and what is remembered of
    /// tarballs. What stays is settled on the disk, for use in later boots.
    pub fn prune(&self, pruning: Pruning) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        let now = SystemTime::now();
        let age = |used| now.duration_since(used).unwrap_or_default();
        for (rank, (used, candidate)) in self.candidates()?.into_iter().enumerate() {
            if !pruning.takes(&candidate, rank, age(used)) {
                continue;
            }
            match candidate {
                Candidate::Snapshot(chain) => self.remove_unless_used(chain, &mut removed)?,
                Candidate::Name(name, chains) => {
                    let leased = chains.into_iter().filter(|chain| self.is_leased(*chain));
                    let leased: Vec<Digest> = leased.collect();
                    if leased.is_empty() {
                        removed.add(self.remove(&name)?);
                    } else {
                        removed.in_use.extend(leased);
                    }
                }
            }
        }
        self.remove_dangling(now, &mut removed)?;
        removed.bytes += self.sweep_objects()?;
        self.forget_tarballs()?;
        self.settle_all()?;
        Ok(removed)
    }

    /// Named images and nameless snapshots, last used first.
    fn candidates(&self) -> Result<Vec<(SystemTime, Candidate)>, StoreError> {
        let images = self.images()?;
        let named: BTreeSet<Digest> =
            images.iter().flat_map(|image| &image.chains).copied().collect();
        let mut candidates: Vec<(SystemTime, Candidate)> = images
            .into_iter()
            .map(|image| (image.last_used, Candidate::Name(image.name, image.chains)))
            .collect();
        for chain in self.chains()?.difference(&named) {
            // Without a record it cannot be used, and is the oldest.
            let used = self.record(*chain).map_or(SystemTime::UNIX_EPOCH, |(_, used)| used);
            candidates.push((used, Candidate::Snapshot(*chain)));
        }
        candidates.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
        Ok(candidates)
    }

    fn remove_unless_used(&self, chain: Digest, removed: &mut Removed) -> Result<(), StoreError> {
        let bytes = self.record(chain).map_or(0, |(record, _)| record.bytes);
        // Objects are counted when they go.
        let objects: u64 = self.objects_of(chain).iter().map(|(_, size)| size).sum();
        match self.remove_snapshot(chain) {
            Ok(true) => {
                removed.snapshots.push(chain);
                removed.bytes += bytes.saturating_sub(objects);
            }
            Ok(false) => {}
            Err(StoreError::InUse { digest }) => removed.in_use.push(digest),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Blobs that no name reaches, if they are old enough; and what killed builders left.
    fn remove_dangling(&self, now: SystemTime, removed: &mut Removed) -> Result<(), StoreError> {
        // Starting a blob removes the unfinished ones of others that are dead.
        drop(self.layout.new_blob()?);
        let lock = self.layout.lock()?;
        let live = Reach::of(&self.layout, self.layout.index()?.manifests())?;
        let folder = self.layout.path().join("blobs").join(Digest::ALGORITHM);
        let folder_names = std::fs::File::open(&folder)
            .map_err(StoreError::io("open", &folder))
            .and_then(|opened| below::names(opened).map_err(StoreError::io("read", &folder)))?;
        for name in folder_names {
            let Some(digest) = digest_of_name(&name) else { continue };
            let path = self.layout.blob_path(&digest);
            let age = now.duration_since(modified(&path)).unwrap_or_default();
            if !live.blobs.contains_key(&digest) && age >= BEING_BUILT {
                self.remove_blob(&path, removed)?;
            }
        }
        drop(lock);
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "only a store with its layout locked removes blobs")]
    fn remove_blob(&self, path: &Path, removed: &mut Removed) -> Result<(), StoreError> {
        let size = std::fs::symlink_metadata(path).map_or(0, |blob| blob.len());
        match std::fs::remove_file(path) {
            Ok(()) => {
                removed.blobs += 1;
                removed.bytes += size;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::io("remove", path)(error)),
        }
    }

    /// The objects of a snapshot, if it is there.
    fn objects_of(&self, chain: Digest) -> Vec<(objects::Key, u64)> {
        below::enter(&self.snapshots, chain.hex().as_bytes()).map_or_else(|_| vec![], objects::list)
    }

    /// The chain ids of all snapshots.
    fn chains(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let path = || self.path.join(super::SNAPSHOTS);
        let names = below::names(&self.snapshots).map_err(StoreError::io("read", path()))?;
        Ok(names.iter().filter_map(|name| digest_of_name(name)).collect())
    }
}

/// A name that is a digest's digits.
fn digest_of_name(name: &[u8]) -> Option<Digest> {
    format!("{}:{}", Digest::ALGORITHM, std::str::from_utf8(name).ok()?).parse().ok()
}

/// When a file was last written; long ago if it is not there.
fn modified(path: &Path) -> SystemTime {
    std::fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_takes_by_name_age_and_rank() {
        let name = Candidate::Name("app".parse().unwrap(), BTreeSet::new());
        let nameless = Candidate::Snapshot(Digest::of(b""));
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let by =
            |older_than: Option<u64>, keep| Pruning { older_than: older_than.map(hours), keep };
        // rank 2, 10 hours old
        for (pruning, takes_name, takes_nameless) in [
            (by(None, None), false, true),
            (by(Some(10), None), true, true),
            (by(Some(11), None), false, false),
            (by(None, Some(2)), true, true),
            (by(None, Some(3)), false, false),
            (by(Some(10), Some(3)), false, false),
            (by(Some(11), Some(0)), false, false),
            (by(Some(1), Some(1)), true, true),
        ] {
            assert_eq!(pruning.takes(&name, 2, hours(10)), takes_name, "{pruning:?}");
            assert_eq!(pruning.takes(&nameless, 2, hours(10)), takes_nameless, "{pruning:?}");
        }
    }
}
