//! `paddle features`: what this build can do, as the runtime specification's features structure (features.md). Callers ask
//! before they use something.
//!
//! Every list comes from the table that the parser of that field uses, so that it cannot promise more.

use std::collections::BTreeMap;

use clap::Args;
use common::report::ExitCode;
use serde::Serialize;

use super::Done;
use super::output::print_json;
use crate::plan::{self, HookKind, NamespaceKind, seccomp};
use crate::spec::{Capability, OCI_VERSION};

/// Print what this runtime can do, as JSON (the runtime specification's features structure).
#[derive(Debug, Args)]
pub(super) struct Arguments {}

/// Prints it.
pub(super) fn run() -> Done {
    print_json(&Features::of_this_build())?;
    Ok(ExitCode::Ok.into())
}

impl Features {
    fn of_this_build() -> Self {
        Self {
            // The first of its major version, all of which is accepted.
            oci_version_min: "1.0.0",
            oci_version_max: OCI_VERSION,
            hooks: HookKind::ALL.map(HookKind::name).to_vec(),
            mount_options: plan::mount_options(),
            linux: Linux::of_this_build(),
            annotations: [("dev.coracle.paddle.version", env!("CARGO_PKG_VERSION"))].into(),
            // Those of the first kind become properties of the container's scope.
            potentially_unsafe_config_annotations: vec!["org.systemd.property.", plan::KEEP_GROUPS],
        }
    }
}

impl Linux {
    fn of_this_build() -> Self {
        const YES: Enabled = Enabled { enabled: true };
        let mut namespaces = NamespaceKind::ALL.map(NamespaceKind::name).to_vec();
        namespaces.sort_unstable();
        Self {
            namespaces,
            capabilities: Capability::ALL.iter().map(|one| one.name().to_owned()).collect(),
            cgroup: Cgroup { v1: true, v2: true, systemd: true, systemd_user: true, rdma: true },
            seccomp: Seccomp {
                enabled: true,
                actions: seccomp::actions(),
                operators: seccomp::operators(),
                archs: seccomp::architectures(),
                known_flags: seccomp::known_flags(),
                supported_flags: seccomp::supported_flags(),
            },
            apparmor: YES,
            selinux: YES,
            intel_rdt: IntelRdt { enabled: true, schemata: true, monitoring: true },
            memory_policy: MemoryPolicy {
                modes: plan::memory_policy_modes(),
                flags: plan::memory_policy_flags(),
            },
            mount_extensions: MountExtensions { idmap: YES },
            net_devices: YES,
        }
    }
}

/// features.md.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Features {
    oci_version_min: &'static str,
    oci_version_max: &'static str,
    hooks: Vec<&'static str>,
    mount_options: Vec<&'static str>,
    linux: Linux,
    annotations: BTreeMap<&'static str, &'static str>,
    potentially_unsafe_config_annotations: Vec<&'static str>,
}

/// features-linux.md.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    namespaces: Vec<&'static str>,
    capabilities: Vec<String>,
    cgroup: Cgroup,
    seccomp: Seccomp,
    apparmor: Enabled,
    selinux: Enabled,
    intel_rdt: IntelRdt,
    memory_policy: MemoryPolicy,
    mount_extensions: MountExtensions,
    net_devices: Enabled,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "features-linux.md has them")]
struct Cgroup {
    v1: bool,
    v2: bool,
    systemd: bool,
    systemd_user: bool,
    rdma: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Seccomp {
    enabled: bool,
    actions: Vec<String>,
    operators: Vec<String>,
    archs: Vec<String>,
    known_flags: Vec<String>,
    supported_flags: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Debug, Serialize)]
struct IntelRdt {
    enabled: bool,
    schemata: bool,
    monitoring: bool,
}

#[derive(Debug, Serialize)]
struct MemoryPolicy {
    modes: Vec<String>,
    flags: Vec<String>,
}

#[derive(Debug, Serialize)]
struct MountExtensions {
    idmap: Enabled,
}
