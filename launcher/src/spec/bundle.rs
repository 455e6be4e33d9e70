//! `Bundle`: a folder with a `config.json`, as engines hand it to an OCI runtime (runtime-spec, bundle and config).
//!
//! Read as strictly as its types demand, and as tolerantly as callers expect: `null` stands for what is not there, unknown
//! properties and capabilities are passed over (the latter with a warning), newer and older versions of 1.x are fine.
//! What the host can do of it is `plan`'s to say.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use common::escape::Escaped;
use oci_spec::runtime::{LinuxNamespaceType, Process, Spec};
use serde_json::{Map, Value};

use super::{Capability, CapabilitySet, SpecError, validate};

/// No configuration is larger (R11).
const LIMIT: u64 = 16 << 20;
/// Room for most: with it from the start two reads are enough.
const ROOM: usize = 16 << 10;

/// Where a bundle's configuration is.
pub const CONFIG: &str = "config.json";

/// A bundle, read.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Its folder, absolute.
    pub path: PathBuf,
    /// Its configuration. `root.path` is absolute.
    pub spec: Spec,
    /// What was passed over.
    pub passed_over: PassedOver,
}

/// What was passed over in a configuration, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// A person should know.
    pub warnings: Vec<String>,
    /// Other runtimes say nothing of it, and engines ask for it as a matter of course (buildah for each `RUN`, whose output
    /// standard error is part of): for the log, if there is one.
    pub notes: Vec<String>,
}

impl Bundle {
    /// Reads the bundle in this folder. Its configuration is `config`, `config.json` where that is not said.
    pub fn load(folder: &Path, config: Option<&Path>) -> Result<Self, SpecError> {
        let bundle = |source| SpecError::Bundle { path: folder.to_owned(), source };
        let path = std::fs::canonicalize(folder).map_err(bundle)?;
        let file = path.join(config.unwrap_or(Path::new(CONFIG)));
        let failed = |source| SpecError::Bundle { path: file.clone(), source };
        let mut text = Vec::with_capacity(ROOM);
        File::open(&file)
            .and_then(|opened| opened.take(LIMIT + 1).read_to_end(&mut text))
            .map_err(failed)?;
        if text.len() as u64 > LIMIT {
            return Err(SpecError::TooLarge { file: "config.json", limit: LIMIT });
        }
        let (mut spec, passed_over) = parse(&text, held())?;
        let mut root = spec.root().clone().ok_or(SpecError::NoRoot)?;
        if root.path().as_os_str().is_empty() {
            return Err(SpecError::NoRoot);
        }
        root.set_path(path.join(root.path()));
        spec.set_root(Some(root));
        Ok(Self { path, spec, passed_over })
    }
}

/// What this process may do, and so can give to another.
fn held() -> CapabilitySet {
    rustix::thread::capabilities(None)
        .map_or(CapabilitySet::all(), |sets| CapabilitySet::from_bits(sets.permitted.bits()))
}

/// A configuration from its text, and what was passed over in it. `held` are the capabilities of who makes the container.
pub(crate) fn parse(text: &[u8], held: CapabilitySet) -> Result<(Spec, PassedOver), SpecError> {
    let mut value: Value = serde_json::from_slice(text).map_err(SpecError::Json)?;
    let mut passed_over = PassedOver::default();
    drop_nulls(&mut value);
    version(&value)?;
    let grantable = if has_user_namespace(&value) { CapabilitySet::all() } else { held };
    if let Some(process) = value.get_mut("process") {
        known_process(process, grantable, &mut passed_over);
    }
    let spec: Spec = serde_json::from_value(value).map_err(SpecError::Json)?;
    for mount in spec.mounts().iter().flatten().filter(|mount| mount.destination().is_relative()) {
        let path = Escaped(mount.destination().as_os_str().as_encoded_bytes());
        passed_over
            .warnings
            .push(format!("the mount's destination `{path}` is not absolute: taken from the root"));
    }
    validate::platform(&spec)?;
    validate::strings(&spec)?;
    validate::process(&spec)?;
    Ok((spec, passed_over))
}

/// In one, whoever comes first has all capabilities (`user_namespaces(7)`).
fn has_user_namespace(value: &Value) -> bool {
    let list = value.pointer("/linux/namespaces").and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|one| one["type"] == "user"))
}

/// A process from its text, as callers hand it to `exec` for a container with this configuration, and what was passed over
/// in it.
///
/// # Errors
/// It is none.
pub fn parse_process(text: &[u8], container: &Spec) -> Result<(Process, PassedOver), SpecError> {
    let namespaces = container.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    let inside =
        namespaces.is_some_and(|list| list.iter().any(|one| one.typ() == LinuxNamespaceType::User));
    let grantable = if inside { CapabilitySet::all() } else { held() };
    let mut value: Value = serde_json::from_slice(text).map_err(SpecError::Json)?;
    let mut passed_over = PassedOver::default();
    drop_nulls(&mut value);
    known_process(&mut value, grantable, &mut passed_over);
    let process: Process = serde_json::from_value(value).map_err(SpecError::Json)?;
    let mut spec = Spec::default();
    spec.set_process(Some(process.clone()));
    validate::strings(&spec)?;
    validate::process(&spec)?;
    Ok((process, passed_over))
}

/// Makes a `process` object readable as its type: capabilities that nobody knows are dropped, and a user that is not given
/// is root, as callers expect of both. Capabilities that cannot be given away, since this process lacks them, are dropped
/// as well: that is a reason to warn, none to fail (config, "Linux Process", since runtime-spec 1.1).
fn known_process(process: &mut Value, grantable: CapabilitySet, passed_over: &mut PassedOver) {
    if let Some(object) = process.as_object_mut() {
        object.entry("user").or_insert_with(|| serde_json::json!({ "uid": 0, "gid": 0 }));
    }
    if let Some(flags) = process.pointer_mut("/scheduler/flags").and_then(Value::as_array_mut) {
        flags.iter_mut().for_each(scheduler_flag);
    }
    let Some(sets) = process.get_mut("capabilities").and_then(Value::as_object_mut) else { return };
    let mut ignored: Vec<String> = Vec::new();
    for set in sets.values_mut().filter_map(Value::as_array_mut) {
        set.retain(|name| {
            let Some(name) = name.as_str() else { return true };
            let kept = Capability::from_name(name).is_some_and(|one| grantable.contains(one));
            if !kept && !ignored.iter().any(|other| other == name) {
                ignored.push(name.to_owned());
            }
            kept
        });
    }
    if !ignored.is_empty() {
        // Callers know these words.
        let ignored = ignored.join(" ");
        passed_over
            .warnings
            .push(format!("ignoring unknown or unavailable capabilities: [{ignored}]"));
    }
    ambient(sets, &mut passed_over.notes);
}

/// A capability is ambient only where it is permitted and inheritable (`capabilities(7)`). Configurations that other
/// runtimes write have some that are not, and start without them there.
fn ambient(sets: &mut Map<String, Value>, notes: &mut Vec<String>) {
    let mut wanted = match sets.get_mut("ambient") {
        Some(Value::Array(wanted)) => std::mem::take(wanted),
        _ => return,
    };
    let has = |set: &str, name: &Value| {
        sets.get(set).and_then(Value::as_array).is_some_and(|set| set.contains(name))
    };
    let mut idle: Vec<String> = Vec::new();
    wanted.retain(|name| {
        let kept = has("permitted", name) && has("inheritable", name);
        idle.extend(name.as_str().filter(|_| !kept).map(str::to_owned));
        kept
    });
    sets.insert("ambient".to_owned(), Value::Array(wanted));
    if !idle.is_empty() {
        let idle = idle.join(" ");
        notes.push(format!("ignoring ambient capabilities that are not inheritable: [{idle}]"));
    }
}

/// The types that we read into have two flags by other names than the specification.
fn scheduler_flag(flag: &mut Value) {
    let name = match flag.as_str() {
        Some("SCHED_FLAG_RESET_ON_FORK") => "SCHED_RESET_ON_FORK",
        Some("SCHED_FLAG_DL_OVERRUN") => "SCHED_FLAG_D_L_OVERRUN",
        _ => return,
    };
    *flag = Value::from(name);
}

/// Many encoders write `null` where there is nothing.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The first number decides (runtime-spec, "Specification version": compatible within a major version).
fn version(value: &Value) -> Result<(), SpecError> {
    let text = value.get("ociVersion").and_then(Value::as_str).unwrap_or_default();
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    let numeric = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.len() == 3 && numbers.iter().all(numeric) && numbers[0] == "1" {
        return Ok(());
    }
    Err(SpecError::Version(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use oci_spec::runtime::Capabilities;
    use serde_json::json;

    /// What the maker of these tests' containers may do.
    const HELD: CapabilitySet = CapabilitySet::of(&[Capability::CHOWN, Capability::KILL]);

    fn config() -> Value {
        json!({
            "ociVersion": "1.3.0",
            "root": { "path": "rootfs" },
            "process": { "cwd": "/", "args": ["true"] },
            "linux": {}
        })
    }

    fn with(change: impl FnOnce(&mut Value)) -> Result<(Spec, PassedOver), String> {
        let mut value = config();
        change(&mut value);
        parse(&serde_json::to_vec(&value).unwrap(), HELD).map_err(|error| error.to_string())
    }

    #[test]
    fn versions_within_the_first_major_one_are_accepted() {
        for version in ["1.0.0", "1.0.2-dev", "1.1.0", "1.2.1", "1.3.0", "1.3.0-rc.1+x", "1.9.0"] {
            let found = with(|value| value["ociVersion"] = json!(version));
            assert!(found.is_ok(), "{version}: {found:?}");
        }
        for version in ["", "1", "1.0", "2.0.0", "0.9.0", "v1.0.0", "1.x.0", "latest"] {
            let found = with(|value| value["ociVersion"] = json!(version)).unwrap_err();
            assert!(found.contains("version"), "{version}: {found}");
        }
    }

    #[test]
    fn what_is_null_or_unknown_is_as_if_it_were_not_there() {
        let (spec, passed_over) = with(|value| {
            value["hooks"] = Value::Null;
            value["future"] = json!({ "x": 1 });
            value["process"]["env"] = Value::Null;
            value["process"]["rlimits"] = Value::Null;
            value["linux"]["namespaces"] = Value::Null;
            value["process"]["capabilities"] =
                json!({ "bounding": ["CAP_CHOWN", "CAP_FLY"], "effective": ["CAP_FLY"] });
        })
        .unwrap();
        let process = spec.process().as_ref().unwrap();
        let sets = process.capabilities().as_ref().unwrap();
        assert_eq!(sets.bounding().as_ref().unwrap().len(), 1);
        assert_eq!(process.user().uid(), 0);
        assert_eq!(
            passed_over.warnings,
            ["ignoring unknown or unavailable capabilities: [CAP_FLY]"]
        );
    }

    #[test]
    fn capabilities_that_the_maker_lacks_are_passed_over_unless_the_container_has_its_own_users() {
        let ask = |namespaces: Value| {
            let (spec, passed_over) = with(|value| {
                value["linux"]["namespaces"] = namespaces;
                value["process"]["capabilities"] =
                    json!({ "permitted": ["CAP_CHOWN", "CAP_BPF"], "effective": ["CAP_BPF"] });
            })
            .unwrap();
            let process = spec.process().as_ref().unwrap();
            let sets = process.capabilities().as_ref().unwrap();
            let count = |set: &Option<Capabilities>| set.as_ref().map_or(0, HashSet::len);
            (count(sets.permitted()), count(sets.effective()), passed_over.warnings)
        };
        let warning = "ignoring unknown or unavailable capabilities: [CAP_BPF]".to_owned();
        assert_eq!(ask(json!([{ "type": "mount" }])), (1, 0, vec![warning]));
        assert_eq!(ask(json!([{ "type": "user" }])), (2, 1, vec![]));
    }

    #[test]
    fn ambient_capabilities_have_to_be_inheritable() {
        let (spec, passed_over) = with(|value| {
            value["process"]["capabilities"] = json!({
                "permitted": ["CAP_KILL", "CAP_CHOWN"],
                "inheritable": ["CAP_KILL"],
                "ambient": ["CAP_CHOWN", "CAP_KILL"],
            });
        })
        .unwrap();
        let sets = spec.process().as_ref().unwrap().capabilities().clone().unwrap();
        assert_eq!(sets.ambient().as_ref().unwrap().len(), 1);
        let note = "ignoring ambient capabilities that are not inheritable: [CAP_CHOWN]".to_owned();
        assert_eq!(passed_over, PassedOver { warnings: vec![], notes: vec![note] });
    }

    #[test]
    fn flags_of_a_scheduler_have_the_specifications_names() {
        let names = [
            "SCHED_FLAG_RESET_ON_FORK",
            "SCHED_FLAG_RECLAIM",
            "SCHED_FLAG_DL_OVERRUN",
            "SCHED_FLAG_KEEP_POLICY",
            "SCHED_FLAG_KEEP_PARAMS",
            "SCHED_FLAG_UTIL_CLAMP_MIN",
            "SCHED_FLAG_UTIL_CLAMP_MAX",
        ];
        let scheduler = json!({ "policy": "SCHED_OTHER", "flags": names });
        let (spec, _) = with(|value| value["process"]["scheduler"] = scheduler).unwrap();
        let process = spec.process().as_ref().unwrap();
        let flags = process.scheduler().as_ref().unwrap().flags().as_ref().unwrap();
        assert_eq!(flags.len(), names.len());
        let plan = crate::plan::process(process, None).unwrap();
        assert_eq!(plan.scheduling.scheduler.unwrap().flags, 0x7f);
    }

    #[test]
    fn what_no_container_can_be_made_of_is_refused() {
        for (message, change) in [
            ("has a NUL byte", json!({ "process": { "cwd": "/", "args": ["a\0"] } })),
            ("working directory", json!({ "process": { "cwd": "rel", "args": ["a"] } })),
            ("names no program", json!({ "process": { "cwd": "/", "args": [] } })),
            ("`windows`", json!({ "windows": { "layerFolders": [] } })),
            ("is not what the specification says", json!({ "mounts": 5 })),
            ("is not what the specification says", json!({ "process": { "cwd": 5 } })),
        ] {
            let error = with(|value| {
                for (key, member) in change.as_object().unwrap() {
                    value[key] = member.clone();
                }
            });
            let error = error.expect_err(message);
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn the_root_is_found_in_the_bundle() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config().to_string()).unwrap();
        let bundle = Bundle::load(folder.path(), None).unwrap();
        assert_eq!(bundle.spec.root().as_ref().unwrap().path(), &bundle.path.join("rootfs"));
        let other = Bundle::load(folder.path(), Some(Path::new("sub/other.json")));
        let error = other.unwrap_err().to_string();
        assert!(error.ends_with("/sub/other.json`"), "{error}");
        let error = Bundle::load(&folder.path().join("missing"), None).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the bundle"), "{error}");
    }
}
