//! A specification to start from: what `paddle spec` writes.

use serde_json::{Value, json};

/// The whole of it, as JSON.
const TEXT: &str = include_str!("example.json");

/// The example; for an ordinary user, `rootless` is the user and group outside who is root inside. Without `cgroup_namespace` (engines
/// make none on a host with version 1) a container sees its groups as the host does.
///
/// # Errors
/// None: the text is part of this program, and a test reads it.
pub fn example(
    rootless: Option<(u32, u32)>,
    cgroup_namespace: bool,
) -> Result<String, serde_json::Error> {
    if rootless.is_none() && cgroup_namespace {
        return Ok(TEXT.to_owned());
    }
    let mut spec: Value = serde_json::from_str(TEXT)?;
    if !cgroup_namespace && let Some(list) = spec["linux"]["namespaces"].as_array_mut() {
        list.retain(|namespace| namespace["type"] != "cgroup");
    }
    if let Some((uid, gid)) = rootless {
        make_rootless(&mut spec, uid, gid);
    }
    let mut text = serde_json::to_string_pretty(&spec)?;
    text.push('\n');
    Ok(text)
}

/// What an ordinary user cannot have goes: limits (which may not be delegated), ids other than root's, a `sysfs` of a
/// network that is the host's.
fn make_rootless(spec: &mut Value, uid: u32, gid: u32) {
    let map = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
    spec["linux"]["uidMappings"] = map(uid);
    spec["linux"]["gidMappings"] = map(gid);
    if let Some(linux) = spec["linux"].as_object_mut() {
        linux.remove("resources");
    }
    if let Some(namespaces) = spec["linux"]["namespaces"].as_array_mut() {
        namespaces.retain(|namespace| namespace["type"] != "network");
        namespaces.push(json!({ "type": "user" }));
    }
    for mount in spec["mounts"].as_array_mut().into_iter().flatten() {
        if mount["destination"] == "/sys" {
            *mount = json!({
                "destination": "/sys",
                "type": "none",
                "source": "/sys",
                "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]
            });
        }
        if let Some(options) = mount["options"].as_array_mut() {
            options.retain(|option| option != "gid=5");
        }
    }
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::{LinuxNamespaceType, Spec};

    use super::*;

    fn parsed(rootless: Option<(u32, u32)>) -> Spec {
        serde_json::from_str(&example(rootless, true).unwrap()).unwrap()
    }

    #[test]
    fn a_namespace_of_cgroups_is_left_out_where_it_is_not_wanted() {
        for rootless in [None, Some((1000, 1001))] {
            for wanted in [false, true] {
                let text = example(rootless, wanted).unwrap();
                let spec: Spec = serde_json::from_str(&text).unwrap();
                let list = spec.linux().as_ref().unwrap().namespaces().clone().unwrap();
                let has = list.iter().any(|one| one.typ() == LinuxNamespaceType::Cgroup);
                assert_eq!(has, wanted, "{text}");
            }
        }
    }

    #[test]
    fn the_example_is_a_specification() {
        let spec = parsed(None);
        assert_eq!(spec.version(), "1.3.0");
        assert_eq!(spec.process().as_ref().unwrap().args().as_deref().unwrap(), ["sh"]);
        assert!(spec.linux().as_ref().unwrap().uid_mappings().is_none());
    }

    #[test]
    fn an_ordinary_users_example_asks_for_nothing_that_he_cannot_have() {
        let spec = parsed(Some((1000, 1001)));
        let linux = spec.linux().as_ref().unwrap();
        let kinds: Vec<_> = linux
            .namespaces()
            .iter()
            .flatten()
            .map(oci_spec::runtime::LinuxNamespace::typ)
            .collect();
        assert!(kinds.contains(&LinuxNamespaceType::User));
        assert!(!kinds.contains(&LinuxNamespaceType::Network));
        assert_eq!(linux.uid_mappings().as_ref().unwrap()[0].host_id(), 1000);
        assert_eq!(linux.gid_mappings().as_ref().unwrap()[0].host_id(), 1001);
        assert!(linux.resources().is_none());
        let mounts = serde_json::to_string(spec.mounts()).unwrap();
        assert!(!mounts.contains("gid=5") && !mounts.contains("sysfs"), "{mounts}");
    }
}
