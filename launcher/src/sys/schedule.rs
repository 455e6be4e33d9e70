//! `sched_setattr(2)`, `sched_setaffinity(2)`, `ioprio_set(2)`, `set_mempolicy(2)` and `personality(2)`, each for the
//! calling process.

use std::mem::{size_of, size_of_val};

use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::checked;

/// `struct sched_attr` of linux/sched/types.h (`SCHED_ATTR_SIZE_VER1`, Linux 5.3).
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    least_utilization: u32,
    most_utilization: u32,
}

/// What of it can be set.
#[derive(Debug, Default, Clone, Copy)]
pub struct SchedulerAttributes {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// For the ordinary policies.
    pub nice: i32,
    /// For the real-time policies.
    pub priority: u32,
    /// Nanoseconds.
    pub runtime: u64,
    /// Nanoseconds.
    pub deadline: u64,
    /// Nanoseconds.
    pub period: u64,
}

/// Sets policy and priority.
pub fn set_scheduler(wanted: SchedulerAttributes) -> Result<(), Errno> {
    let SchedulerAttributes { policy, flags, nice, priority, runtime, deadline, period } = wanted;
    let attributes = Attributes {
        size: u32::try_from(size_of::<Attributes>()).or(Err(Errno::INVAL))?,
        policy,
        flags,
        nice,
        priority,
        runtime,
        deadline,
        period,
        least_utilization: 0,
        most_utilization: 0,
    };
    // SAFETY: `attributes` has the kernel's layout and says its size; the kernel reads it, and it outlives the call.
    checked(unsafe { syscall!(Sysno::sched_setattr, 0, &raw const attributes, 0) }).map(drop)
}

/// Sets the processors on which the process runs; of those that its cgroup does not have the kernel makes nothing.
pub fn set_affinity(mask: &[u64]) -> Result<(), Errno> {
    // SAFETY: the kernel reads the bytes of `mask`, whose length is passed.
    checked(unsafe { syscall!(Sysno::sched_setaffinity, 0, size_of_val(mask), mask.as_ptr()) })
        .map(drop)
}

/// Sets class and level of input and output.
pub fn set_io_priority(priority: u16) -> Result<(), Errno> {
    const WHO_PROCESS: usize = 1;
    // SAFETY: ioprio_set touches no memory.
    checked(unsafe { syscall!(Sysno::ioprio_set, WHO_PROCESS, 0, priority) }).map(drop)
}

/// Sets on which nodes memory is allocated.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> Result<(), Errno> {
    // The kernel takes one bit less than it is told (set_mempolicy(2), "BUGS" of the C library's own wrapper).
    let (mask, bits) = match nodes {
        // Told of no bits, it would take one less for very many, unless there is no mask either.
        [] => (std::ptr::null(), 0),
        some => (some.as_ptr(), some.len() * 64 + 1),
    };
    // SAFETY: the kernel reads `bits - 1` bits of `nodes`, which are there, or nothing.
    checked(unsafe { syscall!(Sysno::set_mempolicy, mode, mask, bits) }).map(drop)
}

/// Sets the execution domain.
pub fn set_personality(domain: u32) -> Result<(), Errno> {
    // SAFETY: the call changes how *later* mappings and calls of this process look; without flags, which no caller
    // passes, only what uname(2) says.
    checked(unsafe { syscall!(Sysno::personality, domain) }).map(drop)
}
