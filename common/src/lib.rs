//! What `coracle` (builder) and `paddle` (launcher) both speak.
//!
//! The two programs meet only as bytes on disk: an OCI image layout. A type enters this crate only
//! when both of them use it.
//!
//! ```text
//! digest     names of bytes                     oci/    descriptors, canonical JSON, layout, archive
//! tree/      a root filesystem as a value       root    a directory fd below which paths are resolved
//! location   where the store and state live     report  how errors and hints reach a person
//! progress   bars, when someone is watching     escape  bytes from images, made safe for a terminal
//! accounts   users and groups of a root
//! ```
#![forbid(unsafe_code)]

pub mod accounts;
pub mod digest;
pub mod escape;
pub mod location;
pub mod oci;
pub mod progress;
pub mod report;
pub mod root;
pub mod tree;
