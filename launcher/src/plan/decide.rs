//! From a specification to a plan.

use oci_spec::runtime::{LinuxCapabilities, LinuxNamespaceType, Process as OciProcess, Spec};

use super::{
    CapabilitySets, Ground, Namespace, NamespaceKind, Plan, PlanError, Process, Rlimit, RootPlan,
    Security, files, ids, kernel, mounts, paths, seccomp, sysctls,
};
use crate::cgroup;
use crate::host::Host;
use crate::network::Network;
use crate::spec::{Capability, CapabilitySet, RlimitKind};

/// What will be done to start the container that `spec` describes. Pure: `host` and `ground` are inputs.
pub fn plan(spec: &Spec, ground: &Ground<'_>, host: &Host) -> Result<Plan, PlanError> {
    let namespaces = namespaces(spec)?;
    let has_new = |kind| namespaces.iter().any(|n: &Namespace| n.kind == kind && n.path.is_none());
    let linux = spec.linux().as_ref();
    let id_maps = match (has_new(NamespaceKind::User), host.privileged()) {
        (true, _) => Some(ids::maps(linux, host)?),
        (false, true) => None,
        (false, false) => return Err(PlanError::NeedsUserNamespace),
    };
    let cgroup = cgroup::plan(
        &cgroup::Request {
            id: ground.id,
            path: linux.and_then(|linux| linux.cgroups_path().as_deref()),
            resources: linux.and_then(|linux| linux.resources().as_ref()),
            driver: ground.cgroup_driver,
            annotations: spec.annotations().as_ref(),
            complete: ground.all_controllers,
        },
        host,
    )
    .map_err(PlanError::Cgroup)?;
    let hostname = has_new(NamespaceKind::Uts)
        .then(|| spec.hostname().clone().unwrap_or_else(|| ground.id.to_owned()));
    let mut process = process(spec.process().as_ref().ok_or(PlanError::NoProcess)?)?;
    if let Some(hostname) = &hostname
        && !process.env.iter().any(|entry| entry.starts_with("HOSTNAME="))
    {
        process.env.push(format!("HOSTNAME={hostname}"));
    }
    if let Some(maps) = &id_maps {
        maps.check(&mut process)?;
    }
    let isolated = has_new(NamespaceKind::Network);
    let scope = mounts::Scope { id_maps: id_maps.as_ref(), own_network: isolated, cgroup: &cgroup };
    let mut mounts = mounts::plan(spec, &scope, host)?;
    let resolver = files::resolver(isolated, &mounts)?;
    mounts.extend(resolver);
    let root = root(spec, ground);
    kernel::check(&root, id_maps.as_ref(), host)?;
    let plan = Plan {
        root,
        devices: mounts::devices()?,
        files: files::plan(ground, hostname.as_deref(), isolated, &mounts)?,
        mounts,
        masked: paths::all(linux.and_then(|linux| linux.masked_paths().as_deref()))?,
        readonly: paths::all(linux.and_then(|linux| linux.readonly_paths().as_deref()))?,
        domainname: spec.domainname().clone().filter(|_| has_new(NamespaceKind::Uts)),
        hostname,
        cgroup,
        network: if isolated { Network::Loopback } else { Network::Shared },
        security: security(spec, &namespaces, ground)?,
        process,
        init: ground.init,
        dies_with_parent: ground.foreground,
        id_maps,
        namespaces,
    };
    Ok(plan)
}

/// Each kind once; a mount namespace always.
fn namespaces(spec: &Spec) -> Result<Vec<Namespace>, PlanError> {
    let wanted = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref());
    let mut all: Vec<Namespace> = Vec::new();
    for namespace in wanted.unwrap_or_default() {
        let kind = match namespace.typ() {
            LinuxNamespaceType::User => NamespaceKind::User,
            LinuxNamespaceType::Mount => NamespaceKind::Mount,
            LinuxNamespaceType::Pid => NamespaceKind::Pid,
            LinuxNamespaceType::Ipc => NamespaceKind::Ipc,
            LinuxNamespaceType::Uts => NamespaceKind::Uts,
            LinuxNamespaceType::Network => NamespaceKind::Network,
            LinuxNamespaceType::Cgroup => NamespaceKind::Cgroup,
            LinuxNamespaceType::Time => return Err(PlanError::Namespace("time")),
        };
        if all.iter().any(|known| known.kind == kind) {
            return Err(PlanError::DuplicateNamespace(kind));
        }
        let path = namespace.path().clone();
        // A joined pid namespace takes effect for children only, and joined ids and mounts change what every path of
        // this plan means.
        if path.is_some()
            && matches!(kind, NamespaceKind::Pid | NamespaceKind::User | NamespaceKind::Mount)
        {
            return Err(PlanError::JoinedNamespace(kind));
        }
        all.push(Namespace { kind, path });
    }
    for kind in [NamespaceKind::Mount, NamespaceKind::Pid] {
        if all.iter().all(|namespace| namespace.kind != kind) {
            return Err(PlanError::SharedNamespace(kind));
        }
    }
    Ok(all)
}

fn root(spec: &Spec, ground: &Ground<'_>) -> RootPlan {
    let readonly =
        spec.root().as_ref().and_then(oci_spec::runtime::Root::readonly).unwrap_or(false);
    let lower = ground.snapshot.to_owned();
    match (readonly, ground.mount_points_exist) {
        (true, true) => RootPlan::Bind { lower },
        (true, false) => RootPlan::Sealed { lower },
        (false, _) => RootPlan::Overlay { lower, writable: ground.folder.to_owned() },
    }
}

fn process(process: &OciProcess) -> Result<Process, PlanError> {
    let user = process.user();
    let argv = process.args().clone().unwrap_or_default();
    if argv.is_empty() {
        return Err(PlanError::NoProcess);
    }
    let mut rlimits: Vec<Rlimit> = Vec::new();
    for limit in process.rlimits().as_deref().unwrap_or_default() {
        let name = limit.typ().to_string();
        let kind = name.strip_prefix("RLIMIT_").and_then(RlimitKind::from_name);
        let kind = kind.ok_or(PlanError::Limit(name))?;
        if rlimits.iter().any(|known| known.kind == kind) {
            return Err(PlanError::DuplicateLimit(kind.name()));
        }
        let amount = |value| (value != u64::MAX).then_some(value);
        rlimits.push(Rlimit { kind, soft: amount(limit.soft()), hard: amount(limit.hard()) });
    }
    Ok(Process {
        argv,
        env: process.env().clone().unwrap_or_default(),
        cwd: paths::one(process.cwd())?,
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().clone().unwrap_or_default(),
        umask: user.umask().unwrap_or(0o022),
        rlimits,
        terminal: process.terminal().unwrap_or(false),
        console_size: process.console_size().and_then(|size| {
            Some((u16::try_from(size.width()).ok()?, u16::try_from(size.height()).ok()?))
        }),
        oom_score_adj: process.oom_score_adj(),
    })
}

fn security(
    spec: &Spec,
    namespaces: &[Namespace],
    ground: &Ground<'_>,
) -> Result<Security, PlanError> {
    let process = spec.process().as_ref().ok_or(PlanError::NoProcess)?;
    let capabilities = capability_sets(process.capabilities().as_ref());
    let linux = spec.linux().as_ref();
    let profile = match linux.and_then(|linux| linux.seccomp().clone()) {
        Some(profile) => Some(profile),
        None if ground.default_seccomp => Some(seccomp::default_profile(capabilities.bounding)),
        None => None,
    };
    let wanted = linux.and_then(|linux| linux.sysctl().as_ref());
    Ok(Security {
        capabilities,
        no_new_privs: process.no_new_privileges().unwrap_or(false),
        seccomp: profile.as_ref().map(seccomp::compile).transpose().map_err(PlanError::Seccomp)?,
        sysctls: sysctls::plan(wanted, namespaces)?,
    })
}

/// What is not given is empty: nothing is held that was not asked for.
fn capability_sets(sets: Option<&LinuxCapabilities>) -> CapabilitySets {
    let set = |list: Option<&oci_spec::runtime::Capabilities>| -> CapabilitySet {
        // Collected into a set of bits, so the order of the hash set does not matter.
        let all = list.map(|list| {
            Capability::ALL.iter().copied().filter(|one| {
                one.name()
                    .strip_prefix("CAP_")
                    .and_then(|name| name.parse().ok())
                    .is_some_and(|name: oci_spec::runtime::Capability| list.contains(&name))
            })
        });
        all.into_iter().flatten().collect()
    };
    let Some(sets) = sets else { return CapabilitySets::default() };
    CapabilitySets {
        bounding: set(sets.bounding().as_ref()),
        effective: set(sets.effective().as_ref()),
        permitted: set(sets.permitted().as_ref()),
        inheritable: set(sets.inheritable().as_ref()),
        ambient: set(sets.ambient().as_ref()),
    }
}
