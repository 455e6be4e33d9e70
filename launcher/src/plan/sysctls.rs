//! Which kernel parameters a container may set: those that belong to a namespace of its own (R10; CVE-2022-0811 was a
//! runtime that passed any on).

use std::collections::{BTreeMap, HashMap};

use super::{Namespace, NamespaceKind, PlanError};
use crate::host::Host;

/// The wanted ones, by their path below `/proc/sys`, each checked against the namespaces that are not the launcher's.
pub(super) fn plan(
    wanted: Option<&HashMap<String, String>>,
    namespaces: &[Namespace],
    host: &Host,
) -> Result<BTreeMap<String, String>, PlanError> {
    let mut all = BTreeMap::new();
    // Sorted, so that the first that is refused is the same each time.
    let wanted: BTreeMap<_, _> = wanted.into_iter().flatten().collect();
    for (name, value) in wanted {
        let refused = || PlanError::Sysctl(name.escape_debug().to_string());
        let path = path(name).ok_or_else(refused)?;
        let (kind, file) = owner(&path).ok_or_else(refused)?;
        let own = namespaces.iter().find(|known| known.kind == kind).is_some_and(|known| {
            // A namespace that is joined may be the launcher's own, by another name.
            known.path.as_deref().is_none_or(|path| !host.is_in_namespace(file, path))
        });
        if !own || all.insert(path, value.clone()).is_some() {
            return Err(refused());
        }
    }
    Ok(all)
}

/// The domain name can be said twice, but not in two ways.
pub(super) fn check_domainname(
    sysctls: &BTreeMap<String, String>,
    domainname: Option<&str>,
) -> Result<(), PlanError> {
    match (sysctls.get("kernel/domainname"), domainname.filter(|name| !name.is_empty())) {
        (Some(one), Some(other)) if one != other => Err(PlanError::TwoDomainNames),
        _ => Ok(()),
    }
}

/// As `sysctl(8)` reads a name: whichever of `.` and `/` comes first separates, and the other one stands for it within a
/// part (`net/ipv4/conf/eth0.100/forwarding`). An empty part, or one that a path reads otherwise, could lead elsewhere.
fn path(name: &str) -> Option<String> {
    let dots = name.find(['.', '/']).is_some_and(|at| name[at..].starts_with('.'));
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    let path: String = if dots { name.chars().map(swap).collect() } else { name.to_owned() };
    let sane = !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    sane.then_some(path)
}

/// The kind of namespace that has a parameter of this path, and its name in `/proc/self/ns` (namespaces(7), sysctl
/// documentation of the kernel).
fn owner(path: &str) -> Option<(NamespaceKind, &'static str)> {
    const IPC: Option<(NamespaceKind, &str)> = Some((NamespaceKind::Ipc, "ipc"));
    match path {
        "kernel/msgmax"
        | "kernel/msgmnb"
        | "kernel/msgmni"
        | "kernel/sem"
        | "kernel/shmall"
        | "kernel/shmmax"
        | "kernel/shmmni"
        | "kernel/shm_rmid_forced" => IPC,
        // The host name has a field of its own in the specification, and two words for it could differ.
        "kernel/domainname" => Some((NamespaceKind::Uts, "uts")),
        _ if path.starts_with("fs/mqueue/") => IPC,
        _ if path.starts_with("net/") => Some((NamespaceKind::Network, "net")),
        _ if path.starts_with("user/") => Some((NamespaceKind::User, "user")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn check(name: &str, namespaces: &[Namespace], expected: Option<&str>) {
        let wanted = HashMap::from([(name.to_owned(), "1".to_owned())]);
        let host = Host::probe().unwrap();
        let planned = plan(Some(&wanted), namespaces, &host).ok();
        let planned = planned.map(|all| all.into_keys().next().unwrap());
        assert_eq!(planned.as_deref(), expected, "{name}");
    }

    #[test]
    fn only_parameters_of_own_namespaces_pass() {
        use NamespaceKind::{Ipc, Network, User, Uts};
        let own = |kinds: &[NamespaceKind]| {
            kinds.iter().map(|&kind| Namespace { kind, path: None }).collect::<Vec<_>>()
        };
        let all = own(&[Ipc, Network, User, Uts]);
        check("net.ipv4.ip_forward", &own(&[Network]), Some("net/ipv4/ip_forward"));
        check("net.ipv4.ip_forward", &own(&[Ipc]), None);
        check("net/ipv4/ip_forward", &own(&[Network]), Some("net/ipv4/ip_forward"));
        check("net/ipv4/conf/e.1/forwarding", &all, Some("net/ipv4/conf/e.1/forwarding"));
        check("net.ipv4.conf.e/1.forwarding", &all, Some("net/ipv4/conf/e.1/forwarding"));
        check("kernel.shmmax", &own(&[Ipc]), Some("kernel/shmmax"));
        check("kernel.sem", &own(&[Network]), None);
        check("fs.mqueue.msg_max", &own(&[Ipc]), Some("fs/mqueue/msg_max"));
        check("kernel.domainname", &own(&[Uts]), Some("kernel/domainname"));
        check("kernel.domainname", &own(&[Ipc]), None);
        check("kernel.hostname", &all, None);
        check("user.max_pid_namespaces", &own(&[User]), Some("user/max_pid_namespaces"));
        check("user.max_pid_namespaces", &own(&[Ipc]), None);
        check("vm.overcommit_memory", &all, None);
        check("kernel.core_pattern", &all, None);
        for attack in [
            "net/../kernel/core_pattern",
            "net...kernel.core_pattern",
            "net.//.kernel.core_pattern",
            "net/./x",
            "net.",
            "net//x",
            "net.x\0y",
            "",
        ] {
            check(attack, &all, None);
        }
    }

    #[test]
    fn a_joined_namespace_may_be_the_hosts_own() {
        let joined = |path: &str| {
            [Namespace { kind: NamespaceKind::Network, path: Some(PathBuf::from(path)) }]
        };
        check("net.ipv4.ip_forward", &joined("/proc/self/ns/net"), None);
        check("net.ipv4.ip_forward", &joined("/proc/self/ns/ipc"), Some("net/ipv4/ip_forward"));
    }

    #[test]
    fn one_parameter_by_two_names_is_refused() {
        let wanted = ["net.ipv4.ip_forward", "net/ipv4/ip_forward"];
        let wanted = wanted.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect();
        let own = [Namespace { kind: NamespaceKind::Network, path: None }];
        assert!(plan(Some(&wanted), &own, &Host::probe().unwrap()).is_err());
    }
}
