//! What a container uses, in the same units whatever the interface.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Use of the groups' resources, since they were made. A value is missing where the kernel does not
/// count it or its controller was not joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Bytes in use, page cache included.
    pub memory: Option<u64>,
    /// The most that was ever in use (v2: Linux 5.19).
    pub memory_peak: Option<u64>,
    /// CPU time.
    pub cpu: Option<Duration>,
    /// CPU time that the quota took away.
    pub throttled: Option<Duration>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Processes killed because the memory limit was reached.
    pub oom_kills: Option<u64>,
}
