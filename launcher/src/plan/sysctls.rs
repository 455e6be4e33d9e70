//! Which kernel parameters a container may set: those that belong to a namespace of its own (R10; CVE-2022-0811 was a
//! runtime that passed any on).

use std::collections::{BTreeMap, HashMap};

use super::{Namespace, NamespaceKind, PlanError};

/// The wanted ones, each checked against the namespaces that are new.
pub(super) fn plan(
    wanted: Option<&HashMap<String, String>>,
    namespaces: &[Namespace],
) -> Result<BTreeMap<String, String>, PlanError> {
    let all: BTreeMap<String, String> =
        wanted.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    for name in all.keys() {
        let owned = owner(name).is_some_and(|kind| {
            namespaces.iter().any(|known| known.kind == kind && known.path.is_none())
        });
        if !owned {
            return Err(PlanError::Sysctl(name.escape_debug().to_string()));
        }
    }
    Ok(all)
}

/// The kind of namespace that has a parameter of this name (namespaces(7), sysctl documentation of the kernel).
fn owner(name: &str) -> Option<NamespaceKind> {
    // Dots separate; a slash or an empty part could lead elsewhere.
    if name.contains(['/', '\0']) || name.split('.').any(str::is_empty) {
        return None;
    }
    match name {
        "kernel.msgmax"
        | "kernel.msgmnb"
        | "kernel.msgmni"
        | "kernel.sem"
        | "kernel.shmall"
        | "kernel.shmmax"
        | "kernel.shmmni"
        | "kernel.shm_rmid_forced" => Some(NamespaceKind::Ipc),
        _ if name.starts_with("fs.mqueue.") => Some(NamespaceKind::Ipc),
        _ if name.starts_with("net.") => Some(NamespaceKind::Network),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parameters_of_own_namespaces_pass() {
        let own = |kinds: &[NamespaceKind]| {
            kinds.iter().map(|&kind| Namespace { kind, path: None }).collect::<Vec<_>>()
        };
        let check = |name: &str, kinds: &[NamespaceKind], passes: bool| {
            let wanted = HashMap::from([(name.to_owned(), "1".to_owned())]);
            assert_eq!(plan(Some(&wanted), &own(kinds)).is_ok(), passes, "{name}");
        };
        check("net.ipv4.ip_forward", &[NamespaceKind::Network], true);
        check("net.ipv4.ip_forward", &[NamespaceKind::Ipc], false);
        check("kernel.shmmax", &[NamespaceKind::Ipc], true);
        check("fs.mqueue.msg_max", &[NamespaceKind::Ipc], true);
        check("kernel.core_pattern", &[NamespaceKind::Ipc, NamespaceKind::Network], false);
        check("net/../kernel/core_pattern", &[NamespaceKind::Network], false);
        check("net...kernel.core_pattern", &[NamespaceKind::Network], false);
        check("vm.overcommit_memory", &[NamespaceKind::Network], false);
    }
}
