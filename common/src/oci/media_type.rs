//! Names that OCI gives to kinds of blobs, and the annotation keys that we read and write.

use super::MediaType;

/// `org.opencontainers.image.ref.name`: the name of a manifest within an index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Annotation of a manifest: digest of the blob in which `coracle` keeps why each file is in the
/// image ([`PROVENANCE`]). The blob is not a layer: runtimes never read it.
pub const PROVENANCE_ANNOTATION: &str = "dev.coracle.provenance";

/// Media type of that blob.
pub const PROVENANCE: &str = "application/vnd.coracle.provenance.v1+json";

/// Annotation of a manifest: how many files, folders and links the root filesystem has.
pub const ENTRIES_ANNOTATION: &str = "dev.coracle.entries";

/// Where docker and containerd keep the whole reference of an entry in `index.json`.
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Docker's name for an image manifest ("Image Manifest Version 2, Schema 2").
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Docker's name for an image index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Docker's name for an image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Docker's name for a layer compressed with gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Docker's name for a layer compressed with zstd.
pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/// Docker's name for a plain layer.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// A layer that is an EROFS file system, which is mounted and not unpacked, by the name that it is registered under.
/// There is no specification of the image specification's own.
pub const EROFS: &str = "application/vnd.erofs";

/// The same, as engines called it first.
pub const EROFS_LAYER: &str = "application/vnd.erofs.layer.v1";

/// What either name ends with when the whole of it is compressed.
pub const ZSTD_SUFFIX: &str = "+zstd";

/// So many indexes may lie within each other. Tools make one or two.
pub(super) const MAX_DEPTH: usize = 4;

/// Whether this is an image manifest, by either name.
pub fn is_manifest(media_type: &MediaType) -> bool {
    matches!(media_type.as_ref(), DOCKER_MANIFEST) || *media_type == MediaType::ImageManifest
}

/// Whether this is an image index, by either name.
pub fn is_index(media_type: &MediaType) -> bool {
    matches!(media_type.as_ref(), DOCKER_INDEX) || *media_type == MediaType::ImageIndex
}

/// Whether this is an image configuration, by either name.
pub fn is_config(media_type: &MediaType) -> bool {
    matches!(media_type.as_ref(), DOCKER_CONFIG) || *media_type == MediaType::ImageConfig
}
