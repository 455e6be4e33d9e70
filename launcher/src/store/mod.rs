//! The store of a host: images by name, and their root filesystems, unpacked once.
//!
//! Decides where an image comes from ([`ImageSource`]), that its bytes are what their digests say,
//! and that a hostile archive can make nothing outside its own folder ([`unpack`]). Refuses to know
//! what is run from it.
//!
//! ```text
//! <store>/oci-layout index.json blobs/    the images, shared with `coracle` (common::oci::layout)
//! <store>/snapshots/<chain>/root          a root filesystem, read-only, shared by its containers
//! <store>/snapshots/<chain>/root.erofs    or one that is mounted (erofs.rs)
//! <store>/snapshots/<chain>/record        what was unpacked, and in which boot; mtime: last use
//! <store>/snapshots/<chain>/objects       which of its files are objects
//! <store>/objects/<ab>/<key>              files that several snapshots have (objects.rs)
//! <store>/pending/<key>                   being unpacked (flock held) or left by a killed process
//! <store>/sources/<key>                   tarballs outside that were unpacked before: their chain
//! <store>/containers/<id>                 what a container writes
//! ```
//!
//! Whoever uses a snapshot holds a shared `flock` on its folder; whoever removes or makes one holds
//! it exclusively. The folders are 0700: a set-uid program of an image is for its container only
//! (CVE-2021-41091 was the opposite).

mod below;
pub mod erofs;
mod error;
mod gc;
mod image;
mod layers;
mod objects;
mod pending;
mod pipeline;
mod private;
mod snapshot;
mod source;
mod tarball;
pub mod unpack;

pub use error::StoreError;
pub use gc::{Listed, Pruning, Removed};
pub use image::StoredImage;
pub use private::remove_private;
pub use snapshot::{Format, Ids, Snapshot};
pub use source::ImageSource;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use common::oci::archive::Archive;
use common::oci::layout::{ImageLayout, LayoutError};
use rustix::fs::{CWD, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use source::FileKind;
use tarball::{Identity, Tarball};

const SNAPSHOTS: &str = "snapshots";
const PENDING: &str = "pending";
const OBJECTS: &str = "objects";
const SOURCES: &str = "sources";
const CONTAINERS: &str = "containers";
/// The root filesystem within a snapshot.
const ROOT: &str = "root";

/// An opened store.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    layout: ImageLayout,
    snapshots: OwnedFd,
    pending: OwnedFd,
    limits: unpack::Limits,
}

impl Store {
    /// Opens the store at `path`, making it where there is none, and removes what killed processes
    /// left half-done.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let layout = match ImageLayout::open(path) {
            Err(LayoutError::NotALayout { .. }) => ImageLayout::create(path)?,
            opened => opened?,
        };
        let store = Self {
            // Snapshots are told to others by path, who may have another working directory.
            path: std::path::absolute(path).map_err(StoreError::io("find", path))?,
            layout,
            snapshots: area(path, SNAPSHOTS)?,
            pending: area(path, PENDING)?,
            limits: unpack::Limits::default(),
        };
        store.sweep()?;
        Ok(store)
    }

    /// With other limits for unpacking.
    #[must_use]
    pub fn with_limits(self, limits: unpack::Limits) -> Self {
        Self { limits, ..self }
    }

    /// The folder of the store, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The images by name.
    pub fn layout(&self) -> &ImageLayout {
        &self.layout
    }

    /// Finds an image and reads its manifest and config, verified. Layers are not read.
    pub fn get(&self, source: &ImageSource) -> Result<StoredImage, StoreError> {
        let name = source.name();
        if let Some(name) = &name {
            match StoredImage::load(self.layout.clone(), Some(name), name.to_string()) {
                Err(StoreError::Layout(LayoutError::NoSuchImage { .. })) => {}
                found => return found,
            }
        }
        for (path, tag) in source.paths() {
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    return from_layout(&path, tag.as_deref(), source);
                }
                Ok(metadata) if metadata.is_file() => {
                    return self.open_file(&path, tag.as_deref(), source);
                }
                Ok(_) => return Err(StoreError::NotAFile { path }),
                Err(error) if is_nothing(&error) => {}
                Err(error) => return Err(StoreError::io("open", path)(error)),
            }
        }
        let known = self.layout.images()?.into_iter().map(|(name, _)| name);
        Err(StoreError::NotFound {
            text: source.to_string(),
            near: source::near(source.text(), known),
            name: name.is_some(),
        })
    }

    fn open_file(
        &self,
        path: &Path,
        tag: Option<&str>,
        source: &ImageSource,
    ) -> Result<StoredImage, StoreError> {
        let file = File::open(path).map_err(StoreError::io("open", path))?;
        let identity = Identity::of(&file, path)?;
        let path = path.to_owned();
        let label = source.to_string();
        if let Some(chain) = self.known_tarball(&identity) {
            return Ok(StoredImage::bare(Tarball { path, file, identity }, label, Some(chain)));
        }
        match source::kind(&file) {
            Ok(FileKind::Rootfs) => {
                Ok(StoredImage::bare(Tarball { path, file, identity }, label, None))
            }
            Ok(FileKind::Erofs) => {
                Ok(StoredImage::bare_erofs(Tarball { path, file, identity }, label))
            }
            Ok(FileKind::Archive) => {
                let archive = Archive::open(&path)?;
                let name = tag.map(|tag| image::name_of(&archive, tag)).transpose()?;
                StoredImage::load(archive, name.as_ref(), label)
            }
            Err(source) => Err(StoreError::NotAnImage { path, source }),
        }
    }

    /// How this process sets owners: only the host's root can keep those of an image.
    fn policy(&self) -> unpack::Policy {
        let own = (geteuid().as_raw(), getegid().as_raw());
        unpack::Policy { keep_ids: self.ids() == Ids::Kept, own }
    }

    #[expect(clippy::unused_self, reason = "whose store it is decides; `area` has verified that")]
    fn ids(&self) -> Ids {
        if geteuid().is_root() { Ids::Kept } else { Ids::Squashed }
    }

    /// Opens one of the store's folders.
    fn area(&self, name: &str) -> Result<OwnedFd, StoreError> {
        area(&self.path, name)
    }
}

fn from_layout(
    path: &Path,
    tag: Option<&str>,
    source: &ImageSource,
) -> Result<StoredImage, StoreError> {
    let layout = match ImageLayout::open(path) {
        Err(LayoutError::NotALayout { .. }) => {
            return Err(StoreError::Folder { path: path.to_owned() });
        }
        opened => opened?,
    };
    let name = tag.map(|tag| image::name_of(&layout, tag)).transpose()?;
    StoredImage::load(layout, name.as_ref(), source.to_string())
}

/// `<store>/<name>`, made with mode 0700 where it is missing. It must be the caller's own: who can
/// write to it decides what is run.
fn area(store: &Path, name: &str) -> Result<OwnedFd, StoreError> {
    let path = store.join(name);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match openat(CWD, &path, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            match mkdirat(CWD, &path, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(StoreError::io("create", path)(error)),
            }
            openat(CWD, &path, flags, Mode::empty())
        }
        opened => opened,
    };
    let folder = opened.map_err(StoreError::io("open", &path))?;
    let stat = fstat(&folder).map_err(StoreError::io("read", &path))?;
    if stat.st_uid != geteuid().as_raw() {
        return Err(StoreError::ForeignStore { path, owner: stat.st_uid });
    }
    Ok(folder)
}

/// No such file, or a part of the path is a file.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
