//! Values that no kernel would take, or that mean nothing.

use crate::cgroup::{CgroupError, Limit};

pub(super) fn swap_alone(total: i64, limit: Option<i64>) -> Result<i64, CgroupError> {
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
pub(super) fn check_list(limit: Limit, list: &str) -> Result<(), CgroupError> {
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

pub(super) fn check_weight(weight: u16) -> Result<(), CgroupError> {
    if (10..=1000).contains(&weight) {
        return Ok(());
    }
    let value = weight.to_string();
    Err(CgroupError::Value { limit: Limit::IoWeight, value, why: "is not from 10 to 1000" })
}

/// The kernel takes others for the nearest of these (`MIN_SHARES` and `MAX_SHARES`, kernel/sched/sched.h). In the words that
/// Docker's callers know from runc.
pub(super) fn shares_fault(shares: u64) -> Option<&'static str> {
    match shares {
        ..2 => Some("is too small: the minimum allowed cpu-shares is 2"),
        2..=262_144 => None,
        _ => Some("is too large: the maximum allowed cpu-shares is 262144"),
    }
}
