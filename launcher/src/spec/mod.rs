//! The OCI runtime [`Spec`](oci_spec::runtime::Spec) of a container: from an image's configuration and what a person
//! asked for on top of it.
//!
//! Decides what the *image* means (entrypoint, user, environment, working directory) by Docker's rules. Refuses to
//! know what the host can do: that is `plan`'s.

mod bundle;
mod capability;
mod error;
mod example;
mod image;
mod mounts;
mod overrides;
mod rlimit;
mod users;
mod validate;

pub(crate) use bundle::drop_nulls;
pub use bundle::{Bundle, CONFIG, PassedOver, parse_process};
pub use capability::{Capability, CapabilitySet};
pub use error::SpecError;
pub use example::example;
pub(crate) use image::OCI_VERSION;
pub use image::{from_image, namespace_kinds};
pub use mounts::mount_points_exist;
pub use overrides::{
    CapabilityChoice, EnvVar, HostEntry, Hostname, NetworkChoice, Overrides, ParseError, Tmpfs,
    Ulimit, Volume,
};
pub use rlimit::RlimitKind;
pub use users::look_up as look_up_user;
