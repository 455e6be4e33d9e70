//! From a specification to a plan.

use oci_spec::runtime::{Process as OciProcess, Spec};

use super::{
    Affinity, Ground, IdMaps, Namespace, NamespaceKind, Plan, PlanError, Process, RootPlan,
    Security, Wanted, below, hooks, ids, kernel, namespaces, network, process, rdt, security,
    sysctls,
};
use crate::cgroup::{self, CgroupPlan};
use crate::host::Host;
use crate::network::Network;

/// What will be done to start the container that `spec` describes. Pure: `host` and `ground` are inputs.
pub fn plan(spec: &Spec, ground: &Ground<'_>, host: &Host) -> Result<Plan, PlanError> {
    let namespaces = namespaces::all(spec)?;
    let linux = spec.linux().as_ref();
    let id_maps = id_maps(spec, &namespaces, ground, host)?;
    let mut cgroup = groups(spec, ground, host)?;
    if let Some(owner) = cgroup_owner(spec, &namespaces, id_maps.as_ref(), host) {
        cgroup.hand_to(owner);
    }
    let (hostname, domainname) = names(spec, &namespaces, ground)?;
    let given = match spec.process() {
        Some(process) => process.clone(),
        None if ground.bundle => nothing(),
        None => return Err(PlanError::NoProcess),
    };
    let process = program(spec, &given, ground, hostname.as_deref(), id_maps.as_ref())?;
    let isolated = namespaces.iter().any(|n| n.kind == NamespaceKind::Network && n.path.is_none());
    let known = (&*namespaces, id_maps.as_ref(), &cgroup, hostname.as_deref());
    let below = below::plan(spec, known, ground, host)?;
    let root = root(spec, ground);
    kernel::check(&root, id_maps.as_ref(), below.is_detached(&namespaces), host)?;
    let plan = Plan {
        root,
        lower: ground.format,
        propagation: below.propagation,
        mounts: below.mounts,
        sources: below.sources,
        devices: below.devices,
        links: below.links,
        files: below.files,
        masked: below.masked,
        readonly: below.readonly,
        domainname,
        hostname,
        cgroup,
        network: if isolated { Network::Loopback } else { Network::Shared },
        network_devices: network::of(linux, &namespaces, host)?,
        rdt: rdt::of(linux, ground.id, host)?,
        security: rights(spec, &given, ground, host, &namespaces)?,
        process,
        init: ground.init,
        dies_with_parent: ground.foreground,
        no_pivot: ground.no_pivot,
        time_offsets: namespaces::time_offsets(spec, &namespaces)?,
        hooks: hooks::hooks_of(spec)?,
        preserved_descriptors: ground.preserved_descriptors,
        id_maps,
        namespaces,
    };
    Ok(plan)
}

/// What waits in the container of a bundle without a process, which is never started.
fn nothing() -> OciProcess {
    let mut process = OciProcess::default();
    process.set_args(None).set_env(None).set_rlimits(None).set_capabilities(None);
    process
}

/// The program; an image's is told its host name.
fn program(
    spec: &Spec,
    given: &OciProcess,
    ground: &Ground<'_>,
    hostname: Option<&str>,
    id_maps: Option<&IdMaps>,
) -> Result<Process, PlanError> {
    let mut process = process(given, spec.linux().as_ref())?;
    process.own_streams = ground.bundle;
    process.keep_groups_as_annotated(spec);
    if ground.bundle {
        process.affinity = Affinity::of_the_cgroup();
    }
    if let Some(hostname) = hostname.filter(|_| !ground.bundle)
        && !process.env.iter().any(|entry| entry.starts_with("HOSTNAME="))
    {
        process.env.push(format!("HOSTNAME={hostname}"));
    }
    if let Some(maps) = id_maps {
        maps.check(&mut process)?;
    }
    Ok(process)
}

fn rights(
    spec: &Spec,
    process: &OciProcess,
    ground: &Ground<'_>,
    host: &Host,
    namespaces: &[Namespace],
) -> Result<Security, PlanError> {
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
    sysctls::check_domainname(&sysctls, spec.domainname().as_deref())?;
    Ok(Security { sysctls, ..security(process, linux, wanted, host)? })
}

/// The maps of a new user namespace. Without one the launcher has to be root where it is, or join one.
fn id_maps(
    spec: &Spec,
    namespaces: &[Namespace],
    ground: &Ground<'_>,
    host: &Host,
) -> Result<Option<IdMaps>, PlanError> {
    match namespaces.iter().find(|namespace| namespace.kind == NamespaceKind::User) {
        Some(Namespace { path: None, .. }) => {
            ids::maps(spec.linux().as_ref(), ground, host).map(Some)
        }
        None if host.uid() != 0 => Err(PlanError::NeedsUserNamespace),
        _ => Ok(None),
    }
}

fn groups(spec: &Spec, ground: &Ground<'_>, host: &Host) -> Result<CgroupPlan, PlanError> {
    let linux = spec.linux().as_ref();
    let request = cgroup::Request {
        id: ground.id,
        path: linux.and_then(|linux| linux.cgroups_path().as_deref()),
        resources: linux.and_then(|linux| linux.resources().as_ref()),
        driver: ground.cgroup_driver,
        annotations: spec.annotations().as_ref(),
        complete: ground.all_controllers,
    };
    cgroup::plan(&request, host).map_err(PlanError::Cgroup)
}

/// Who owns the container's v2 group, where it shall be able to make groups of its own: it is root of its own ids, sees its
/// group as the root of all, and may write there (config-linux.md, "Cgroup ownership").
fn cgroup_owner(
    spec: &Spec,
    namespaces: &[Namespace],
    id_maps: Option<&IdMaps>,
    host: &Host,
) -> Option<u32> {
    let has_new = |kind| namespaces.iter().any(|one| one.kind == kind && one.path.is_none());
    let writable = |mount: &oci_spec::runtime::Mount| {
        matches!(mount.typ().as_deref(), Some("cgroup" | "cgroup2"))
            && mount.destination().as_os_str() == "/sys/fs/cgroup"
            && !mount.options().iter().flatten().any(|option| option == "ro")
    };
    let asked = has_new(NamespaceKind::Cgroup) && spec.mounts().iter().flatten().any(writable);
    let maps = id_maps.filter(|_| asked && host.privileged())?;
    ids::outside(&maps.uids, spec.process().as_ref()?.user().uid())
}

/// Host and domain name, which need a namespace that is not the launcher's. An image's container is called as its id.
fn names(
    spec: &Spec,
    namespaces: &[Namespace],
    ground: &Ground<'_>,
) -> Result<(Option<String>, Option<String>), PlanError> {
    let given = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    let (hostname, domainname) = (given(spec.hostname()), given(spec.domainname()));
    if !namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::Uts) {
        return match hostname.or(domainname) {
            Some(name) if ground.bundle => Err(PlanError::Hostname(name)),
            _ => Ok((None, None)),
        };
    }
    let default = (!ground.bundle).then(|| ground.id.to_owned());
    Ok((hostname.or(default), domainname))
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
