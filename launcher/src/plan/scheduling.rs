//! How the program is scheduled and where its memory comes from: what `sched_setattr(2)`, `ioprio_set(2)`,
//! `set_mempolicy(2)` and `personality(2)` take, by the specification's names.

use oci_spec::runtime::{
    ExecCPUAffinity, IOPriorityClass, Linux, LinuxIOPriority, LinuxMemoryPolicy, LinuxPersonality,
    LinuxPersonalityDomain, LinuxSchedulerFlag, LinuxSchedulerPolicy, MemoryPolicyFlagType,
    MemoryPolicyModeType, Process as OciProcess, Scheduler as OciScheduler,
};
use serde::{Deserialize, Serialize};

use super::PlanError;
use super::numbers::Numbers;

/// What differs from the launcher's own. All of it is inherited by everything that the program starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduling {
    /// Policy and priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Scheduler>,
    /// Class in bits 13 to 15, level in the lowest 3 (linux/ioprio.h).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<u16>,
    /// On which nodes memory is allocated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<MemoryPolicy>,
    /// The execution domain (linux/personality.h).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personality: Option<u32>,
}

/// `struct sched_attr` of linux/sched/types.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// -20 to 19, for the ordinary policies.
    pub nice: i32,
    /// 1 to 99, for the real-time policies.
    pub priority: u32,
    /// Nanoseconds, for the deadline policy.
    pub runtime: u64,
    /// Nanoseconds.
    pub deadline: u64,
    /// Nanoseconds.
    pub period: u64,
}

/// What `set_mempolicy(2)` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPolicy {
    /// `MPOL_*`, with its flags.
    pub mode: u32,
    /// Which nodes.
    pub nodes: Option<Numbers>,
}

/// On which processors a process runs that joins a container (`exec`; the first process has its cgroup's).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affinity {
    /// Before it is in the container's cgroup.
    pub initial: Option<Numbers>,
    /// From then on.
    pub last: Option<Numbers>,
    /// From then on, on all that its cgroup has, whatever its launcher is confined to.
    #[serde(default)]
    pub as_the_cgroup: bool,
}

impl Affinity {
    /// Whichever the cgroup allows. Since Linux 6.2 a process takes its launcher's along when it is moved to another cgroup, and
    /// that one may be confined for reasons of its own (`CPUAffinity=` of a service).
    pub fn of_the_cgroup() -> Self {
        Self { as_the_cgroup: true, ..Self::default() }
    }

    /// What is asked for, each with when it holds.
    pub fn stages(&self) -> impl Iterator<Item = (&'static str, &Numbers)> {
        let initial = self.initial.iter().map(|processors| ("initial", processors));
        initial.chain(self.last.iter().map(|processors| ("final", processors)))
    }

    /// `execCPUAffinity` of a process.
    ///
    /// # Errors
    ///
    /// A list of processors that is none.
    pub fn of(wanted: Option<&ExecCPUAffinity>) -> Result<Self, PlanError> {
        let list = |list: Option<&String>| match list.map(String::as_str) {
            None | Some("") => Ok(None),
            Some(list) => Numbers::parse(list)
                .map(Some)
                .ok_or_else(|| PlanError::Numbers { what: "processors", list: list.to_owned() }),
        };
        Ok(Self {
            initial: list(wanted.and_then(|wanted| wanted.initial().as_ref()))?,
            last: list(wanted.and_then(|wanted| wanted.cpu_affinity_final().as_ref()))?,
            as_the_cgroup: false,
        })
    }
}

pub(super) fn plan(process: &OciProcess, linux: Option<&Linux>) -> Result<Scheduling, PlanError> {
    Ok(Scheduling {
        scheduler: process.scheduler().as_ref().map(scheduler).transpose()?,
        io_priority: process.io_priority().as_ref().map(io_priority).transpose()?,
        memory_policy: linux
            .and_then(|linux| linux.memory_policy().as_ref())
            .map(memory_policy)
            .transpose()?,
        personality: linux
            .and_then(|linux| linux.personality().as_ref())
            .map(personality)
            .transpose()?,
    })
}

/// What contradicts itself is refused here: the kernel would ignore some of it (`sched(7)`).
fn scheduler(wanted: &OciScheduler) -> Result<Scheduler, PlanError> {
    use LinuxSchedulerPolicy as Policy;
    let (policy, number) = match *wanted.policy() {
        policy @ Policy::SchedOther => (policy, 0),
        policy @ Policy::SchedFifo => (policy, 1),
        policy @ Policy::SchedRr => (policy, 2),
        policy @ Policy::SchedBatch => (policy, 3),
        policy @ Policy::SchedIso => (policy, 4),
        policy @ Policy::SchedIdle => (policy, 5),
        policy @ Policy::SchedDeadline => (policy, 6),
    };
    let flags = wanted.flags().iter().flatten().fold(0, |flags, flag| {
        flags
            | match flag {
                LinuxSchedulerFlag::SchedResetOnFork => 0x01,
                LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
                LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
                LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
                LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
                LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
                LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
            }
    });
    let nice = wanted.nice().unwrap_or(0);
    let priority = u32::try_from(wanted.priority().unwrap_or(0))
        .or(Err(PlanError::Scheduler("a priority below 0")))?;
    let times =
        [*wanted.runtime(), *wanted.deadline(), *wanted.period()].map(|time| time.unwrap_or(0));
    if matches!(policy, Policy::SchedOther | Policy::SchedBatch) && !(-20..=19).contains(&nice) {
        return Err(PlanError::Scheduler("a nice value that is not between -20 and 19"));
    }
    if priority != 0 && !matches!(policy, Policy::SchedFifo | Policy::SchedRr) {
        return Err(PlanError::Scheduler("a priority, which only SCHED_FIFO and SCHED_RR have"));
    }
    if times != [0; 3] && policy != Policy::SchedDeadline {
        return Err(PlanError::Scheduler(
            "a runtime, deadline or period, which only SCHED_DEADLINE has",
        ));
    }
    let [runtime, deadline, period] = times;
    Ok(Scheduler { policy: number, flags, nice, priority, runtime, deadline, period })
}

fn io_priority(wanted: &LinuxIOPriority) -> Result<u16, PlanError> {
    let class = match wanted.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    let level = u16::try_from(wanted.priority()).ok().filter(|&level| level <= 7);
    level.map(|level| class << 13 | level).ok_or(PlanError::IoPriority(wanted.priority()))
}

/// `MPOL_*` that a memory policy may be: for `paddle features`.
pub fn memory_policy_modes() -> Vec<String> {
    use MemoryPolicyModeType as Mode;
    [
        Mode::MpolDefault,
        Mode::MpolBind,
        Mode::MpolInterleave,
        Mode::MpolWeightedInterleave,
        Mode::MpolPreferred,
        Mode::MpolPreferredMany,
        Mode::MpolLocal,
    ]
    .map(|mode| mode.to_string())
    .to_vec()
}

/// `MPOL_F_*` that it may have.
pub fn memory_policy_flags() -> Vec<String> {
    use MemoryPolicyFlagType as Flag;
    [Flag::MpolFNumaBalancing, Flag::MpolFRelativeNodes, Flag::MpolFStaticNodes]
        .map(|flag| flag.to_string())
        .to_vec()
}

fn memory_policy(wanted: &LinuxMemoryPolicy) -> Result<MemoryPolicy, PlanError> {
    use MemoryPolicyModeType as Mode;
    // The least and the most nodes that a mode takes.
    let (mode, least, most) = match wanted.mode() {
        Mode::MpolDefault => (0, 0, 0),
        Mode::MpolPreferred => (1, 0, usize::MAX),
        Mode::MpolBind => (2, 1, usize::MAX),
        Mode::MpolInterleave => (3, 1, usize::MAX),
        Mode::MpolLocal => (4, 0, 0),
        Mode::MpolPreferredMany => (5, 1, usize::MAX),
        Mode::MpolWeightedInterleave => (6, 1, usize::MAX),
    };
    let flags = wanted.flags().iter().flatten().fold(0, |flags, flag| {
        flags
            | match flag {
                MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
                MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
                MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
            }
    });
    let nodes = match wanted.nodes().as_deref() {
        None | Some("") => None,
        Some(list) => Some(Numbers::parse(list).ok_or_else(|| PlanError::Numbers {
            what: "nodes of memory",
            list: list.to_owned(),
        })?),
    };
    let count = nodes.iter().flat_map(Numbers::words).map(|word| word.count_ones() as usize).sum();
    if !(least..=most).contains(&count) {
        return Err(PlanError::MemoryNodes { mode: wanted.mode().to_string(), needs: least > 0 });
    }
    Ok(MemoryPolicy { mode: mode | flags, nodes })
}

fn personality(wanted: &LinuxPersonality) -> Result<u32, PlanError> {
    if let Some(flag) = wanted.flags().iter().flatten().next() {
        return Err(PlanError::Personality(flag.clone()));
    }
    Ok(match wanted.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn planned(process: &Value, linux: &Value) -> Result<Scheduling, String> {
        let mut whole = json!({"user": {"uid": 0, "gid": 0}, "cwd": "/", "args": ["a"]});
        whole.as_object_mut().unwrap().extend(process.as_object().unwrap().clone());
        let process = serde_json::from_value(whole).unwrap();
        let linux = serde_json::from_value(linux.clone()).unwrap();
        plan(&process, Some(&linux)).map_err(|error| error.to_string())
    }

    #[test]
    fn names_become_the_kernels_numbers() {
        let process = json!({
            "scheduler": {"policy": "SCHED_BATCH", "nice": 5, "flags": ["SCHED_FLAG_KEEP_POLICY"]},
            "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 4},
        });
        let linux = json!({
            "personality": {"domain": "LINUX32"},
            "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-1", "flags": ["MPOL_F_STATIC_NODES"]},
        });
        let expected = json!({
            "scheduler": {"policy": 3, "flags": 8, "nice": 5, "priority": 0, "runtime": 0, "deadline": 0, "period": 0},
            "io_priority": 3 << 13 | 4,
            "memory_policy": {"mode": 2 | 1 << 15, "nodes": [3]},
            "personality": 8,
        });
        assert_eq!(serde_json::to_value(planned(&process, &linux).unwrap()).unwrap(), expected);
        assert_eq!(planned(&json!({}), &json!({})), Ok(Scheduling::default()));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let check = |process: Value, linux: Value, expected: &str| {
            let error = planned(&process, &linux).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        let scheduler = |value: Value| json!({ "scheduler": value });
        check(scheduler(json!({"policy": "SCHED_OTHER", "nice": 20})), json!({}), "nice");
        check(scheduler(json!({"policy": "SCHED_IDLE", "priority": 1})), json!({}), "priority");
        check(scheduler(json!({"policy": "SCHED_FIFO", "priority": -1})), json!({}), "below 0");
        check(scheduler(json!({"policy": "SCHED_RR", "runtime": 1})), json!({}), "runtime");
        let io = json!({"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}});
        check(io, json!({}), "`8`");
        let memory = |value: Value| json!({ "memoryPolicy": value });
        check(json!({}), memory(json!({"mode": "MPOL_BIND"})), "MPOL_BIND");
        check(json!({}), memory(json!({"mode": "MPOL_LOCAL", "nodes": "0"})), "MPOL_LOCAL");
        check(json!({}), memory(json!({"mode": "MPOL_BIND", "nodes": "x"})), "`x`");
        let personality =
            json!({"personality": {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}});
        check(json!({}), personality, "ADDR_NO_RANDOMIZE");
    }
}
