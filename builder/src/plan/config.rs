//! How the image runs: the part of the OCI configuration that is decided before any byte is
//! written.

use std::collections::BTreeMap;

use common::tree::ImagePath;
use serde::Serialize;

use super::error::PlanError;
use super::place::Placement;
use super::users::User;
use crate::elf::{Class, Endian, Machine, Object};
use crate::resolve::gather::Gathered;
use crate::spec::ImageSpec;

/// Configuration of an image; names as in the OCI image specification (config.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Configuration {
    /// `GOARCH` name.
    pub architecture: String,
    /// CPU variant, where the architecture has several.
    pub variant: Option<String>,
    /// `NAME=VALUE`, sorted.
    pub env: Vec<String>,
    /// What is executed.
    pub entrypoint: Vec<String>,
    /// Arguments.
    pub cmd: Vec<String>,
    /// `uid:gid`.
    pub user: String,
    /// Where it starts.
    pub workdir: String,
    /// Ports.
    pub ports: Vec<String>,
    /// Folders with data.
    pub volumes: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Signal that asks it to end.
    pub stop_signal: Option<String>,
}

pub(super) fn configuration(
    spec: &ImageSpec,
    gathered: &Gathered,
    placement: &Placement,
    user: &User,
) -> Result<Configuration, PlanError> {
    let text = |path: &ImagePath| {
        String::from_utf8(path.as_bytes().to_vec()).map_err(|error| {
            let _ = error.utf8_error();
            PlanError::NotText(path.clone())
        })
    };
    let run = &spec.run;
    let entrypoint = match (&run.entrypoint, gathered.programs.first()) {
        (Some(given), _) => given.clone(),
        (None, Some(first)) => vec![text(&placement.destination(first))?],
        (None, None) => Vec::new(),
    };
    let (architecture, variant) = architecture(gathered)?;
    Ok(Configuration {
        architecture,
        variant,
        env: run.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        entrypoint,
        cmd: run.cmd.clone().unwrap_or_default(),
        user: format!("{}:{}", user.uid, user.gid),
        workdir: text(&run.workdir)?,
        ports: run.ports.iter().map(ToString::to_string).collect(),
        volumes: run.volumes.iter().map(text).collect::<Result<_, _>>()?,
        labels: run.labels.clone(),
        stop_signal: run.stop_signal.as_ref().map(ToString::to_string),
    })
}

/// The one architecture of all programs; this program's own where there is none.
fn architecture(gathered: &Gathered) -> Result<(String, Option<String>), PlanError> {
    let closure = &gathered.closure;
    let mut all = closure
        .programs
        .iter()
        .filter_map(|program| closure.objects.get(program.loads.first()?.object));
    let Some(first) = all.next() else {
        return Ok((
            std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64"),
            None,
        ));
    };
    let named = |object: &Object| oci_architecture(object);
    let name = named(&first.object).ok_or_else(|| PlanError::Machine {
        path: first.path.clone(),
        machine: first.object.machine.to_string(),
    })?;
    for other in all {
        if named(&other.object) != Some(name) {
            return Err(PlanError::Architectures {
                one: first.path.clone(),
                one_machine: first.object.machine.to_string(),
                other: other.path.clone(),
                other_machine: other.object.machine.to_string(),
            });
        }
    }
    Ok((name.0.to_owned(), name.1.map(str::to_owned)))
}

/// `GOARCH` and variant (Go's `internal/goarch`, OCI image specification, "Platform Variants").
fn oci_architecture(object: &Object) -> Option<(&'static str, Option<&'static str>)> {
    // EF_ARM_ABI_FLOAT_HARD (ELF for the Arm architecture, table 4-2): hard float means ARMv7 in
    // practice.
    let hard_float = object.header_flags & 0x400 != 0;
    Some(match (object.machine, object.class, object.endian) {
        (Machine::X86_64, ..) => ("amd64", None),
        (Machine::X86, ..) => ("386", None),
        (Machine::AARCH64, _, Endian::Little) => ("arm64", Some("v8")),
        (Machine::ARM, ..) => ("arm", Some(if hard_float { "v7" } else { "v5" })),
        (Machine::PPC64, _, Endian::Little) => ("ppc64le", None),
        (Machine::S390, Class::Elf64, _) => ("s390x", None),
        (Machine::RISCV, Class::Elf64, _) => ("riscv64", None),
        (Machine::LOONGARCH, Class::Elf64, _) => ("loong64", None),
        _ => return None,
    })
}
