//! `paddle update`: other limits for a container that exists.
//!
//! What is given changes, everything else stays. Limits come as options, or as the runtime specification's
//! `linux.resources` in JSON, which is how engines send them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use common::report::{self, Diagnostic, ExitCode};
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

use super::resources::{CpuList, Cpus};
use super::{Done, Places};
use crate::cgroup::{self, Bytes, BytesError, CgroupPaths, weight_to_shares};
use crate::host::Controller;
use crate::runtime::{self, Container, ContainerId};

/// No resources are larger (R11).
const LIMIT: u64 = 4 << 20;

/// Change the limits of a container. What is not given stays as it is.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Read them as JSON (`linux.resources` of the runtime specification) from a file, or from standard input (-)
    #[arg(short, long, value_name = "FILE", conflicts_with = "Limits")]
    resources: Option<PathBuf>,
    #[command(flatten)]
    limits: Limits,
    /// The container
    #[arg(value_name = "NAME")]
    id: ContainerId,
}

/// Limits as options.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits and priorities")]
#[group(id = "Limits", multiple = true)]
struct Limits {
    /// Memory that it may use (64m, 1.5g); -1 is unlimited
    #[arg(short = 'm', long, value_name = "SIZE", allow_hyphen_values = true)]
    memory: Option<Size>,
    /// Memory and swap together; -1 is unlimited
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_swap: Option<Size>,
    /// Memory that it keeps when the host runs short; -1 is none
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_reservation: Option<Size>,
    /// Accepted for old scripts: kernels have no such limit any more
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, hide = true)]
    kernel_memory: Option<Size>,
    /// Accepted for old scripts
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, hide = true)]
    kernel_memory_tcp: Option<Size>,
    /// Processors' worth of time (0.5, 2)
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["cpu_quota", "cpu_period"])]
    cpus: Option<Cpus>,
    /// Microseconds of processor time in each period; -1 is unlimited
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    cpu_quota: Option<i64>,
    /// Length of the period in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<u64>,
    /// Microseconds that it may save up for later
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_burst: Option<u64>,
    /// Share of processor time under contention, 1 to 10000; others have 100
    #[arg(long, value_name = "WEIGHT", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    cpu_weight: Option<u64>,
    /// The same on the scale of 2 to 262144; others have 1024
    #[arg(
        long,
        value_name = "SHARES",
        visible_alias = "cpu-shares",
        conflicts_with = "cpu_weight"
    )]
    cpu_share: Option<u64>,
    /// Only run when nobody else wants to (1), or as usual (0)
    #[arg(long, value_name = "0|1", allow_hyphen_values = true)]
    cpu_idle: Option<i64>,
    /// Length of the real-time period in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_period: Option<u64>,
    /// Real-time microseconds in each real-time period
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    cpu_rt_runtime: Option<i64>,
    /// Processors that it runs on (0-2,5)
    #[arg(long, value_name = "LIST", visible_alias = "cpuset-cpus")]
    cpuset: Option<CpuList>,
    /// Memory nodes that it uses (0-1)
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<CpuList>,
    /// Processes and threads that it may have; -1 is unlimited
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    /// Share of disk time under contention, 10 to 1000; others have 100
    #[arg(long, value_name = "WEIGHT", visible_alias = "blkio-weight",
          value_parser = clap::value_parser!(u16).range(10..=1000))]
    io_weight: Option<u16>,
}

/// A size, or -1 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(i64);

impl FromStr for Size {
    type Err = BytesError;

    fn from_str(text: &str) -> Result<Self, BytesError> {
        if text == "-1" { Ok(Self(-1)) } else { text.parse().map(Bytes::as_i64).map(Self) }
    }
}

/// Limits that cannot be read or given.
#[derive(Debug, thiserror::Error)]
enum UpdateError {
    #[error("cannot read the resources in `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` is no `linux.resources`", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("no limit is given")]
    Nothing,
    #[error("container `{id}` has no {} controller", controller.name(crate::host::Version::V1))]
    Controller { id: ContainerId, controller: Controller },
}

impl Diagnostic for UpdateError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } | Self::Json { .. } => None,
            Self::Nothing => Some("`paddle update --help` lists them".to_owned()),
            Self::Controller { .. } => Some(
                "a container of `paddle run` has those controllers that its options ask for: start it with a limit of this kind, a high one if need be".to_owned(),
            ),
        }
    }

    fn exit_code(&self) -> ExitCode {
        if matches!(self, Self::Nothing) { ExitCode::Usage } else { ExitCode::Failed }
    }
}

/// Changes them.
pub(super) fn run(arguments: &Arguments, places: &Places) -> Done {
    let resources = match &arguments.resources {
        Some(path) => read(path)?,
        None => arguments.limits.to_spec().ok_or(UpdateError::Nothing)?,
    };
    let limits = &arguments.limits;
    if limits.kernel_memory.or(limits.kernel_memory_tcp).is_some() {
        report::warn("limits of kernel memory are ignored");
    }
    let states = places.states()?;
    let container = runtime::find(&states, &arguments.id)?;
    container.process()?;
    if container.state.monitored {
        change_monitored(&container, &resources)?;
    } else {
        let mut held = states.hold(&arguments.id)?;
        let mut group = cgroup::reopen(&held.state().cgroup);
        group.update(&resources)?;
        if *group.paths() != held.state().cgroup {
            let grown = group.paths().clone();
            held.update(|state| state.cgroup = grown)?;
        }
    }
    Ok(ExitCode::Ok.into())
}

/// A container whose state is its monitor's to write: it can get no controller that it does not have, since the monitor
/// would not know of the group that has to be removed.
fn change_monitored(
    container: &Container,
    resources: &LinuxResources,
) -> Result<(), super::Failure> {
    let paths = &container.state.cgroup;
    if let Some(controller) = needed(resources).into_iter().find(|&one| !has(paths, one)) {
        let id = container.id().clone();
        return Err(UpdateError::Controller { id, controller }.into());
    }
    Ok(cgroup::reopen(paths).update(resources)?)
}

fn has(paths: &CgroupPaths, controller: Controller) -> bool {
    paths.groups.iter().any(|group| group.controllers.contains(&controller))
}

/// The controllers that keep these limits.
fn needed(resources: &LinuxResources) -> Vec<Controller> {
    let cpu = resources.cpu().as_ref();
    let nodes = |cpu: &LinuxCpu| cpu.cpus().is_some() || cpu.mems().is_some();
    let without_nodes = |cpu: &LinuxCpu| {
        let mut rest = cpu.clone();
        rest.set_cpus(None).set_mems(None);
        rest != LinuxCpu::default()
    };
    let all = [
        (resources.memory().is_some(), Controller::Memory),
        (cpu.is_some_and(without_nodes), Controller::Cpu),
        (cpu.is_some_and(nodes), Controller::Cpuset),
        (resources.pids().is_some(), Controller::Pids),
        (resources.block_io().is_some(), Controller::Io),
        (resources.hugepage_limits().is_some(), Controller::Hugetlb),
    ];
    all.into_iter().filter_map(|(asked, controller)| asked.then_some(controller)).collect()
}

fn read(path: &Path) -> Result<LinuxResources, UpdateError> {
    let mut text = Vec::new();
    let mut take = |from: &mut dyn Read| from.take(LIMIT).read_to_end(&mut text);
    let done = if path.as_os_str() == "-" {
        take(&mut io::stdin().lock())
    } else {
        File::open(path).and_then(|mut file| take(&mut file))
    };
    done.map_err(|source| UpdateError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|source| UpdateError::Json { path: path.to_owned(), source })
}

/// Many encoders write `null` where there is nothing.
fn parse(text: &[u8]) -> Result<LinuxResources, serde_json::Error> {
    let mut value: serde_json::Value = serde_json::from_slice(text)?;
    if !value.is_object() {
        return Err(serde::de::Error::custom("it is no object"));
    }
    crate::spec::drop_nulls(&mut value);
    serde_json::from_value(value)
}

impl Limits {
    /// What the options mean; `None` without any of them.
    fn to_spec(&self) -> Option<LinuxResources> {
        let mut resources = LinuxResources::default();
        resources.set_memory(self.memory_limits());
        resources.set_cpu(self.cpu());
        resources.set_pids(self.pids_limit.map(|limit| {
            let mut pids = LinuxPids::default();
            pids.set_limit(limit);
            pids
        }));
        resources.set_block_io(self.io_weight.map(|weight| {
            let mut io = LinuxBlockIo::default();
            io.set_weight(Some(weight));
            io
        }));
        let ignored = self.kernel_memory.or(self.kernel_memory_tcp).is_some();
        (ignored || resources != LinuxResources::default()).then_some(resources)
    }

    fn memory_limits(&self) -> Option<LinuxMemory> {
        let bytes = |size: Option<Size>| size.map(|size| size.0);
        let mut memory = LinuxMemory::default();
        memory.set_limit(bytes(self.memory));
        memory.set_swap(bytes(self.memory_swap));
        memory.set_reservation(bytes(self.memory_reservation));
        (memory != LinuxMemory::default()).then_some(memory)
    }

    fn cpu(&self) -> Option<LinuxCpu> {
        let mut cpu = LinuxCpu::default();
        let (quota, period) = match self.cpus {
            Some(cpus) => (Some(cpus.quota), Some(Cpus::PERIOD)),
            None => (self.cpu_quota, self.cpu_period),
        };
        cpu.set_quota(quota).set_period(period);
        cpu.set_burst(self.cpu_burst);
        cpu.set_shares(self.cpu_share.or(self.cpu_weight.map(weight_to_shares)));
        cpu.set_idle(self.cpu_idle);
        cpu.set_realtime_period(self.cpu_rt_period);
        cpu.set_realtime_runtime(self.cpu_rt_runtime);
        let list = |list: &Option<CpuList>| list.as_ref().map(|list| list.0.clone());
        cpu.set_cpus(list(&self.cpuset)).set_mems(list(&self.cpuset_mems));
        (cpu != LinuxCpu::default()).then_some(cpu)
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::alone;

    use super::*;

    fn json(words: &str) -> String {
        match alone::parse::<Arguments>(words) {
            Ok(arguments) => serde_json::to_string(&arguments.limits.to_spec()).unwrap(),
            Err(message) => message,
        }
    }

    #[test]
    fn options_become_what_engines_send_as_json() {
        for (words, expected) in [
            ("-m 64m web", r#"{"memory":{"limit":67108864}}"#),
            ("--memory=-1 --memory-swap -1 web", r#"{"memory":{"limit":-1,"swap":-1}}"#),
            (
                "--memory 1g --memory-reservation 5k web",
                r#"{"memory":{"limit":1073741824,"reservation":5120}}"#,
            ),
            ("--cpus 1.5 web", r#"{"cpu":{"quota":150000,"period":100000}}"#),
            ("--cpu-quota -1 web", r#"{"cpu":{"quota":-1}}"#),
            ("--cpu-period 5000 --cpu-burst 9 web", r#"{"cpu":{"burst":9,"period":5000}}"#),
            (
                "--cpu-share 512 --cpuset-cpus 0-1 --cpuset-mems 0 web",
                r#"{"cpu":{"shares":512,"cpus":"0-1","mems":"0"}}"#,
            ),
            (
                "--cpu-idle 1 --cpu-rt-period 7 --cpu-rt-runtime 3 web",
                r#"{"cpu":{"idle":1,"realtimeRuntime":3,"realtimePeriod":7}}"#,
            ),
            ("--pids-limit -1 web", r#"{"pids":{"limit":-1}}"#),
            ("--blkio-weight 500 web", r#"{"blockIO":{"weight":500}}"#),
            ("--kernel-memory 5m web", "{}"),
            ("web", "null"),
        ] {
            assert_eq!(json(words), expected, "{words}");
        }
        for (words, said) in [
            ("-r - -m 5m web", "cannot be used with"),
            ("--memory 5x web", "512m"),
            ("--cpus 1 --cpu-quota 5 web", "cannot be used with"),
            ("-m 5m", "NAME"),
        ] {
            assert!(json(words).contains(said), "{words}: {}", json(words));
        }
    }

    #[test]
    fn resources_of_engines_are_read_with_their_nulls() {
        let text = r#"{"devices":null,"memory":{"limit":5,"swap":null},"cpu":{},"unknown":1}"#;
        let found = parse(text.as_bytes()).unwrap();
        assert_eq!(found.memory().and_then(|memory| memory.limit()), Some(5));
        assert!(parse(b"[]").is_err() && parse(b"").is_err());
    }

    #[test]
    fn each_limit_is_kept_by_its_controller() {
        for (json, expected) in [
            (r#"{"memory":{"limit":5}}"#, vec![Controller::Memory]),
            (r#"{"cpu":{"quota":5}}"#, vec![Controller::Cpu]),
            (r#"{"cpu":{"cpus":"0"}}"#, vec![Controller::Cpuset]),
            (
                r#"{"cpu":{"cpus":"0","shares":5},"pids":{"limit":1}}"#,
                vec![Controller::Cpu, Controller::Cpuset, Controller::Pids],
            ),
            (r#"{"blockIO":{"weight":5}}"#, vec![Controller::Io]),
            ("{}", vec![]),
        ] {
            assert_eq!(needed(&parse(json.as_bytes()).unwrap()), expected, "{json}");
        }
    }
}
