//! `ImageLayout`: an OCI image layout in a folder. Blobs appear atomically; nothing is read unverified.
//!
//! ```text
//! <layout>/index.json.partial     the next index.json; its writer holds a lock on the folder
//! <layout>/blobs/.partial-XXXXXX  a blob being written; its writer holds a lock on the file
//! ```
//!
//! Locks are flock(2): they end with their process, however it ends. A `.partial-` file that nobody
//! has locked was left by a killed writer, and the next writer removes it. Nothing is synced to the
//! disk: what a power cut tears is found by its digest, and written again.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::blobs::{self, Blobs, SMALL, Verified};
use super::{Descriptor, ImageIndex, MediaType, json, reference::Reference};
use crate::digest::{Digest, Digesting};

pub use super::error::LayoutError;

/// What a blob's temporary file is called, up to its random end.
const PARTIAL: &str = ".partial-";

/// A folder with `oci-layout`, `index.json` and `blobs/`.
#[derive(Debug, Clone)]
pub struct ImageLayout {
    path: PathBuf,
}

/// The file `oci-layout` (image-layout.md, "oci-layout file").
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Marker {
    pub(super) image_layout_version: String,
}

impl Marker {
    /// Name of the file.
    pub(super) const FILE: &str = "oci-layout";

    /// Its content, as every tool writes it.
    pub(super) const BYTES: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

    /// Refuses other versions than 1.
    pub(super) fn check(path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
        let marker: Self = blobs::parse(path, bytes)?;
        if marker.image_layout_version.starts_with("1.") {
            return Ok(());
        }
        Err(LayoutError::Version { path: path.to_owned(), version: marker.image_layout_version })
    }
}

impl ImageLayout {
    /// Opens an existing layout.
    pub fn open(path: &Path) -> Result<Self, LayoutError> {
        let marker = path.join(Marker::FILE);
        match read_small(&marker) {
            Ok(bytes) => Marker::check(&marker, &bytes)?,
            Err(error) if error.is_missing() => {
                return Err(LayoutError::NotALayout { path: path.to_owned() });
            }
            Err(error) => return Err(error),
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Opens a layout, making it (and its parents) where there is none.
    pub fn create(path: &Path) -> Result<Self, LayoutError> {
        let blobs = path.join("blobs").join(Digest::ALGORITHM);
        fs::create_dir_all(&blobs).map_err(LayoutError::io("create", &blobs))?;
        let layout = Self { path: path.to_owned() };
        let lock = layout.lock()?;
        let index = layout.index_path();
        if !index.try_exists().map_err(LayoutError::io("read", &index))? {
            layout.write_index(&blobs::empty_index())?;
        }
        let marker = path.join(Marker::FILE);
        if !marker.try_exists().map_err(LayoutError::io("read", &marker))? {
            replace(&marker, Marker::BYTES)?;
        }
        drop(lock);
        Self::open(path)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of `index.json`.
    pub fn index(&self) -> Result<ImageIndex, LayoutError> {
        let path = self.index_path();
        blobs::parse(&path, &read_small(&path)?)
    }

    /// Named images with their descriptors, sorted by name. Entries whose name is none that we accept
    /// are left out.
    pub fn images(&self) -> Result<Vec<(Reference, Descriptor)>, LayoutError> {
        Ok(blobs::named(&self.index()?))
    }

    /// The manifest descriptor that has this name.
    pub fn find(&self, name: &Reference) -> Result<Option<Descriptor>, LayoutError> {
        Ok(self.images()?.into_iter().find(|(known, _)| known == name).map(|(_, found)| found))
    }

    /// Gives `manifest` this name (taking it from another, whose descriptor is returned), atomically
    /// and under the layout's lock.
    pub fn tag(
        &self,
        name: &Reference,
        manifest: Descriptor,
    ) -> Result<Option<Descriptor>, LayoutError> {
        let _lock = self.lock()?;
        let mut index = self.index()?;
        let before = blobs::take(&mut index, name);
        blobs::put(&mut index, blobs::with_name(manifest, name));
        self.write_index(&index)?;
        Ok(before)
    }

    /// Takes a name away; whether it was there.
    pub fn untag(&self, name: &Reference) -> Result<bool, LayoutError> {
        let _lock = self.lock()?;
        let mut index = self.index()?;
        let found = blobs::take(&mut index, name).is_some();
        if found {
            self.write_index(&index)?;
        }
        Ok(found)
    }

    /// A small blob (at most 4 MiB), whole, digest and size verified.
    pub fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        let digest = blobs::digest(descriptor)?;
        blobs::read_whole(&mut self.open_verified(&digest, descriptor.size())?, &digest)
    }

    /// A blob as a stream that fails at its end when digest or size differ: the last bytes are handed
    /// out only when all were right. (So read it to the end before trusting any of it.)
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError> {
        let digest = blobs::digest(descriptor)?;
        Ok(Box::new(self.open_verified(&digest, descriptor.size())?))
    }

    /// Starts a new blob in a temporary file of the layout.
    pub fn new_blob(&self) -> Result<BlobWriter, LayoutError> {
        let folder = self.path.join("blobs");
        remove_stale(&folder)?;
        let (partial, file) = create_partial(&folder)?;
        Ok(BlobWriter { layout: self.clone(), partial, file: Digesting::new(file) })
    }

    /// Stores a small blob whole.
    pub fn write(&self, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor, LayoutError> {
        let mut writer = self.new_blob()?;
        writer.write_all(bytes).map_err(LayoutError::io("write", &writer.partial.0))?;
        writer.finish(media_type)
    }

    /// Whether a blob of this name and size is there. Its content is not read.
    pub fn has(&self, descriptor: &Descriptor) -> Result<bool, LayoutError> {
        let path = self.blob_path(&blobs::digest(descriptor)?);
        match fs::symlink_metadata(&path) {
            Ok(metadata) => Ok(metadata.is_file() && metadata.len() == descriptor.size()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(LayoutError::io("read", &path)(error)),
        }
    }

    /// Where a blob is or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join(Digest::ALGORITHM).join(digest.hex())
    }

    /// Takes the layout's lock, waiting for it; it ends when the descriptor is dropped. Whoever
    /// removes blobs that no name reaches holds it meanwhile.
    pub fn lock(&self) -> Result<OwnedFd, LayoutError> {
        let folder = File::open(&self.path).map_err(LayoutError::io("open", &self.path))?;
        rustix::io::retry_on_intr(|| flock(&folder, FlockOperation::LockExclusive))
            .map_err(|error| LayoutError::io("lock", &self.path)(error.into()))?;
        Ok(folder.into())
    }

    fn index_path(&self) -> PathBuf {
        self.path.join("index.json")
    }

    /// Only with the lock held.
    fn write_index(&self, index: &ImageIndex) -> Result<(), LayoutError> {
        let path = self.index_path();
        let bytes = json::canonical(index)
            .map_err(|source| LayoutError::Json { path: path.clone(), source })?;
        replace(&path, &bytes)
    }

    fn open_verified(&self, digest: &Digest, size: u64) -> Result<Verified<File>, LayoutError> {
        let path = self.blob_path(digest);
        let file = open_regular(&path).map_err(|error| match error {
            error if error.is_missing() => LayoutError::Missing { digest: *digest },
            error => error,
        })?;
        let found = file.metadata().map_err(LayoutError::io("read", &path))?.len();
        if found != size {
            return Err(LayoutError::Size { digest: *digest, expected: size, found });
        }
        Ok(Verified::new(file, *digest, size))
    }
}

impl Blobs for ImageLayout {
    fn index(&self) -> Result<ImageIndex, LayoutError> {
        self.index()
    }

    fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        self.read(descriptor)
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError> {
        self.open_blob(descriptor)
    }
}

/// A blob being written; dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    layout: ImageLayout,
    partial: Partial,
    file: Digesting<File>,
}

impl BlobWriter {
    /// Syncs nothing, renames into place; the descriptor of what was written. A blob of the same name
    /// that is already there is replaced: it may be torn, this one is whole.
    pub fn finish(self, media_type: MediaType) -> Result<Descriptor, LayoutError> {
        // The lock goes when `_file` does, after the rename.
        let (digest, size, _file) = self.file.finish();
        let path = self.layout.blob_path(&digest);
        fs::rename(&self.partial.0, &path).map_err(LayoutError::io("create", &path))?;
        Ok(blobs::descriptor(media_type, digest, size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.file.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that goes when this does. After a rename there is nothing left under the name.
#[derive(Debug)]
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Already renamed, or for the next writer to clean up.
        fs::remove_file(&self.0).ok();
    }
}

/// A new locked file in `folder`. A cleaning writer may take it for stale between its creation and
/// the lock: then it has no name any more, and we try again.
fn create_partial(folder: &Path) -> Result<(Partial, File), LayoutError> {
    loop {
        let (file, path) = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempfile_in(folder)
            .and_then(|file| file.keep().map_err(|error| error.error))
            // Without the temporary name, which says nothing.
            .map_err(|error| LayoutError::io("create a file in", folder)(error.kind().into()))?;
        let partial = Partial(path);
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => continue,
            Err(error) => return Err(LayoutError::io("lock", &partial.0)(error.into())),
            Ok(()) => {}
        }
        if file.metadata().map_err(LayoutError::io("read", &partial.0))?.nlink() > 0 {
            // Not what the umask says: the same build gives the same folder.
            file.set_permissions(Permissions::from_mode(0o644))
                .map_err(LayoutError::io("change the mode of", &partial.0))?;
            return Ok((partial, file));
        }
    }
}

/// Removes what killed writers left.
fn remove_stale(folder: &Path) -> Result<(), LayoutError> {
    for entry in fs::read_dir(folder).map_err(LayoutError::io("read", folder))? {
        let entry = entry.map_err(LayoutError::io("read", folder))?;
        if !entry.file_name().as_bytes().starts_with(PARTIAL.as_bytes()) {
            continue;
        }
        let path = entry.path();
        // Finished or cleaned up by another in between: nothing to do.
        let Ok(file) = open_regular(&path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            drop(Partial(path));
        }
    }
    Ok(())
}

/// Replaces a small file at once. Only with the layout's lock held, so that the name is ours.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    let partial = Partial(PathBuf::from(name));
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(&partial.0)
        .and_then(|mut file| {
            file.set_permissions(Permissions::from_mode(0o644))?;
            file.write_all(bytes)
        })
        .map_err(LayoutError::io("write", &partial.0))?;
    fs::rename(&partial.0, path).map_err(LayoutError::io("replace", path))
}

/// Opens a file that must be a regular one: a layout is somebody's data, and a FIFO would block.
pub(super) fn open_regular(path: &Path) -> Result<File, LayoutError> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(LayoutError::io("open", path))?;
    let metadata = file.metadata().map_err(LayoutError::io("read", path))?;
    if metadata.is_file() {
        return Ok(file);
    }
    Err(LayoutError::NotAFile { path: path.to_owned() })
}

/// A file of JSON, whole.
fn read_small(path: &Path) -> Result<Vec<u8>, LayoutError> {
    let mut bytes = Vec::new();
    open_regular(path)?
        .take(SMALL + 1)
        .read_to_end(&mut bytes)
        .map_err(LayoutError::io("read", path))?;
    if bytes.len() as u64 > SMALL {
        return Err(LayoutError::FileTooLarge { path: path.to_owned(), limit: SMALL });
    }
    Ok(bytes)
}
