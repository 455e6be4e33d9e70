//! Scheduler, priority of input and output, memory policy, execution domain.

use super::Step;
use super::step::{At, Done};
use crate::plan::{Affinity, Numbers, Scheduling};
use crate::sys::schedule::{self, SchedulerAttributes};

/// Each that is asked for. Before capabilities go: real-time policies need `CAP_SYS_NICE`.
pub(super) fn apply(wanted: &Scheduling) -> Done {
    if let Some(one) = wanted.scheduler {
        let attributes = SchedulerAttributes {
            policy: one.policy,
            flags: one.flags,
            nice: one.nice,
            priority: one.priority,
            runtime: one.runtime,
            deadline: one.deadline,
            period: one.period,
        };
        schedule::set_scheduler(attributes).at(Step::Scheduler, one.policy)?;
    }
    if let Some(priority) = wanted.io_priority {
        schedule::set_io_priority(priority).at(Step::IoPriority, priority & 7)?;
    }
    if let Some(policy) = &wanted.memory_policy {
        let nodes = policy.nodes.as_ref().map_or(&[][..], Numbers::words);
        schedule::set_memory_policy(policy.mode, nodes).at(Step::MemoryPolicy, policy.mode)?;
    }
    if let Some(domain) = wanted.personality {
        schedule::set_personality(domain).at(Step::Personality, domain)?;
    }
    Ok(())
}

/// Confines the calling process, which is in its cgroup by now.
pub(super) fn pin_in_cgroup(affinity: &Affinity) -> Done {
    /// More than any host has: the kernel takes those of the cgroup's that are among them (`sched_setaffinity(2)`).
    const ALL: [u64; 128] = [u64::MAX; 128];
    if affinity.as_the_cgroup {
        return schedule::set_affinity(&ALL).at(Step::Affinity, "the process");
    }
    pin(affinity.last.as_ref())
}

/// Confines the calling process to some processors.
pub(super) fn pin(processors: Option<&Numbers>) -> Done {
    let Some(processors) = processors else { return Ok(()) };
    schedule::set_affinity(processors.words()).at(Step::Affinity, "the process")
}
