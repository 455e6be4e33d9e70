//! `Limit`: what can be asked of a cgroup, in words for whom it is refused.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a person can ask for. Prints as the words that an error message needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named after the fields of linux.resources; words() says them")]
pub enum Limit {
    Memory,
    Swap,
    MemoryReservation,
    KernelMemory,
    TcpMemory,
    Swappiness,
    OomKiller,
    CpuShares,
    CpuQuota,
    CpuBurst,
    CpuIdle,
    CpuRealtime,
    Cpus,
    MemoryNodes,
    Pids,
    IoWeight,
    ReadBps,
    WriteBps,
    ReadIops,
    WriteIops,
    HugePages,
    NetworkClass,
    NetworkPriority,
    Rdma,
    Unified,
    Devices,
}

impl Limit {
    /// What it is, and where it can be asked for.
    fn words(self) -> &'static str {
        match self {
            Self::Memory => "memory limit (--memory)",
            Self::Swap => "swap limit (--memory-swap)",
            Self::MemoryReservation => "memory reservation (--memory-reservation)",
            Self::KernelMemory => "kernel memory limit",
            Self::TcpMemory => "TCP memory limit",
            Self::Swappiness => "swappiness",
            Self::OomKiller => "switch of the OOM killer",
            Self::CpuShares => "CPU weight (--cpu-weight, --cpu-shares)",
            Self::CpuQuota => "CPU quota (--cpus)",
            Self::CpuBurst => "CPU burst",
            Self::CpuIdle => "CPU idle class",
            Self::CpuRealtime => "CPU real-time budget",
            Self::Cpus => "set of CPUs (--cpuset)",
            Self::MemoryNodes => "set of memory nodes (--cpuset-mems)",
            Self::Pids => "limit of processes (--pids-limit)",
            Self::IoWeight => "disk weight (--io-weight)",
            Self::ReadBps => "disk read rate (--device-read-bps)",
            Self::WriteBps => "disk write rate (--device-write-bps)",
            Self::ReadIops => "disk reads per second (--device-read-iops)",
            Self::WriteIops => "disk writes per second (--device-write-iops)",
            Self::HugePages => "limit of huge pages",
            Self::NetworkClass => "network class",
            Self::NetworkPriority => "network priority",
            Self::Rdma => "RDMA limit",
            Self::Unified => "value under `unified`",
            Self::Devices => "device rule",
        }
    }

    /// What to do when the kernel has no file for it.
    pub(super) fn missing_hint(self) -> Option<&'static str> {
        match self {
            Self::Swap => Some(
                "the kernel counts no swap: boot with `swapaccount=1`, or leave --memory-swap out",
            ),
            Self::IoWeight => Some(
                "disk weights need the BFQ scheduler: `modprobe bfq`, then `echo bfq > /sys/block/DISK/queue/scheduler`",
            ),
            Self::CpuQuota => Some("the kernel needs CONFIG_CFS_BANDWIDTH"),
            Self::CpuRealtime => Some("the kernel needs CONFIG_RT_GROUP_SCHED"),
            Self::CpuBurst => Some("the kernel needs to be 5.14 or newer"),
            Self::CpuIdle => Some("the kernel needs to be 5.15 or newer"),
            Self::ReadBps | Self::WriteBps | Self::ReadIops | Self::WriteIops => {
                Some("the kernel needs CONFIG_BLK_DEV_THROTTLING")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
