//! What each limit of the runtime specification is in files and values, in both interfaces.
//!
//! Pure translation: [`wanted`] says what would be written on a v1 and on a v2 hierarchy; which of
//! the two this host has is decided in `plan`. An empty list means that the interface has no such
//! limit. Source: OCI runtime-spec config-linux.md, the kernel's admin-guide/cgroup-v1 and cgroup-v2.rst.

use std::borrow::Cow;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxHugepageLimit, LinuxMemory, LinuxNetwork, LinuxResources,
    LinuxThrottleDevice,
};

use super::weight::{io_weight, shares_to_weight};
use super::{CgroupError, Limit};
use crate::host::{Controller, Version};

/// File and value; the files are the limit's names in one interface, the best first.
pub(super) type Choices = Vec<(Cow<'static, str>, String)>;

/// One limit in both interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) limit: Limit,
    /// `None` for a `unified` key of no controller (`cgroup.max.depth`).
    pub(super) controller: Option<Controller>,
    v1: Vec<Choices>,
    v2: Vec<Choices>,
}

impl Wanted {
    /// What is to be written in that interface, in order.
    pub(super) fn writes(self, version: Version) -> Result<Vec<Choices>, CgroupError> {
        let writes = match version {
            Version::V1 => self.v1,
            Version::V2 => self.v2,
        };
        if writes.is_empty() {
            return Err(CgroupError::NoEquivalent { limit: self.limit, version });
        }
        Ok(writes)
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
        // 0 and below mean "no limit" (config-linux.md).
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
    fn push(&mut self, limit: Limit, controller: Controller, v1: Vec<Choices>, v2: Vec<Choices>) {
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
        if let Some(total) = memory.swap().filter(|&bytes| bytes != 0) {
            // The specification counts memory and swap together, as v1 does; v2 counts swap alone.
            let swap = swap_alone(total, limit)?;
            let v1 = ("memory.memsw.limit_in_bytes", number_or(total, -1, "-1"));
            self.both(Limit::Swap, Memory, v1, ("memory.swap.max", number_or(swap, -1, "max")));
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
            let v2 = ("cpu.weight", shares_to_weight(shares).to_string());
            self.both(Limit::CpuShares, Cpu, ("cpu.shares", shares.to_string()), v2);
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

    fn io(&mut self, io: &LinuxBlockIo) -> Result<(), CgroupError> {
        if let Some(weight) = io.weight().filter(|&weight| weight != 0) {
            check_weight(weight)?;
            self.push(
                Limit::IoWeight,
                Controller::Io,
                vec![either(
                    "blkio.bfq.weight",
                    weight.to_string(),
                    "blkio.weight",
                    weight.to_string(),
                )],
                vec![either("io.bfq.weight", weight.to_string(), "io.weight", io_weight(weight))],
            );
        }
        if let Some(weight) = io.leaf_weight().filter(|&weight| weight != 0) {
            let file = "blkio.leaf_weight";
            self.only_v1(Limit::IoWeight, Controller::Io, file, weight.to_string());
        }
        for device in io.weight_device().iter().flatten() {
            let node = format!("{}:{}", device.major(), device.minor());
            if let Some(weight) = device.weight() {
                check_weight(weight)?;
                let same = format!("{node} {weight}");
                let scaled = format!("{node} {}", io_weight(weight));
                self.push(
                    Limit::IoWeight,
                    Controller::Io,
                    vec![either(
                        "blkio.bfq.weight_device",
                        same.clone(),
                        "blkio.weight_device",
                        same.clone(),
                    )],
                    vec![either("io.bfq.weight", same, "io.weight", scaled)],
                );
            }
            if let Some(weight) = device.leaf_weight() {
                let value = format!("{node} {weight}");
                self.only_v1(Limit::IoWeight, Controller::Io, "blkio.leaf_weight_device", value);
            }
        }
        let read_bps = (Limit::ReadBps, "blkio.throttle.read_bps_device", "rbps");
        let write_bps = (Limit::WriteBps, "blkio.throttle.write_bps_device", "wbps");
        let read_iops = (Limit::ReadIops, "blkio.throttle.read_iops_device", "riops");
        let write_iops = (Limit::WriteIops, "blkio.throttle.write_iops_device", "wiops");
        self.throttle(read_bps, io.throttle_read_bps_device().as_deref());
        self.throttle(write_bps, io.throttle_write_bps_device().as_deref());
        self.throttle(read_iops, io.throttle_read_iops_device().as_deref());
        self.throttle(write_iops, io.throttle_write_iops_device().as_deref());
        Ok(())
    }

    fn throttle(
        &mut self,
        (limit, file, key): (Limit, &'static str, &str),
        devices: Option<&[LinuxThrottleDevice]>,
    ) {
        for device in devices.into_iter().flatten() {
            let node = format!("{}:{}", device.major(), device.minor());
            let v1 = (file, format!("{node} {}", device.rate()));
            let v2 = ("io.max", format!("{node} {key}={}", device.rate()));
            self.both(limit, Controller::Io, v1, v2);
        }
    }

    fn huge_pages(&mut self, pages: &LinuxHugepageLimit) -> Result<(), CgroupError> {
        let size = pages.page_size();
        // The size becomes part of a file's name: `2MB`, `1GB`, nothing else.
        let unit = size.trim_start_matches(|c: char| c.is_ascii_digit());
        if unit.len() == size.len() || !matches!(unit, "KB" | "MB" | "GB") {
            let why = "is no page size, such as 2MB or 1GB";
            return Err(CgroupError::Value { limit: Limit::HugePages, value: size.clone(), why });
        }
        let (v1, v2) = (format!("hugetlb.{size}.limit_in_bytes"), format!("hugetlb.{size}.max"));
        let value = pages.limit().to_string();
        self.push(
            Limit::HugePages,
            Controller::Hugetlb,
            vec![vec![(v1.into(), value.clone())]],
            vec![vec![(v2.into(), value)]],
        );
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
                v2: vec![vec![(Cow::Owned(file.clone()), value.clone())]],
            });
        }
        Ok(())
    }
}

fn one(file: &'static str, value: String) -> Choices {
    vec![(Cow::Borrowed(file), value)]
}

fn either(a: &'static str, a_value: String, b: &'static str, b_value: String) -> Choices {
    vec![(Cow::Borrowed(a), a_value), (Cow::Borrowed(b), b_value)]
}

/// The number, or what the interface calls "no limit" when it is that low.
fn number_or(number: i64, unlimited: i64, word: &str) -> String {
    if number <= unlimited { word.to_owned() } else { number.to_string() }
}

fn swap_alone(total: i64, limit: Option<i64>) -> Result<i64, CgroupError> {
    let refused =
        |why| Err(CgroupError::Value { limit: Limit::Swap, value: total.to_string(), why });
    match limit {
        _ if total < 0 => Ok(-1),
        None => refused("needs a memory limit beside it, since it counts memory and swap together"),
        Some(memory) if memory < 0 => refused("cannot be kept while memory is unlimited"),
        Some(memory) if total < memory => {
            refused("is less than the memory limit, which it includes")
        }
        Some(memory) => Ok(total - memory),
    }
}

/// `0-3,5`: what cpusets take (`cpuset(7)`, "List format").
fn check_list(limit: Limit, list: &str) -> Result<(), CgroupError> {
    let number = |text: &str| text.trim().parse::<u16>().ok();
    let good = list.split(',').all(|part| match part.split_once('-') {
        Some((low, high)) => matches!((number(low), number(high)), (Some(a), Some(b)) if a <= b),
        None => number(part).is_some(),
    });
    if good {
        return Ok(());
    }
    Err(CgroupError::Value { limit, value: list.to_owned(), why: "is no list, such as 0-3,5" })
}

fn check_weight(weight: u16) -> Result<(), CgroupError> {
    if (10..=1000).contains(&weight) {
        return Ok(());
    }
    let value = weight.to_string();
    Err(CgroupError::Value { limit: Limit::IoWeight, value, why: "is not from 10 to 1000" })
}
