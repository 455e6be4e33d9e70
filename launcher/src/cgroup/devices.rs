//! Which device nodes a container may make and use: rules, their lines for v1, and their eBPF program
//! for v2 (a container that keeps `CAP_MKNOD`, as Docker's do, could make `/dev/sda` otherwise; R10).
//!
//! A list of rules is read from its end: the last rule that covers an access decides, and what no rule
//! covers is denied. v1 gets the lines in order; it cannot deny a part of what an earlier line allows as a
//! whole, and the kernel ignores such a line.

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use serde::{Deserialize, Serialize};

use super::{CgroupError, Limit, Setting};
use crate::sys::bpf::Instruction;

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Whether it allows or denies.
    pub allow: bool,
    /// Which kind of node.
    pub kind: DeviceKind,
    /// The major number; `None` for all.
    pub major: Option<u32>,
    /// The minor number; `None` for all.
    pub minor: Option<u32>,
    /// What may be done.
    pub access: Access,
}

/// A kind of device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// Both kinds, all numbers.
    All,
    /// Character devices.
    Char,
    /// Block devices.
    Block,
}

/// What is done with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Opening for reading.
    pub read: bool,
    /// Opening for writing.
    pub write: bool,
    /// Making the node.
    pub mknod: bool,
}

impl Access {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, mknod: true };
    /// Only making the node, which opens nothing.
    const MKNOD: Self = Self { read: false, write: false, mknod: true };

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|b| b"rwm".contains(&b)) {
            return None;
        }
        let has = |letter| text.contains(letter);
        Some(Self { read: has('r'), write: has('w'), mknod: has('m') })
    }

    pub(super) fn letters(self) -> String {
        [(self.read, 'r'), (self.write, 'w'), (self.mknod, 'm')]
            .into_iter()
            .filter_map(|(yes, letter)| yes.then_some(letter))
            .collect()
    }

    /// `BPF_DEVCG_ACC_*` of `linux/bpf.h`.
    fn bits(self) -> u32 {
        u32::from(self.mknod) | u32::from(self.read) << 1 | u32::from(self.write) << 2
    }
}

const fn node(major: u32, minor: Option<u32>) -> DeviceRule {
    let kind = DeviceKind::Char;
    DeviceRule { allow: true, kind, major: Some(major), minor, access: Access::ALL }
}

const fn every(kind: DeviceKind, allow: bool, access: Access) -> DeviceRule {
    DeviceRule { allow, kind, major: None, minor: None, access }
}

/// What every container may use: the specification's default devices (config-linux.md), terminals
/// (`Documentation/admin-guide/devices.txt`), and the making of nodes that open nothing.
const DEFAULT: [DeviceRule; 10] = [
    every(DeviceKind::Char, true, Access::MKNOD),
    every(DeviceKind::Block, true, Access::MKNOD),
    node(1, Some(3)), // null
    node(1, Some(5)), // zero
    node(1, Some(7)), // full
    node(1, Some(8)), // random
    node(1, Some(9)), // urandom
    node(5, Some(0)), // tty
    node(5, Some(2)), // ptmx
    node(136, None),  // pts/*
];

/// The rules of a bundle, or "deny all" without any; then the default devices.
pub(super) fn rules(asked: Option<&[LinuxDeviceCgroup]>) -> Result<Vec<DeviceRule>, CgroupError> {
    let mut rules = vec![every(DeviceKind::All, false, Access::ALL)];
    for rule in asked.into_iter().flatten() {
        let rule = DeviceRule::try_from(rule)?;
        // v1 and the specification: a rule for all kinds replaces everything before it.
        if rule.kind == DeviceKind::All {
            rules.clear();
        }
        rules.push(rule);
    }
    rules.extend(DEFAULT);
    Ok(rules)
}

impl TryFrom<&LinuxDeviceCgroup> for DeviceRule {
    type Error = CgroupError;

    fn try_from(rule: &LinuxDeviceCgroup) -> Result<Self, CgroupError> {
        let refused = |why| CgroupError::DeviceRule {
            rule: serde_json::to_string(rule).unwrap_or_default(),
            why,
        };
        let kind = match rule.typ().unwrap_or(LinuxDeviceType::A) {
            LinuxDeviceType::A => DeviceKind::All,
            LinuxDeviceType::B => DeviceKind::Block,
            LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Char,
            LinuxDeviceType::P => return Err(refused("names a pipe, which is no device")),
        };
        // -1, as Go callers write it, means all.
        let number = |n: Option<i64>| match n {
            None | Some(-1) => Ok(None),
            Some(n) => u32::try_from(n).map(Some).or(Err(refused("has a number out of range"))),
        };
        let access = match rule.access().as_deref() {
            None | Some("") => Access::ALL,
            Some(text) => {
                Access::parse(text).ok_or(refused("has letters other than r, w and m"))?
            }
        };
        let (major, minor) = (number(rule.major())?, number(rule.minor())?);
        Ok(Self { allow: rule.allow(), kind, major, minor, access })
    }
}

/// The rules as v1's `devices.allow` and `devices.deny` take them.
pub(super) fn v1_settings(rules: &[DeviceRule]) -> impl Iterator<Item = Setting> {
    rules.iter().map(|rule| {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        let (major, minor, letters) =
            (number(rule.major), number(rule.minor), rule.access.letters());
        let line = match rule.kind {
            DeviceKind::All => "a".to_owned(),
            DeviceKind::Char => format!("c {major}:{minor} {letters}"),
            DeviceKind::Block => format!("b {major}:{minor} {letters}"),
        };
        Setting { limit: Limit::Devices, choices: vec![(file.to_owned(), line)], optional: false }
    })
}

// Operations, by their names in the instruction set's document. The jumps compare the low 32 bits.
const MOV64_IMM: u8 = 0xb7;
const MOV32_REG: u8 = 0xbc;
const AND32_IMM: u8 = 0x54;
const RSH32_IMM: u8 = 0x74;
const LOAD_WORD: u8 = 0x61;
const JEQ32_IMM: u8 = 0x16;
const JNE32_IMM: u8 = 0x56;
const EXIT: u8 = 0x95;

/// The kind of the node (`BPF_DEVCG_DEV_*`), the access bits, major and minor live here while the
/// program runs; the context pointer comes in register 1.
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 1;

/// The program that decides as the rules do. `struct bpf_cgroup_dev_ctx` is `access_type` (access in
/// the high half, kind in the low one), `major`, `minor`.
pub(super) fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let op = |code, to: u8, from: u8, offset, immediate| Instruction {
        code,
        registers: to | from << 4,
        offset,
        immediate,
    };
    let mut program = vec![
        op(LOAD_WORD, KIND, 1, 0, 0),
        op(MOV32_REG, ACCESS, KIND, 0, 0),
        op(AND32_IMM, KIND, 0, 0, 0xffff),
        op(RSH32_IMM, ACCESS, 0, 0, 16),
        op(LOAD_WORD, MAJOR, 1, 4, 0),
        op(LOAD_WORD, MINOR, 1, 8, 0),
    ];
    for rule in rules.iter().rev() {
        // What must hold for the rule to decide: (register, value); each failing test skips the rest.
        let mut tests = Vec::new();
        match rule.kind {
            DeviceKind::All => {}
            DeviceKind::Block => tests.push((KIND, 1)),
            DeviceKind::Char => tests.push((KIND, 2)),
        }
        tests.extend(rule.major.map(|n| (MAJOR, n.cast_signed())));
        tests.extend(rule.minor.map(|n| (MINOR, n.cast_signed())));
        let mut body = Vec::new();
        let bits = rule.access.bits().cast_signed();
        if rule.access != Access::ALL {
            // An allowing rule must grant all that is asked; a denying one needs to forbid any of it.
            let other = if rule.allow { !bits & 7 } else { bits };
            body.push(op(MOV32_REG, SCRATCH, ACCESS, 0, 0));
            body.push(op(AND32_IMM, SCRATCH, 0, 0, other));
            // Skips `r0 = .; exit`.
            let code = if rule.allow { JNE32_IMM } else { JEQ32_IMM };
            body.push(op(code, SCRATCH, 0, 2, 0));
        }
        body.push(op(MOV64_IMM, 0, 0, 0, i32::from(rule.allow)));
        body.push(op(EXIT, 0, 0, 0, 0));
        let count = tests.len();
        for (index, (register, value)) in tests.into_iter().enumerate() {
            let distance = i16::try_from(count - index - 1 + body.len()).unwrap_or(i16::MAX);
            program.push(op(JNE32_IMM, register, 0, distance, value));
        }
        program.extend(body);
        if rule.kind == DeviceKind::All && rule.access == Access::ALL {
            // Decides everything: what stands before it is dead, and the verifier refuses dead code.
            return program;
        }
    }
    program.push(op(MOV64_IMM, 0, 0, 0, 0));
    program.push(op(EXIT, 0, 0, 0, 0));
    program
}
