//! Names that OCI gives to kinds of blobs, and the annotation keys that we read and write.

/// `org.opencontainers.image.ref.name`: the name of a manifest within an index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Annotation of a manifest: digest of the blob in which `coracle` keeps why each file is in the
/// image ([`PROVENANCE`]). The blob is not a layer: runtimes never read it.
pub const PROVENANCE_ANNOTATION: &str = "dev.coracle.provenance";

/// Media type of that blob.
pub const PROVENANCE: &str = "application/vnd.coracle.provenance.v1+json";

/// Annotation of a manifest: how many files, folders and links the root filesystem has.
pub const ENTRIES_ANNOTATION: &str = "dev.coracle.entries";
