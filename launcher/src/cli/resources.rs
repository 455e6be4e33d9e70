//! Limits and priorities as options, and the runtime specification's resources that they mean.
//!
//! Only their form is checked here; whether this host can keep them is the cgroup stage's to say.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources, LinuxThrottleDevice,
    LinuxThrottleDeviceBuilder,
};

use crate::cgroup::{Bytes, weight_to_shares};

/// What the container may use.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits and priorities")]
pub(super) struct Resources {
    /// Memory that it may use; beyond that it is killed (64m, 1.5g)
    #[arg(short = 'm', long, value_name = "SIZE")]
    memory: Option<Bytes>,
    /// Memory and swap together; -1 is unlimited swap
    #[arg(long, value_name = "SIZE", requires = "memory", allow_hyphen_values = true)]
    memory_swap: Option<SwapLimit>,
    /// Memory that it keeps when the host runs short
    #[arg(long, value_name = "SIZE")]
    memory_reservation: Option<Bytes>,
    /// Processors' worth of time (0.5, 2)
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<Cpus>,
    /// Share of processor time under contention, 1 to 10000; others have 100
    #[arg(long, value_name = "WEIGHT", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    cpu_weight: Option<u64>,
    /// Processors that it runs on (0-2,5)
    #[arg(long, value_name = "LIST", visible_alias = "cpuset-cpus")]
    cpuset: Option<CpuList>,
    /// Processes and threads that it may have; -1 is unlimited
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true,
          value_parser = clap::value_parser!(i64).range(-1..))]
    pids_limit: Option<i64>,
    /// Share of disk time under contention, 10 to 1000; others have 100
    #[arg(long, value_name = "WEIGHT", visible_alias = "blkio-weight",
          value_parser = clap::value_parser!(u16).range(10..=1000))]
    io_weight: Option<u16>,
    /// Bytes a second that it reads from a disk (/dev/sda:1m)
    #[arg(long, value_name = "DEVICE:RATE")]
    device_read_bps: Vec<Throttle<Bytes>>,
    /// Bytes a second that it writes to a disk
    #[arg(long, value_name = "DEVICE:RATE")]
    device_write_bps: Vec<Throttle<Bytes>>,
    /// Operations a second that it reads from a disk (/dev/sda:100)
    #[arg(long, value_name = "DEVICE:RATE")]
    device_read_iops: Vec<Throttle<u64>>,
    /// Operations a second that it writes to a disk
    #[arg(long, value_name = "DEVICE:RATE")]
    device_write_iops: Vec<Throttle<u64>>,
}

impl Resources {
    /// What the options mean; `None` without any of them.
    pub(super) fn to_spec(&self) -> Option<LinuxResources> {
        let mut resources = LinuxResources::default();
        resources.set_memory(self.memory());
        resources.set_cpu(self.cpu());
        resources.set_pids(self.pids_limit.map(|limit| {
            let mut pids = LinuxPids::default();
            pids.set_limit(limit);
            pids
        }));
        resources.set_block_io(self.block_io());
        (resources != LinuxResources::default()).then_some(resources)
    }

    /// `--memory`, for messages.
    pub(super) fn memory_limit(&self) -> Option<Bytes> {
        self.memory
    }

    fn memory(&self) -> Option<LinuxMemory> {
        let mut memory = LinuxMemory::default();
        memory.set_limit(self.memory.map(Bytes::as_i64));
        memory.set_swap(self.memory_swap.map(|swap| swap.0));
        memory.set_reservation(self.memory_reservation.map(Bytes::as_i64));
        (memory != LinuxMemory::default()).then_some(memory)
    }

    fn cpu(&self) -> Option<LinuxCpu> {
        let mut cpu = LinuxCpu::default();
        if let Some(cpus) = self.cpus {
            cpu.set_quota(Some(cpus.quota)).set_period(Some(Cpus::PERIOD));
        }
        cpu.set_shares(self.cpu_weight.map(weight_to_shares));
        cpu.set_cpus(self.cpuset.as_ref().map(|list| list.0.clone()));
        (cpu != LinuxCpu::default()).then_some(cpu)
    }

    fn block_io(&self) -> Option<LinuxBlockIo> {
        let mut io = LinuxBlockIo::default();
        io.set_weight(self.io_weight);
        let rate = |bytes: Bytes| bytes.0;
        io.set_throttle_read_bps_device(devices(&self.device_read_bps, rate));
        io.set_throttle_write_bps_device(devices(&self.device_write_bps, rate));
        io.set_throttle_read_iops_device(devices(&self.device_read_iops, |count| count));
        io.set_throttle_write_iops_device(devices(&self.device_write_iops, |count| count));
        (io != LinuxBlockIo::default()).then_some(io)
    }
}

fn devices<R: Copy>(
    throttles: &[Throttle<R>],
    rate: impl Fn(R) -> u64,
) -> Option<Vec<LinuxThrottleDevice>> {
    let devices: Vec<_> = throttles
        .iter()
        .filter_map(|throttle| {
            LinuxThrottleDeviceBuilder::default()
                .major(i64::from(throttle.major))
                .minor(i64::from(throttle.minor))
                .rate(rate(throttle.rate))
                .build()
                .ok()
        })
        .collect();
    (!devices.is_empty()).then_some(devices)
}

/// `--memory-swap`, as the specification has it: memory and swap together, or -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SwapLimit(i64);

impl FromStr for SwapLimit {
    type Err = crate::cgroup::BytesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-1" { Ok(Self(-1)) } else { text.parse().map(Bytes::as_i64).map(Self) }
    }
}

/// `--cpus`: time in every period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cpus {
    /// Microseconds in each [`Cpus::PERIOD`].
    pub(super) quota: i64,
}

impl Cpus {
    /// Microseconds; the kernel's own default.
    pub(super) const PERIOD: u64 = 100_000;
    /// The kernel refuses quotas below a millisecond.
    const LEAST: i64 = 1000;
}

/// A value that an option cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ValueError {
    #[error("it is a number of processors of at least 0.01, such as 0.5 or 2")]
    Cpus,
    #[error("it is a list of processors such as 0-2,5")]
    CpuList,
    #[error("it is DEVICE:RATE, such as /dev/sda:{0}")]
    Throttle(&'static str),
    #[error("`{0}` is no block device")]
    Device(String),
}

impl FromStr for Cpus {
    type Err = ValueError;

    /// Exact: up to five digits behind the point, which is one microsecond of the period.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
            return Err(ValueError::Cpus);
        }
        let fraction: String = fraction.chars().chain("00000".chars()).take(5).collect();
        let number = |part: &str| part.parse::<i64>().ok();
        let quota = number(whole)
            .and_then(|whole| whole.checked_mul(100_000)?.checked_add(number(&fraction)?))
            .filter(|quota| *quota >= Self::LEAST)
            .ok_or(ValueError::Cpus)?;
        Ok(Self { quota })
    }
}

/// `--cpuset`: numbers and ranges. Which processors there are, the kernel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CpuList(pub(super) String);

impl FromStr for CpuList {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+'));
        let valid = text.split(',').all(|range| match range.split_once('-') {
            Some((first, last)) => number(first).zip(number(last)).is_some_and(|(f, l)| f <= l),
            None => number(range).is_some(),
        });
        if valid { Ok(Self(text.to_owned())) } else { Err(ValueError::CpuList) }
    }
}

/// `--device-read-bps` and its kin: a block device and a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Throttle<R> {
    major: u32,
    minor: u32,
    rate: R,
}

/// A rate that can stand behind a device.
trait Rate: FromStr {
    const EXAMPLE: &'static str;
}

impl Rate for Bytes {
    const EXAMPLE: &'static str = "1m";
}

impl Rate for u64 {
    const EXAMPLE: &'static str = "100";
}

impl<R: Rate> FromStr for Throttle<R> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let refused = || ValueError::Throttle(R::EXAMPLE);
        let (device, rate) = text.rsplit_once(':').ok_or_else(refused)?;
        let rate = rate.parse().ok().ok_or_else(refused)?;
        let (major, minor) = PathBuf::from(device)
            .metadata()
            .ok()
            .filter(|metadata| metadata.file_type().is_block_device())
            .map(|metadata| {
                (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()))
            })
            .ok_or_else(|| ValueError::Device(device.escape_debug().to_string()))?;
        Ok(Self { major, minor, rate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_become_an_exact_quota() {
        for (text, quota) in [
            ("1", 100_000),
            ("0.5", 50_000),
            ("1.25", 125_000),
            ("0.01", 1000),
            ("2.000019", 200_001),
        ] {
            assert_eq!(text.parse(), Ok(Cpus { quota }), "{text}");
        }
        for wrong in ["", "0", "0.001", "-1", "+1", "1.", ".5", "1e3", "NaN", "99999999999999999"] {
            assert_eq!(wrong.parse::<Cpus>(), Err(ValueError::Cpus), "{wrong}");
        }
    }

    #[test]
    fn processor_lists_are_numbers_and_ranges() {
        for good in ["0", "0-2", "0-2,5,7-7"] {
            assert_eq!(good.parse(), Ok(CpuList(good.to_owned())));
        }
        for wrong in ["", ",", "2-1", "a", "0-", "-1", "+1", "0 1"] {
            assert_eq!(wrong.parse::<CpuList>(), Err(ValueError::CpuList), "{wrong}");
        }
    }

    #[test]
    fn a_throttle_names_a_block_device() {
        assert_eq!(
            "/dev/null:1m".parse::<Throttle<Bytes>>(),
            Err(ValueError::Device("/dev/null".to_owned()))
        );
        assert_eq!("/dev/sda".parse::<Throttle<u64>>(), Err(ValueError::Throttle("100")));
        assert_eq!("/dev/sda:x".parse::<Throttle<Bytes>>(), Err(ValueError::Throttle("1m")));
    }
}
