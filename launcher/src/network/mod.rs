//! What a container's network namespace holds: the host's network, or one of its own with loopback up, and devices of the
//! host that are given to it.

pub(crate) mod netlink;

use serde::{Deserialize, Serialize};

/// What happens in the network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Nothing: the namespace is the host's, or belongs to someone else.
    Shared,
    /// A new namespace whose loopback device is brought up.
    Loopback,
}

/// A device of the host that becomes the container's (runtime-spec, config-linux.md, "Network Devices").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkDevice {
    /// Its name on the host.
    pub name: String,
    /// Its name inside; `%d` stands for the first free number.
    pub inside: String,
}
