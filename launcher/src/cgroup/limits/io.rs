//! Disks: `blkio` in v1, `io` in v2.

use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice};

use super::check::check_weight;
use super::{List, either};
use crate::cgroup::weight::io_weight;
use crate::cgroup::{CgroupError, Limit};
use crate::host::Controller;

impl List {
    pub(super) fn io(&mut self, io: &LinuxBlockIo) -> Result<(), CgroupError> {
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
}
