//! What each limit of the runtime specification is in files and values, in both interfaces.
//!
//! Pure translation: [`wanted`] says what would be written on a v1 and on a v2 hierarchy; which of
//! the two this host has is decided in `plan`. An empty list means that the interface has no such
//! limit. Source: OCI runtime-spec config-linux.md, the kernel's admin-guide/cgroup-v1 and cgroup-v2.rst.

mod check;
mod io;

use std::borrow::Cow;

use check::{check_list, shares_fault, swap_alone};
use oci_spec::runtime::{LinuxCpu, LinuxHugepageLimit, LinuxMemory, LinuxNetwork, LinuxResources};

use super::weight::shares_to_weight;
use super::{CgroupError, Limit, Setting};
use crate::host::{Controller, Version};

/// One value to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    /// File and value; the files are the limit's names in one interface, the best first.
    choices: Vec<(Cow<'static, str>, String)>,
    /// Whether a kernel without any of the files loses nothing.
    optional: bool,
    /// Why the interface would keep another value than this one, if it would.
    fault: Option<&'static str>,
}

impl Write {
    fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    fn of(self, limit: Limit) -> Result<Setting, CgroupError> {
        if let (Some(why), Some((_, value))) = (self.fault, self.choices.first()) {
            return Err(CgroupError::Value { limit, value: value.clone(), why });
        }
        let choices = self.choices.into_iter().map(|(file, value)| (file.into_owned(), value));
        Ok(Setting { limit, choices: choices.collect(), optional: self.optional })
    }
}

/// One limit in both interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) limit: Limit,
    /// `None` for a `unified` key of no controller (`cgroup.max.depth`).
    pub(super) controller: Option<Controller>,
    v1: Vec<Write>,
    v2: Vec<Write>,
}

impl Wanted {
    /// What is to be written in that interface, in order.
    pub(super) fn writes(self, version: Version) -> Result<Vec<Setting>, CgroupError> {
        let writes = match version {
            Version::V1 => self.v1,
            Version::V2 => self.v2,
        };
        if writes.is_empty() {
            return Err(CgroupError::NoEquivalent { limit: self.limit, version });
        }
        writes.into_iter().map(|write| write.of(self.limit)).collect()
    }
}

/// All limits that are asked for, in the order in which they have to be written.
pub(super) fn wanted(resources: &LinuxResources) -> Result<Vec<Wanted>, CgroupError> {
    let mut all = List::default();
    if let Some(memory) = resources.memory() {
        all.memory(memory)?;
    }
    if let Some(cpu) = resources.cpu() {
        all.cpu(cpu)?;
    }
    if let Some(pids) = resources.pids() {
        // -1 means "no limit" (config-linux.md). So does 0 here: the specification has wanted it taken as a number since 1.3,
        // but it is what Podman 4 writes for no limit, and what callers do who have none to write.
        let value = number_or(pids.limit(), 0, "max");
        all.same(Limit::Pids, Controller::Pids, "pids.max", value);
    }
    if let Some(io) = resources.block_io() {
        all.io(io)?;
    }
    for pages in resources.hugepage_limits().iter().flatten() {
        all.huge_pages(pages)?;
    }
    if let Some(network) = resources.network() {
        all.network(network);
    }
    all.rdma(resources);
    all.unified(resources)?;
    Ok(all.0)
}

#[derive(Debug, Default)]
struct List(Vec<Wanted>);

impl List {
    fn push(&mut self, limit: Limit, controller: Controller, v1: Vec<Write>, v2: Vec<Write>) {
        self.0.push(Wanted { limit, controller: Some(controller), v1, v2 });
    }

    /// One file in each interface.
    fn both(
        &mut self,
        limit: Limit,
        controller: Controller,
        v1: (&'static str, String),
        v2: (&'static str, String),
    ) {
        self.push(limit, controller, vec![one(v1.0, v1.1)], vec![one(v2.0, v2.1)]);
    }

    /// The same file and value in both.
    fn same(&mut self, limit: Limit, controller: Controller, file: &'static str, value: String) {
        self.both(limit, controller, (file, value.clone()), (file, value));
    }

    /// A limit that v2 dropped.
    fn only_v1(&mut self, limit: Limit, controller: Controller, file: &'static str, value: String) {
        self.push(limit, controller, vec![one(file, value)], Vec::new());
    }

    fn memory(&mut self, memory: &LinuxMemory) -> Result<(), CgroupError> {
        use Controller::Memory;
        // 0 is how Go callers write "not set".
        let limit = memory.limit().filter(|&bytes| bytes != 0);
        if let Some(bytes) = limit {
            let v1 = ("memory.limit_in_bytes", number_or(bytes, -1, "-1"));
            self.both(Limit::Memory, Memory, v1, ("memory.max", number_or(bytes, -1, "max")));
        }
        if limit.is_some_and(|bytes| bytes < 0) && memory.swap().is_none_or(|bytes| bytes == 0) {
            // v1 keeps memory below memory and swap together, so an old limit of the sum has to go as well.
            let v1 = one("memory.memsw.limit_in_bytes", "-1".to_owned()).optional();
            let v2 = one("memory.swap.max", "max".to_owned()).optional();
            self.push(Limit::Swap, Memory, vec![v1], vec![v2]);
        }
        if let Some(total) = memory.swap().filter(|&bytes| bytes != 0) {
            // The specification counts memory and swap together, as v1 does; v2 counts swap alone.
            let swap = swap_alone(total, limit)?;
            let v1 = one("memory.memsw.limit_in_bytes", number_or(total, -1, "-1"));
            let v2 = one("memory.swap.max", number_or(swap, -1, "max"));
            // No swap at all, or any amount of it: that is so where the kernel counts none.
            let v2 = if swap <= 0 { v2.optional() } else { v2 };
            self.push(Limit::Swap, Memory, vec![v1], vec![v2]);
        }
        if let Some(bytes) = memory.reservation().filter(|&bytes| bytes != 0) {
            let v1 = ("memory.soft_limit_in_bytes", number_or(bytes, -1, "-1"));
            let v2 = ("memory.low", number_or(bytes, -1, "max"));
            self.both(Limit::MemoryReservation, Memory, v1, v2);
        }
        // Old bundles carry it, and must be told that it cannot be kept.
        if let Some(bytes) = memory.kernel().filter(|&bytes| bytes > 0) {
            let file = "memory.kmem.limit_in_bytes";
            self.only_v1(Limit::KernelMemory, Memory, file, bytes.to_string());
        }
        if let Some(bytes) = memory.kernel_tcp().filter(|&bytes| bytes > 0) {
            let file = "memory.kmem.tcp.limit_in_bytes";
            self.only_v1(Limit::TcpMemory, Memory, file, bytes.to_string());
        }
        if let Some(value) = memory.swappiness() {
            self.only_v1(Limit::Swappiness, Memory, "memory.swappiness", value.to_string());
        }
        if memory.disable_oom_killer() == Some(true) {
            self.only_v1(Limit::OomKiller, Memory, "memory.oom_control", "1".to_owned());
        }
        // use_hierarchy: the kernel always does since 5.11. check_before_update: for `update`; a new
        // group uses nothing yet.
        Ok(())
    }

    fn cpu(&mut self, cpu: &LinuxCpu) -> Result<(), CgroupError> {
        use Controller::{Cpu, Cpuset};
        if let Some(shares) = cpu.shares().filter(|&shares| shares != 0) {
            let v1 = Write { fault: shares_fault(shares), ..one("cpu.shares", shares.to_string()) };
            let v2 = one("cpu.weight", shares_to_weight(shares).to_string());
            self.push(Limit::CpuShares, Cpu, vec![v1], vec![v2]);
        }
        self.quota(cpu);
        if let Some(burst) = cpu.burst() {
            let v1 = ("cpu.cfs_burst_us", burst.to_string());
            self.both(Limit::CpuBurst, Cpu, v1, ("cpu.max.burst", burst.to_string()));
        }
        if let Some(idle) = cpu.idle() {
            self.same(Limit::CpuIdle, Cpu, "cpu.idle", idle.to_string());
        }
        if let Some(period) = cpu.realtime_period().filter(|&us| us != 0) {
            self.only_v1(Limit::CpuRealtime, Cpu, "cpu.rt_period_us", period.to_string());
        }
        if let Some(runtime) = cpu.realtime_runtime().filter(|&us| us != 0) {
            self.only_v1(Limit::CpuRealtime, Cpu, "cpu.rt_runtime_us", runtime.to_string());
        }
        let sets = [
            (Limit::Cpus, "cpuset.cpus", cpu.cpus()),
            (Limit::MemoryNodes, "cpuset.mems", cpu.mems()),
        ];
        for (limit, file, list) in sets {
            if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
                check_list(limit, list)?;
                self.same(limit, Cpuset, file, list.clone());
            }
        }
        Ok(())
    }

    fn quota(&mut self, cpu: &LinuxCpu) {
        let period = cpu.period().filter(|&us| us != 0);
        let quota = cpu.quota().filter(|&us| us != 0);
        if period.is_none() && quota.is_none() {
            return;
        }
        let v2 = format!(
            "{} {}",
            quota.map_or("max".to_owned(), |us| number_or(us, 0, "max")),
            period.unwrap_or(100_000)
        );
        // v1 has two files, and checks the quota against the period, which therefore comes first.
        let mut v1 = Vec::new();
        v1.extend(period.map(|us| one("cpu.cfs_period_us", us.to_string())));
        v1.extend(quota.map(|us| one("cpu.cfs_quota_us", number_or(us, 0, "-1"))));
        self.push(Limit::CpuQuota, Controller::Cpu, v1, vec![one("cpu.max", v2)]);
    }

    fn huge_pages(&mut self, pages: &LinuxHugepageLimit) -> Result<(), CgroupError> {
        let size = pages.page_size();
        // The size becomes part of a file's name: `2MB`, `1GB`, nothing else.
        let unit = size.trim_start_matches(|c: char| c.is_ascii_digit());
        if unit.len() == size.len() || !matches!(unit, "KB" | "MB" | "GB") {
            let why = "is no page size, such as 2MB or 1GB";
            return Err(CgroupError::Value { limit: Limit::HugePages, value: size.clone(), why });
        }
        let file = |suffix: &str| format!("hugetlb.{size}.{suffix}");
        let value = pages.limit().to_string();
        // Pages in use and, since Linux 5.7, pages that are reserved: without the second a program gets as many as it
        // likes and is killed when it touches them (config-linux.md).
        let both = |used: &str, reserved: &str| {
            vec![any(file(used), value.clone()), any(file(reserved), value.clone()).optional()]
        };
        let v1 = both("limit_in_bytes", "rsvd.limit_in_bytes");
        let v2 = both("max", "rsvd.max");
        self.push(Limit::HugePages, Controller::Hugetlb, v1, v2);
        Ok(())
    }

    fn network(&mut self, network: &LinuxNetwork) {
        if let Some(class) = network.class_id() {
            let file = "net_cls.classid";
            self.only_v1(Limit::NetworkClass, Controller::NetCls, file, class.to_string());
        }
        for interface in network.priorities().iter().flatten() {
            let value = format!("{} {}", interface.name(), interface.priority());
            self.only_v1(Limit::NetworkPriority, Controller::NetPrio, "net_prio.ifpriomap", value);
        }
    }

    fn rdma(&mut self, resources: &LinuxResources) {
        let mut devices: Vec<_> = resources.rdma().iter().flatten().collect();
        devices.sort_by_key(|(name, _)| *name);
        for (name, limits) in devices {
            let part =
                |key: &str, n: Option<u32>| n.map_or(String::new(), |n| format!(" {key}={n}"));
            let value = format!(
                "{name}{}{}",
                part("hca_handle", limits.hca_handles()),
                part("hca_object", limits.hca_objects())
            );
            self.same(Limit::Rdma, Controller::Rdma, "rdma.max", value);
        }
    }

    /// Files of v2 by their own names. Unknown ones are written too: kernels grow.
    fn unified(&mut self, resources: &LinuxResources) -> Result<(), CgroupError> {
        let mut keys: Vec<_> = resources.unified().iter().flatten().collect();
        keys.sort();
        for (file, value) in keys {
            let prefix = file.split('.').next().unwrap_or_default();
            let plain = file.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if !plain || prefix.is_empty() || prefix.len() == file.len() {
                let why = "is no file of a cgroup, such as memory.high";
                return Err(CgroupError::Value { limit: Limit::Unified, value: file.clone(), why });
            }
            self.0.push(Wanted {
                limit: Limit::Unified,
                controller: Controller::parse_list(prefix, Version::V2).into_iter().next(),
                v1: Vec::new(),
                // The kernel takes one line at a time.
                v2: value.lines().map(|line| any(file.clone(), line.to_owned())).collect(),
            });
        }
        Ok(())
    }
}

fn one(file: &'static str, value: String) -> Write {
    Write { choices: vec![(Cow::Borrowed(file), value)], optional: false, fault: None }
}

fn any(file: String, value: String) -> Write {
    Write { choices: vec![(Cow::Owned(file), value)], optional: false, fault: None }
}

fn either(a: &'static str, a_value: String, b: &'static str, b_value: String) -> Write {
    let choices = vec![(Cow::Borrowed(a), a_value), (Cow::Borrowed(b), b_value)];
    Write { choices, optional: false, fault: None }
}

/// The number, or what the interface calls "no limit" when it is that low.
fn number_or(number: i64, unlimited: i64, word: &str) -> String {
    if number <= unlimited { word.to_owned() } else { number.to_string() }
}
