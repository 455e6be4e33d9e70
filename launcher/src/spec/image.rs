//! From an image's configuration to a runtime specification, by Docker's rules.

use std::path::PathBuf;

use common::accounts::Account;
use common::oci::{Config, ImageConfiguration};
use common::root::Root;
use common::tree::ImagePath;
use oci_spec::runtime::{
    Linux, LinuxBuilder, LinuxCapabilities, LinuxCapabilitiesBuilder, LinuxNamespace,
    LinuxNamespaceBuilder, LinuxNamespaceType, PosixRlimit, PosixRlimitBuilder, PosixRlimitType,
    Process, ProcessBuilder, RootBuilder, Spec, SpecBuilder, UserBuilder,
};

use super::users;
use super::{CapabilityChoice, NetworkChoice, Overrides, SpecError, Ulimit, mounts};
use crate::spawn::DEFAULT_PATH;
use crate::spec::{Capability, CapabilitySet, RlimitKind};

/// The specification's version that is written.
pub(crate) const OCI_VERSION: &str = "1.3.0";

/// What Docker hides: interfaces of the kernel that are no namespace's own (moby, `oci/defaults.go`).
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// What Docker makes read-only.
const READONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The specification of a container of this image. `root` is the unpacked image: users and groups are looked up in its
/// own `/etc/passwd` and `/etc/group`.
pub fn from_image(
    config: &ImageConfiguration,
    overrides: &Overrides,
    root: &Root,
) -> Result<Spec, SpecError> {
    let defaults = Config::default();
    let config = config.config().as_ref().unwrap_or(&defaults);
    let account = match &overrides.user {
        Some(user) => users::look_up(user, root)?,
        None => users::of_image(config.user().as_deref().unwrap_or_default(), root)?,
    };
    let mut spec = SpecBuilder::default()
        .version(OCI_VERSION)
        .root(built(RootBuilder::default().path("rootfs").readonly(overrides.read_only).build())?)
        .process(process(config, overrides, &account)?)
        .mounts(mounts::of(overrides)?)
        .linux(linux(overrides)?)
        .build()
        .map_err(SpecError::Build)?;
    spec.set_hostname(overrides.hostname.as_ref().map(|name| name.as_str().to_owned()));
    super::validate::strings(&spec)?;
    Ok(spec)
}

fn process(
    config: &Config,
    overrides: &Overrides,
    account: &Account,
) -> Result<Process, SpecError> {
    let user = UserBuilder::default()
        .uid(account.uid)
        .gid(account.gid)
        .additional_gids(account.groups.clone())
        .build();
    let process = ProcessBuilder::default()
        .terminal(overrides.tty)
        .user(built(user)?)
        .args(arguments(config, overrides)?)
        .env(environment(config, overrides, account))
        .cwd(workdir(config, overrides)?)
        .capabilities(capabilities(overrides)?)
        .rlimits(rlimits(&overrides.ulimits)?)
        .no_new_privileges(true)
        .build();
    built(process)
}

/// Entrypoint and Cmd. Naming arguments replaces Cmd; naming an entrypoint replaces both (Docker, `docker run`).
fn arguments(config: &Config, overrides: &Overrides) -> Result<Vec<String>, SpecError> {
    let image = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let (mut all, cmd) = match &overrides.entrypoint {
        Some(entrypoint) => (entrypoint.clone(), Vec::new()),
        None => (image(config.entrypoint()), image(config.cmd())),
    };
    all.extend(if overrides.args.is_empty() { cmd } else { overrides.args.clone() });
    match all.first() {
        Some(program) if !program.is_empty() => Ok(all),
        _ => Err(SpecError::NoProgram),
    }
}

/// The image's variables, with `PATH`, `HOME` and, on a terminal, `TERM` where it has none, and then the person's.
fn environment(config: &Config, overrides: &Overrides, account: &Account) -> Vec<String> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| match all.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => value.clone_into(old),
        None => all.push((name.to_owned(), value.to_owned())),
    };
    set("PATH", DEFAULT_PATH);
    set("HOME", &account.home);
    if overrides.tty {
        set("TERM", "xterm");
    }
    for entry in config.env().iter().flatten() {
        // An entry without `=` sets nothing that a program could read.
        if let Some((name, value)) = entry.split_once('=') {
            set(name, value);
        }
    }
    for (name, value) in &overrides.env {
        set(name, value);
    }
    all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn workdir(config: &Config, overrides: &Overrides) -> Result<PathBuf, SpecError> {
    if let Some(workdir) = &overrides.workdir {
        return Ok(workdir.as_path().to_owned());
    }
    let text = config.working_dir().as_deref().filter(|text| !text.is_empty()).unwrap_or("/");
    ImagePath::new(text).map(|path| path.as_path().to_owned()).map_err(SpecError::WorkDir)
}

/// Docker's set without what is dropped and with what is added. Inheritable and ambient stay empty (CVE-2022-29162).
fn capabilities(overrides: &Overrides) -> Result<LinuxCapabilities, SpecError> {
    let union = |choices: &[CapabilityChoice]| {
        choices.iter().fold(CapabilitySet::EMPTY, |set, choice| match choice {
            CapabilityChoice::All => CapabilitySet::all(),
            CapabilityChoice::One(one) => set.union(CapabilitySet::of(&[*one])),
        })
    };
    let kept =
        CapabilitySet::DOCKER.without(union(&overrides.cap_drop)).union(union(&overrides.cap_add));
    let set: oci_spec::runtime::Capabilities = kept.iter().map(Capability::to_oci).collect();
    let none = oci_spec::runtime::Capabilities::default();
    let sets = LinuxCapabilitiesBuilder::default()
        .bounding(set.clone())
        .effective(set.clone())
        .permitted(set)
        .inheritable(none.clone())
        .ambient(none)
        .build();
    built(sets)
}

fn rlimits(ulimits: &[Ulimit]) -> Result<Vec<PosixRlimit>, SpecError> {
    let mut all: Vec<PosixRlimit> = Vec::with_capacity(ulimits.len());
    for limit in ulimits {
        let kind = oci_kind(limit.kind);
        if all.iter().any(|known| known.typ() == kind) {
            return Err(SpecError::DuplicateLimit(limit.kind.name()));
        }
        let rlimit = PosixRlimitBuilder::default()
            .typ(kind)
            .soft(limit.soft.unwrap_or(u64::MAX))
            .hard(limit.hard.unwrap_or(u64::MAX))
            .build();
        all.push(built(rlimit)?);
    }
    Ok(all)
}

fn oci_kind(kind: RlimitKind) -> PosixRlimitType {
    match kind {
        RlimitKind::As => PosixRlimitType::RlimitAs,
        RlimitKind::Core => PosixRlimitType::RlimitCore,
        RlimitKind::Cpu => PosixRlimitType::RlimitCpu,
        RlimitKind::Data => PosixRlimitType::RlimitData,
        RlimitKind::Fsize => PosixRlimitType::RlimitFsize,
        RlimitKind::Locks => PosixRlimitType::RlimitLocks,
        RlimitKind::Memlock => PosixRlimitType::RlimitMemlock,
        RlimitKind::Msgqueue => PosixRlimitType::RlimitMsgqueue,
        RlimitKind::Nice => PosixRlimitType::RlimitNice,
        RlimitKind::Nofile => PosixRlimitType::RlimitNofile,
        RlimitKind::Nproc => PosixRlimitType::RlimitNproc,
        RlimitKind::Rss => PosixRlimitType::RlimitRss,
        RlimitKind::Rtprio => PosixRlimitType::RlimitRtprio,
        RlimitKind::Rttime => PosixRlimitType::RlimitRttime,
        RlimitKind::Sigpending => PosixRlimitType::RlimitSigpending,
        RlimitKind::Stack => PosixRlimitType::RlimitStack,
    }
}

fn linux(overrides: &Overrides) -> Result<Linux, SpecError> {
    let strings = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces(overrides)?)
        .masked_paths(strings(&MASKED))
        .readonly_paths(strings(&READONLY))
        // What the host mounts and unmounts stays there.
        .rootfs_propagation("private")
        .build()
        .map_err(SpecError::Build)?;
    linux.set_resources(overrides.resources.clone());
    if overrides.network == NetworkChoice::None && !overrides.user_namespace {
        // What Docker sets in a network namespace of the container's own: ports below 1024 need no root there.
        let port = ("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
        linux.set_sysctl(Some([port].into()));
    }
    Ok(linux)
}

fn namespaces(overrides: &Overrides) -> Result<Vec<LinuxNamespace>, SpecError> {
    namespace_kinds(overrides)
        .into_iter()
        .map(|kind| built(LinuxNamespaceBuilder::default().typ(kind).build()))
        .collect()
}

/// The namespaces of an image's container, all new ones.
pub fn namespace_kinds(overrides: &Overrides) -> Vec<LinuxNamespaceType> {
    use LinuxNamespaceType as Kind;
    let mut kinds = vec![Kind::Mount, Kind::Pid, Kind::Ipc, Kind::Uts, Kind::Cgroup];
    if overrides.network == NetworkChoice::None {
        kinds.push(Kind::Network);
    }
    if overrides.user_namespace {
        kinds.push(Kind::User);
    }
    kinds
}

/// `oci-spec`'s builders fail only for a required field that is missing.
pub(super) fn built<T>(result: oci_spec::Result<T>) -> Result<T, SpecError> {
    result.map_err(SpecError::Build)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &str) -> Option<Vec<String>> {
        (!words.is_empty()).then(|| words.split(' ').map(str::to_owned).collect())
    }

    #[test]
    fn entrypoint_and_cmd_combine_as_in_docker() {
        // Image's entrypoint, its cmd; --entrypoint, arguments; result.
        for (entrypoint, cmd, instead, args, expected) in [
            ("e", "c d", None, "", Some("e c d")),
            ("e", "c", None, "x y", Some("e x y")),
            ("", "c", None, "", Some("c")),
            ("", "c", None, "x", Some("x")),
            ("e", "c", Some("n"), "", Some("n")),
            ("e", "c", Some("n"), "x", Some("n x")),
            ("e", "c", Some(""), "x", Some("x")),
            ("e", "c", Some(""), "", None),
            ("", "", None, "", None),
        ] {
            let mut config = Config::default();
            config.set_entrypoint(list(entrypoint)).set_cmd(list(cmd));
            let overrides = Overrides {
                entrypoint: instead.map(|words| list(words).unwrap_or_default()),
                args: list(args).unwrap_or_default(),
                ..Overrides::default()
            };
            let result = arguments(&config, &overrides).ok().map(|all| all.join(" "));
            assert_eq!(result.as_deref(), expected, "{entrypoint}|{cmd}|{instead:?}|{args}");
        }
    }

    #[test]
    fn variables_of_the_person_win_over_the_images() {
        let account = Account { uid: 0, gid: 0, groups: Vec::new(), home: "/root".to_owned() };
        let mut config = Config::default();
        config.set_env(list("PATH=/bin A=1 B=2 odd"));
        let overrides = Overrides {
            env: vec![("B".to_owned(), "3=4".to_owned()), ("C".to_owned(), String::new())],
            tty: true,
            ..Overrides::default()
        };
        assert_eq!(
            environment(&config, &overrides, &account),
            ["PATH=/bin", "HOME=/root", "TERM=xterm", "A=1", "B=3=4", "C="]
        );
    }
}
