//! The fields of [`Stats`] from v1's hierarchies; `of` names a controller's folder.

use std::path::Path;

use super::read::{blkio, list, map, number, numbers, signed};
use super::{Blkio, BlkioEntry, CpuUsage, Cpuset, HugePages, Memory, MemoryUse, Stats};
use crate::cgroup::CgroupError;
use crate::host::Controller;

/// Fills in what v1 counts.
pub(in crate::cgroup) fn fill<'a>(
    stats: &mut Stats,
    of: impl Fn(Controller) -> Option<&'a Path>,
) -> Result<(), CgroupError> {
    if let Some(group) = of(Controller::Memory) {
        stats.memory = memory(group)?;
    }
    if let Some(group) = of(Controller::Cpuacct) {
        stats.cpu.usage = usage(group)?;
    }
    if let Some(group) = of(Controller::Cpu) {
        let counts = map(group, "cpu.stat")?;
        let count = |key: &str| counts.get(key).copied().unwrap_or(0);
        stats.cpu.throttling.periods = count("nr_periods");
        stats.cpu.throttling.throttled_periods = count("nr_throttled");
        stats.cpu.throttling.throttled_time = count("throttled_time");
    }
    if let Some(group) = of(Controller::Cpuset) {
        stats.cpuset = cpuset(group)?;
    }
    if let Some(group) = of(Controller::Pids) {
        stats.pids.current = number(group, "pids.current")?.unwrap_or(0);
        stats.pids.limit =
            number(group, "pids.max")?.filter(|&limit| limit != u64::MAX).unwrap_or(0);
    }
    if let Some(group) = of(Controller::Io) {
        stats.blkio = disks(group)?;
    }
    if let Some(group) = of(Controller::Hugetlb) {
        for size in super::v2::huge_page_sizes(group, ".usage_in_bytes") {
            let file = |name: &str| number(group, &format!("hugetlb.{size}.{name}"));
            let pages = HugePages {
                usage: file("usage_in_bytes")?.unwrap_or(0),
                max: file("max_usage_in_bytes")?.unwrap_or(0),
                failcnt: file("failcnt")?.unwrap_or(0),
            };
            stats.hugetlb.insert(size, pages);
        }
    }
    Ok(())
}

fn memory(group: &Path) -> Result<Memory, CgroupError> {
    let raw = map(group, "memory.stat")?;
    let kind = |infix: &str| {
        let file = |name: &str| number(group, &format!("memory.{infix}{name}"));
        Ok::<_, CgroupError>(MemoryUse {
            limit: file("limit_in_bytes")?.unwrap_or(0),
            usage: file("usage_in_bytes")?.unwrap_or(0),
            max: file("max_usage_in_bytes")?.unwrap_or(0),
            failcnt: file("failcnt")?.unwrap_or(0),
        })
    };
    Ok(Memory {
        cache: raw.get("cache").copied().unwrap_or(0),
        usage: kind("")?,
        swap: kind("memsw.")?,
        kernel: kind("kmem.")?,
        kernel_tcp: kind("kmem.tcp.")?,
        raw,
        psi: None,
    })
}

fn usage(group: &Path) -> Result<CpuUsage, CgroupError> {
    let count = |name: &str| Ok::<_, CgroupError>(number(group, name)?.unwrap_or(0));
    Ok(CpuUsage {
        total: count("cpuacct.usage")?,
        kernel: count("cpuacct.usage_sys")?,
        user: count("cpuacct.usage_user")?,
        percpu: numbers(group, "cpuacct.usage_percpu")?,
        percpu_kernel: numbers(group, "cpuacct.usage_percpu_sys")?,
        percpu_user: numbers(group, "cpuacct.usage_percpu_user")?,
    })
}

fn cpuset(group: &Path) -> Result<Cpuset, CgroupError> {
    let flag =
        |name: &str| Ok::<_, CgroupError>(number(group, &format!("cpuset.{name}"))?.unwrap_or(0));
    Ok(Cpuset {
        cpus: list(group, "cpuset.cpus")?,
        mems: list(group, "cpuset.mems")?,
        cpu_exclusive: flag("cpu_exclusive")?,
        mem_hardwall: flag("mem_hardwall")?,
        mem_exclusive: flag("mem_exclusive")?,
        memory_migrate: flag("memory_migrate")?,
        memory_spread_page: flag("memory_spread_page")?,
        memory_spread_slab: flag("memory_spread_slab")?,
        memory_pressure: flag("memory_pressure")?,
        sched_load_balance: flag("sched_load_balance")?,
        sched_relax_domain_level: signed(group, "cpuset.sched_relax_domain_level")?.unwrap_or(0),
    })
}

/// Which disk scheduler counts depends on the kernel: BFQ's own counters, those of old CFQ, or those of the throttle, which
/// are always there. The first that has anything to say is taken.
fn disks(group: &Path) -> Result<Blkio, CgroupError> {
    let first = |names: &[&str]| -> Result<Vec<BlkioEntry>, CgroupError> {
        let mut found = Vec::new();
        for name in names {
            if let Some(entries) = blkio(group, name)?
                && !entries.is_empty()
            {
                found = entries;
                break;
            }
        }
        Ok(found)
    };
    let scheduler = |name: &str| first(&[&format!("blkio.bfq.{name}"), &format!("blkio.{name}")]);
    let throttle = |name: &str| {
        first(&[
            &format!("blkio.bfq.{name}_recursive"),
            &format!("blkio.{name}_recursive"),
            &format!("blkio.throttle.{name}_recursive"),
            &format!("blkio.throttle.{name}"),
        ])
    };
    Ok(Blkio {
        io_service_bytes_recursive: throttle("io_service_bytes")?,
        io_serviced_recursive: throttle("io_serviced")?,
        io_queued_recursive: scheduler("io_queued_recursive")?,
        io_service_time_recursive: scheduler("io_service_time_recursive")?,
        io_wait_time_recursive: scheduler("io_wait_time_recursive")?,
        io_merged_recursive: scheduler("io_merged_recursive")?,
        io_time_recursive: scheduler("time_recursive")?,
        sectors_recursive: scheduler("sectors_recursive")?,
        psi: None,
    })
}
