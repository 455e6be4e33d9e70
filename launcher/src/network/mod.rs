//! What a container's network namespace holds. Today: the host's network, or one of its own with loopback up.

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
