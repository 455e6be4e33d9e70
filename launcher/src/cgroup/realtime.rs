//! Room for real-time budgets of v1 (`CONFIG_RT_GROUP_SCHED`). The budgets of a group's children may not exceed its own, and
//! a group that was made has none: so nobody could have one below the folder that all containers share. (Elsewhere the
//! budget of a parent is the affair of whose group it is.)

use std::path::Path;
use std::time::{Duration, Instant};

use super::folder::{self, access, number, subgroups};
use super::{CgroupError, GroupPath, Limit, Setting};
use crate::host::{Controller, Version};

/// The folder, in each hierarchy, in which containers without a place of the bundle's choice have their groups.
pub(super) const SHARED: &str = "coracle";

const RUNTIME: &str = "cpu.rt_runtime_us";
const PERIOD: &str = "cpu.rt_period_us";

/// How long the kernel may take to forget the budget of a group that was removed: some grace periods of RCU.
const PATIENCE: Duration = Duration::from_secs(1);

/// Gives the folder that all containers share what the budgets of those in it and the one in `settings` come to, where it has
/// less. Whether there is room then.
pub(super) fn make_room(group: &Path, settings: &[Setting]) -> Result<bool, CgroupError> {
    let wanted = settings.iter().filter(|setting| setting.limit == Limit::CpuRealtime);
    let value = |name: &str| {
        let choices = wanted.clone().flat_map(|setting| &setting.choices);
        choices.filter(|(file, _)| file == name).find_map(|(_, value)| value.parse::<u64>().ok())
    };
    let parent = group.parent().filter(|parent| parent.ends_with(SHARED));
    let (Some(parent), Some(runtime)) = (parent, value(RUNTIME)) else { return Ok(false) };
    let period = match value(PERIOD) {
        Some(period) => period,
        None => number(&group.join(PERIOD))?,
    };
    let whole = number(&parent.join(PERIOD))?;
    let needed = share(runtime, period, whole) + beside(group, parent, whole)?;
    let file = parent.join(RUNTIME);
    // More than the folder above has is refused.
    Ok(needed <= number(&file)? || folder::write(&file, &needed.to_string()).is_ok())
}

/// Before a group is removed: what its budget was is nobody's any more, and the folder above may need it for others.
pub(super) fn give_back(group: &GroupPath) {
    if group.version != Version::V1 || !group.controllers.contains(&Controller::Cpu) {
        return;
    }
    let Some(parent) = group.path.parent().filter(|parent| parent.ends_with(SHARED)) else {
        return;
    };
    let file = parent.join(RUNTIME);
    // Mostly there is none, or no such file.
    if !number(&file).is_ok_and(|budget| budget > 0) {
        return;
    }
    let given = || -> Result<(), CgroupError> {
        let own = group.path.join(RUNTIME);
        if number(&own)? > 0 {
            folder::write(&own, "0").map_err(access(&own))?;
        }
        let needed = beside(&group.path, parent, number(&parent.join(PERIOD))?)?;
        folder::write(&file, &needed.to_string()).map_err(access(&file))
    };
    // Whoever has a budget next makes up for it.
    given().ok();
}

/// What the budgets of all other groups in the folder come to.
fn beside(group: &Path, parent: &Path, whole: u64) -> Result<u64, CgroupError> {
    let mut sum = 0;
    for other in subgroups(parent)?.iter().filter(|other| *other != group) {
        // It may have gone, and its budget with it.
        if let (Ok(runtime), Ok(period)) =
            (number(&other.join(RUNTIME)), number(&other.join(PERIOD)))
        {
            sum += share(runtime, period, whole);
        }
    }
    Ok(sum)
}

/// Tries to write a budget for which there is room, but perhaps not yet.
pub(super) fn patiently(
    mut write: impl FnMut() -> Result<(), CgroupError>,
) -> Result<(), CgroupError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match write() {
            Err(CgroupError::Write { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            done => return done,
        }
    }
}

/// What a budget of so much in each period comes to in a period of another length, rounded up; microseconds.
fn share(runtime: u64, period: u64, whole: u64) -> u64 {
    let product = u128::from(runtime) * u128::from(whole);
    u64::try_from(product.div_ceil(u128::from(period.max(1)))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_share_of_its_period() {
        for (runtime, period, whole, expected) in [
            (1_000, 100_000, 1_000_000, 10_000),
            (950_000, 1_000_000, 1_000_000, 950_000),
            (1, 3, 10, 4),
            (0, 1_000_000, 1_000_000, 0),
            (7, 0, 1, 7),
        ] {
            assert_eq!(share(runtime, period, whole), expected, "{runtime} of {period}");
        }
    }
}
