//! The fields of [`Stats`] from a group of the unified hierarchy.

use std::collections::BTreeSet;
use std::path::Path;

use super::read::{map, number, pressure};
use super::{Blkio, BlkioEntry, HugePages, Memory, MemoryUse, Stats};
use crate::cgroup::CgroupError;
use crate::cgroup::folder::{maybe, processes, read};

/// Fills in what v2 counts.
pub(in crate::cgroup) fn fill(stats: &mut Stats, group: &Path) -> Result<(), CgroupError> {
    cpu(stats, group)?;
    if let Some(memory) = memory(group)? {
        stats.memory = memory;
    }
    stats.pids.current = match number(group, "pids.current")? {
        Some(count) => count,
        None => u64::try_from(processes(group)?.len()).unwrap_or(u64::MAX),
    };
    stats.pids.limit = number(group, "pids.max")?.filter(|&limit| limit != u64::MAX).unwrap_or(0);
    stats.blkio = disks(group)?;
    for size in huge_page_sizes(group, ".current") {
        let prefix = format!("hugetlb.{size}");
        let usage = match number(group, &format!("{prefix}.rsvd.current"))? {
            Some(reserved) => reserved,
            None => number(group, &format!("{prefix}.current"))?.unwrap_or(0),
        };
        let failcnt = map(group, &format!("{prefix}.events"))?.get("max").copied().unwrap_or(0);
        stats.hugetlb.insert(size, HugePages { usage, max: 0, failcnt });
    }
    Ok(())
}

/// `cpu.stat` is in every group, with or without the controller, and counts microseconds.
fn cpu(stats: &mut Stats, group: &Path) -> Result<(), CgroupError> {
    let counts = map(group, "cpu.stat")?;
    let count = |key: &str| counts.get(key).copied().unwrap_or(0);
    let nanos = |key: &str| count(key).saturating_mul(1000);
    let cpu = &mut stats.cpu;
    cpu.usage.total = nanos("usage_usec");
    cpu.usage.user = nanos("user_usec");
    cpu.usage.kernel = nanos("system_usec");
    cpu.throttling.periods = count("nr_periods");
    cpu.throttling.throttled_periods = count("nr_throttled");
    cpu.throttling.throttled_time = nanos("throttled_usec");
    cpu.psi = pressure(group, "cpu.pressure")?;
    Ok(())
}

/// `None` without the controller.
fn memory(group: &Path) -> Result<Option<Memory>, CgroupError> {
    let Some(usage) = one(group, "memory")? else { return Ok(None) };
    let raw = map(group, "memory.stat")?;
    // Swap alone becomes memory and swap together; the most of the sum is not known.
    let swap = one(group, "memory.swap")?.map_or(MemoryUse::default(), |swap| MemoryUse {
        limit: if swap.limit == u64::MAX {
            u64::MAX
        } else {
            swap.limit.saturating_add(usage.limit)
        },
        usage: swap.usage.saturating_add(usage.usage),
        max: 0,
        failcnt: 0,
    });
    Ok(Some(Memory {
        cache: raw.get("file").copied().unwrap_or(0),
        usage,
        swap,
        kernel: MemoryUse::default(),
        kernel_tcp: MemoryUse::default(),
        raw,
        psi: pressure(group, "memory.pressure")?,
    }))
}

fn one(group: &Path, prefix: &str) -> Result<Option<MemoryUse>, CgroupError> {
    let file = |name: &str| number(group, &format!("{prefix}.{name}"));
    let Some(usage) = file("current")? else { return Ok(None) };
    let (limit, max) = (file("max")?.unwrap_or(u64::MAX), file("peak")?.unwrap_or(0));
    Ok(Some(MemoryUse { limit, usage, max, failcnt: 0 }))
}

/// Lines `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0`, under v1's names.
fn disks(group: &Path) -> Result<Blkio, CgroupError> {
    let mut disks = Blkio { psi: pressure(group, "io.pressure")?, ..Blkio::default() };
    let Some(text) = maybe(read(&group.join("io.stat")))? else { return Ok(disks) };
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else {
            continue;
        };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let Ok(value) = value.parse() else { continue };
            let (list, op) = match key {
                "rbytes" => (&mut disks.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut disks.io_service_bytes_recursive, "Write"),
                "rios" => (&mut disks.io_serviced_recursive, "Read"),
                "wios" => (&mut disks.io_serviced_recursive, "Write"),
                // Discards, and what io.cost counts, have no name in v1.
                _ => continue,
            };
            list.push(BlkioEntry { major, minor, op: op.to_owned(), value });
        }
    }
    Ok(disks)
}

/// The sizes for which the group has files `hugetlb.<size><suffix>`.
pub(super) fn huge_page_sizes(group: &Path, suffix: &str) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(group) else { return BTreeSet::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name();
            let size = name.to_str()?.strip_prefix("hugetlb.")?.strip_suffix(suffix)?;
            (!size.contains('.')).then(|| size.to_owned())
        })
        .collect()
}
