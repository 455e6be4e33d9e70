//! `linux.resources` as systemd's properties (`systemd.resource-control(5)`), so that it does not undo them when it
//! writes its own idea of the unit. Pure. All values are written to the files as well, exactly; what has no property
//! stands there alone.

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxResources, LinuxThrottleDevice};

use super::value::{Property, Value};
use crate::cgroup::devices::{DeviceKind, DeviceRule};
use crate::cgroup::weight::{io_weight_number, shares_to_weight};
use crate::host::Version;

/// The properties of all limits, in systemd's words for that interface.
pub(super) fn of(resources: &LinuxResources, version: Version) -> Vec<Property> {
    let mut all = List { version, properties: Vec::new() };
    all.memory(resources);
    if let Some(cpu) = resources.cpu() {
        all.cpu(cpu);
    }
    if let Some(pids) = resources.pids() {
        let limit = u64::try_from(pids.limit()).ok().filter(|&limit| limit > 0);
        all.push("TasksMax", limit.map_or(Value::INFINITY, Value::U64));
    }
    if let Some(io) = resources.block_io() {
        all.io(io);
    }
    all.unified(resources);
    all.properties
}

/// v1's device rules, which systemd would otherwise overwrite with "all". What it has no words for leaves the rules to
/// the files. (v2's program is ours alone, and stays.)
pub(super) fn devices(rules: &[DeviceRule]) -> Vec<Property> {
    let Some((first, rest)) = rules.split_first() else { return Vec::new() };
    if first.allow || first.kind != DeviceKind::All {
        return Vec::new();
    }
    let entries: Option<Vec<_>> = rest.iter().map(device).collect();
    let Some(entries) = entries else { return Vec::new() };
    vec![
        Property::new("DevicePolicy", Value::Text("strict".to_owned())),
        Property::new("DeviceAllow", Value::TextPairs(entries)),
    ]
}

fn device(rule: &DeviceRule) -> Option<(String, String)> {
    let kind = match rule.kind {
        _ if !rule.allow => return None,
        DeviceKind::Char => "char",
        DeviceKind::Block => "block",
        DeviceKind::All => return None,
    };
    let path = match (rule.major, rule.minor) {
        (None, None) => format!("{kind}-*"),
        (Some(major), None) => format!("{kind}-{major}"),
        (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
        (None, Some(_)) => return None,
    };
    Some((path, rule.access.letters()))
}

struct List {
    version: Version,
    properties: Vec<Property>,
}

impl List {
    fn push(&mut self, name: &str, value: Value) {
        self.properties.push(Property::new(name, value));
    }

    fn memory(&mut self, resources: &LinuxResources) {
        let Some(memory) = resources.memory() else { return };
        let bytes = |value: Option<i64>| {
            let value = value.filter(|&bytes| bytes != 0)?;
            Some(u64::try_from(value).map_or(Value::INFINITY, Value::U64))
        };
        let limit = bytes(memory.limit());
        match self.version {
            Version::V1 => {
                if let Some(limit) = limit {
                    self.push("MemoryLimit", limit);
                }
            }
            Version::V2 => {
                if let Some(limit) = limit {
                    self.push("MemoryMax", limit);
                }
                if let Some(low) = bytes(memory.reservation()) {
                    self.push("MemoryLow", low);
                }
                let swap = match (memory.swap(), memory.limit()) {
                    (Some(swap), _) if swap < 0 => Some(Value::INFINITY),
                    (Some(swap), Some(limit)) if swap > 0 && limit > 0 => {
                        u64::try_from(swap - limit).ok().map(Value::U64)
                    }
                    _ => None,
                };
                if let Some(swap) = swap {
                    self.push("MemorySwapMax", swap);
                }
            }
        }
    }

    fn cpu(&mut self, cpu: &LinuxCpu) {
        if let Some(shares) = cpu.shares().filter(|&shares| shares != 0) {
            match self.version {
                Version::V1 => self.push("CPUShares", Value::U64(shares)),
                Version::V2 => self.push("CPUWeight", Value::U64(shares_to_weight(shares))),
            }
        }
        let quota = cpu.quota().filter(|&us| us != 0);
        let period = cpu.period().filter(|&us| us != 0);
        if quota.is_some() || period.is_some() {
            self.quota(quota.and_then(|us| u64::try_from(us).ok()), period);
        }
        for (name, list) in [("AllowedCPUs", cpu.cpus()), ("AllowedMemoryNodes", cpu.mems())] {
            if let Some(set) = list.as_deref().and_then(set) {
                self.push(name, Value::Bytes(set));
            }
        }
    }

    fn quota(&mut self, quota: Option<u64>, period: Option<u64>) {
        let each = period.unwrap_or(100_000);
        if let Some(period) = period {
            self.push("CPUQuotaPeriodUSec", Value::U64(period));
        }
        // systemd keeps it as whole percents of a processor: rounded up, so that it does not stand in the way of the
        // exact value in the file.
        let value = quota.and_then(|us| {
            Some(Value::U64(us.checked_mul(1_000_000)?.div_ceil(each).next_multiple_of(10_000)))
        });
        self.push("CPUQuotaPerSecUSec", value.unwrap_or(Value::INFINITY));
    }

    fn io(&mut self, io: &LinuxBlockIo) {
        let v1 = self.version == Version::V1;
        if let Some(weight) = io.weight().filter(|&weight| weight != 0) {
            match self.version {
                Version::V1 => self.push("BlockIOWeight", Value::U64(weight.into())),
                Version::V2 => self.push("IOWeight", Value::U64(io_weight_number(weight).into())),
            }
        }
        if v1 {
            return;
        }
        let node = |major: i64, minor: i64| format!("/dev/block/{major}:{minor}");
        let weights: Vec<_> = io
            .weight_device()
            .iter()
            .flatten()
            .filter_map(|device| {
                let weight = io_weight_number(device.weight()?).into();
                Some((node(device.major(), device.minor()), weight))
            })
            .collect();
        self.amounts("IODeviceWeight", weights);
        let rates = |devices: &Option<Vec<LinuxThrottleDevice>>| -> Vec<(String, u64)> {
            let devices = devices.iter().flatten();
            devices.map(|d| (node(d.major(), d.minor()), d.rate())).collect()
        };
        self.amounts("IOReadBandwidthMax", rates(io.throttle_read_bps_device()));
        self.amounts("IOWriteBandwidthMax", rates(io.throttle_write_bps_device()));
        self.amounts("IOReadIOPSMax", rates(io.throttle_read_iops_device()));
        self.amounts("IOWriteIOPSMax", rates(io.throttle_write_iops_device()));
    }

    fn amounts(&mut self, name: &str, amounts: Vec<(String, u64)>) {
        if !amounts.is_empty() {
            self.push(name, Value::Amounts(amounts));
        }
    }

    /// The keys that have a property of the same meaning. They come last, as in the files.
    fn unified(&mut self, resources: &LinuxResources) {
        let mut keys: Vec<_> = resources.unified().iter().flatten().collect();
        keys.sort();
        for (key, value) in keys {
            let number = || match value.trim() {
                "max" => Some(u64::MAX),
                text => text.parse().ok(),
            };
            let amount = match key.as_str() {
                "memory.high" => "MemoryHigh",
                "memory.low" => "MemoryLow",
                "memory.min" => "MemoryMin",
                "memory.max" => "MemoryMax",
                "memory.swap.max" => "MemorySwapMax",
                "pids.max" => "TasksMax",
                "cpu.weight" => "CPUWeight",
                _ => "",
            };
            if !amount.is_empty() {
                if let Some(number) = number() {
                    self.push(amount, Value::U64(number));
                }
                continue;
            }
            let bits = match key.as_str() {
                "cpuset.cpus" => "AllowedCPUs",
                "cpuset.mems" => "AllowedMemoryNodes",
                "cpu.max" => {
                    let mut words = value.split_ascii_whitespace();
                    let (quota, period) = (words.next(), words.next());
                    self.quota(
                        quota.and_then(|us| us.parse().ok()),
                        period.and_then(|us| us.parse().ok()),
                    );
                    continue;
                }
                _ => continue,
            };
            if let Some(set) = set(value) {
                self.push(bits, Value::Bytes(set));
            }
        }
    }
}

/// A list such as `0-3,5` as a set of bits, the lowest first. `None` for an empty one, which systemd would refuse.
fn set(list: &str) -> Option<Vec<u8>> {
    let mut bits = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        for bit in usize::from(first)..=usize::from(last) {
            if bits.len() <= bit / 8 {
                bits.resize(bit / 8 + 1, 0);
            }
            bits[bit / 8] |= 1 << (bit % 8);
        }
    }
    (!bits.is_empty()).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(version: Version, resources: serde_json::Value) -> Vec<String> {
        let resources = serde_json::from_value(resources).unwrap();
        let one = |p: Property| format!("{}={:?}", p.name, p.value);
        of(&resources, version).into_iter().map(one).collect()
    }

    #[test]
    fn limits_become_properties() {
        let resources = serde_json::json!({
            "memory": {"limit": 1000, "swap": 1500, "reservation": 500},
            "cpu": {"shares": 1024, "quota": 15_001, "period": 100_000, "cpus": "0-1,9"},
            "pids": {"limit": -1},
            "blockIO": {"weight": 500,
                "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 4096}]},
        });
        assert_eq!(
            dump(Version::V2, resources.clone()),
            [
                "MemoryMax=U64(1000)",
                "MemoryLow=U64(500)",
                "MemorySwapMax=U64(500)",
                "CPUWeight=U64(100)",
                "CPUQuotaPeriodUSec=U64(100000)",
                "CPUQuotaPerSecUSec=U64(160000)",
                "AllowedCPUs=Bytes([3, 2])",
                "TasksMax=U64(18446744073709551615)",
                "IOWeight=U64(4950)",
                "IOReadBandwidthMax=Amounts([(\"/dev/block/8:0\", 4096)])",
            ]
        );
        assert_eq!(
            dump(Version::V1, resources),
            [
                "MemoryLimit=U64(1000)",
                "CPUShares=U64(1024)",
                "CPUQuotaPeriodUSec=U64(100000)",
                "CPUQuotaPerSecUSec=U64(160000)",
                "AllowedCPUs=Bytes([3, 2])",
                "TasksMax=U64(18446744073709551615)",
                "BlockIOWeight=U64(500)",
            ]
        );
    }

    #[test]
    fn unified_keys_become_properties_where_there_are_any() {
        let resources = serde_json::json!({"unified": {
            "memory.high": "max", "cpu.max": "max 50000", "pids.max": "7", "misc.max": "sev 1",
        }});
        assert_eq!(
            dump(Version::V2, resources),
            [
                "CPUQuotaPeriodUSec=U64(50000)",
                "CPUQuotaPerSecUSec=U64(18446744073709551615)",
                "MemoryHigh=U64(18446744073709551615)",
                "TasksMax=U64(7)",
            ]
        );
    }

    #[test]
    fn device_rules_are_given_only_where_systemd_has_words_for_all_of_them() {
        let rules = |asked: serde_json::Value| {
            let asked: Vec<_> = serde_json::from_value(asked).unwrap();
            devices(&crate::cgroup::devices::rules(Some(&asked)).unwrap())
        };
        let given = rules(serde_json::json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "b", "major": 8, "access": "r"},
        ]));
        let Some(Property { value: Value::TextPairs(pairs), .. }) = given.last() else {
            panic!("{given:?}")
        };
        let pair = |path: &str, access: &str| (path.to_owned(), access.to_owned());
        assert_eq!(pairs[0], pair("block-8", "r"));
        assert!(
            pairs.contains(&pair("/dev/char/1:3", "rwm")) && pairs.contains(&pair("char-*", "m"))
        );
        assert!(rules(serde_json::json!([{"allow": true, "access": "rwm"}])).is_empty());
        let minor = serde_json::json!([{"allow": true, "type": "c", "minor": 3, "access": "r"}]);
        assert!(rules(minor).is_empty());
    }
}
