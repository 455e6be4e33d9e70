//! Which devices of the host go into the container's network namespace.

use std::collections::{BTreeMap, HashMap};

use oci_spec::runtime::{Linux, LinuxNetDevice};

use super::{Namespace, NamespaceKind, PlanError};
use crate::host::Host;
use crate::network::NetworkDevice;

/// Those of a specification.
pub(super) fn of(
    linux: Option<&Linux>,
    namespaces: &[Namespace],
    host: &Host,
) -> Result<Vec<NetworkDevice>, PlanError> {
    devices(linux.and_then(|linux| linux.net_devices().as_ref()), namespaces, host)
}

/// By name. They can be given to a namespace that is not the launcher's own only, and only by who owns them.
fn devices(
    wanted: Option<&HashMap<String, LinuxNetDevice>>,
    namespaces: &[Namespace],
    host: &Host,
) -> Result<Vec<NetworkDevice>, PlanError> {
    let wanted: BTreeMap<_, _> = wanted.into_iter().flatten().collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let own = namespaces.iter().find(|one| one.kind == NamespaceKind::Network);
    if own.is_none_or(|it| it.path.as_deref().is_some_and(|path| host.is_in_namespace("net", path)))
    {
        return Err(PlanError::NetworkDevices("the container has no network namespace of its own"));
    }
    if !host.privileged() {
        return Err(PlanError::NetworkDevices("only root can give devices of the host away"));
    }
    let mut all: Vec<NetworkDevice> = Vec::with_capacity(wanted.len());
    for (name, device) in wanted {
        let inside = device.name().as_ref().filter(|inside| !inside.is_empty()).unwrap_or(name);
        // A `%` other than that of a `%d` is a name that the kernel refuses.
        let plain = inside.replacen("%d", "0", 1);
        for (text, name) in [(name.as_str(), name), (plain.as_str(), inside)] {
            if !is_name(text) {
                return Err(PlanError::NetworkDeviceName(name.clone()));
            }
        }
        if all.iter().any(|known| known.inside == *inside && !inside.contains('%')) {
            return Err(PlanError::NetworkDevices("two devices have the same name inside"));
        }
        all.push(NetworkDevice { name: name.clone(), inside: inside.clone() });
    }
    Ok(all)
}

/// As the kernel has it (`dev_valid_name` of net/core/dev.c): shorter than 16 bytes, and a file of sysfs.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%');
    (1..16).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::{Value, json};

    use super::*;
    use crate::host::{Kernel, Layout};

    fn planned(wanted: &Value, path: Option<&str>, uid: u32) -> Result<String, String> {
        let wanted = serde_json::from_value(wanted.clone()).unwrap();
        let namespaces =
            [Namespace { kind: NamespaceKind::Network, path: path.map(PathBuf::from) }];
        let host = Host::made_up(uid, Kernel::new(6, 1), Layout::default());
        let all = devices(Some(&wanted), &namespaces, &host).map_err(|error| error.to_string())?;
        let words: Vec<String> =
            all.iter().map(|it| format!("{}>{}", it.name, it.inside)).collect();
        Ok(words.join(" "))
    }

    #[test]
    fn devices_go_by_their_names_into_a_namespace_of_the_containers_own() {
        let check = |wanted: Value, expected: Result<&str, &str>| match (
            planned(&wanted, None, 0),
            expected,
        ) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            (found, _) => panic!("{wanted}: {found:?}"),
        };
        check(json!({}), Ok(""));
        check(json!({"b": {"name": "eth0"}, "a": {}}), Ok("a>a b>eth0"));
        check(json!({"a": {"name": ""}}), Ok("a>a"));
        check(json!({"a": {"name": "eth%d"}, "b": {"name": "eth%d"}}), Ok("a>eth%d b>eth%d"));
        check(json!({"a": {"name": "x"}, "b": {"name": "x"}}), Err("same name"));
        for name in ["a/b", "..", "a b", "a:b", "0123456789abcdef", "%s", "%d%d", "\u{1}"] {
            check(json!({"a": {"name": name}}), Err("no name"));
        }
        check(json!({"%d": {}}), Err("no name"));
        let one = json!({"a": {}});
        assert!(planned(&one, None, 1000).unwrap_err().contains("only root"));
        assert!(planned(&one, Some("/proc/self/ns/net"), 0).unwrap_err().contains("of its own"));
        assert!(planned(&one, Some("/proc/self/ns/ipc"), 0).is_ok());
    }
}
