//! From a specification to a plan.

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use super::{
    Ground, Namespace, NamespaceKind, Plan, PlanError, RootPlan, Security, Wanted, below, ids,
    kernel, paths, process, security, sysctls,
};
use crate::cgroup;
use crate::host::Host;
use crate::network::Network;

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
    let given = spec.process().as_ref().ok_or(PlanError::NoProcess)?;
    let mut process = process(given, linux)?;
    if let Some(hostname) = &hostname
        && !process.env.iter().any(|entry| entry.starts_with("HOSTNAME="))
    {
        process.env.push(format!("HOSTNAME={hostname}"));
    }
    if let Some(maps) = &id_maps {
        maps.check(&mut process)?;
    }
    let isolated = has_new(NamespaceKind::Network);
    let known = (&*namespaces, id_maps.as_ref(), &cgroup, hostname.as_deref());
    let below = below::plan(spec, known, ground, host)?;
    let root = root(spec, ground);
    kernel::check(&root, id_maps.as_ref(), host)?;
    let plan = Plan {
        root,
        propagation: below.propagation,
        mounts: below.mounts,
        sources: below.sources,
        devices: below.devices,
        links: below.links,
        files: below.files,
        masked: paths::all(linux.and_then(|linux| linux.masked_paths().as_deref()))?,
        readonly: paths::all(linux.and_then(|linux| linux.readonly_paths().as_deref()))?,
        domainname: spec.domainname().clone().filter(|_| has_new(NamespaceKind::Uts)),
        hostname,
        cgroup,
        network: if isolated { Network::Loopback } else { Network::Shared },
        security: rights(spec, ground, host, &namespaces)?,
        process,
        init: ground.init,
        dies_with_parent: ground.foreground,
        no_pivot: ground.no_pivot,
        id_maps,
        namespaces,
    };
    Ok(plan)
}

fn rights(
    spec: &Spec,
    ground: &Ground<'_>,
    host: &Host,
    namespaces: &[Namespace],
) -> Result<Security, PlanError> {
    let process = spec.process().as_ref().ok_or(PlanError::NoProcess)?;
    let linux = spec.linux().as_ref();
    let wanted = Wanted {
        id: ground.id,
        default_seccomp: ground.default_seccomp,
        session_keyring: ground.session_keyring,
        user_namespace: namespaces.iter().any(|one| one.kind == NamespaceKind::User),
        bundle: ground.bundle_folder,
        annotations: spec.annotations().as_ref(),
    };
    let sysctls = sysctls::plan(linux.and_then(|linux| linux.sysctl().as_ref()), namespaces, host)?;
    Ok(Security { sysctls, ..security(process, linux, wanted, host)? })
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
    if ground.bundle {
        return RootPlan::Folder { path: lower, readonly };
    }
    match (readonly, ground.mount_points_exist) {
        (true, true) => RootPlan::Bind { lower },
        (true, false) => RootPlan::Sealed { lower },
        (false, _) => RootPlan::Overlay { lower, writable: ground.folder.to_owned() },
    }
}
