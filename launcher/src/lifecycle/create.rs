//! `create`: everything of a container but its program.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use oci_spec::runtime::{Process, Spec};

use super::LifecycleError;
use super::hooks::subject;
use crate::cgroup::Driver;
use crate::host::Host;
use crate::plan::{self, Ground, HookKind, NamespaceKind, Plan};
use crate::resctrl;
use crate::run::claim;
use crate::runtime::{
    self, ContainerId, Held, Mounted, ProcessId, State, StateDirectory, Status, Timestamp,
};
use crate::spawn::{self, Ahead, Handles, Stdio};
use crate::spec::Bundle;
use crate::timing::{Mark, mark};

/// A container that is to be made of a bundle.
#[derive(Debug)]
pub struct Request {
    /// Its id.
    pub id: ContainerId,
    /// What it is made of.
    pub bundle: Bundle,
    /// How.
    pub options: Options,
    /// Where its handles go.
    pub handles: Handles,
}

/// How a container is made, beyond what its bundle says.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--cgroup-manager`.
    pub cgroup_driver: Driver,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// `--preserve-fds` and what `LISTEN_FDS` adds: how many descriptors from 3 on the program keeps.
    pub preserved_descriptors: u32,
    /// How many of them are `LISTEN_FDS`'s, which the program is told of.
    pub listening: Option<u32>,
}

/// Who looks after a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attendance {
    /// Nobody.
    Left,
    /// This process. Whether its state stays when it has ended.
    Foreground { keep: bool },
}

/// A container that was decided about and is entered in the states.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) held: Held,
    pub(super) plan: Plan,
}

/// Makes the container. Its process 1 waits to be started, and belongs to whoever inherits this process's children.
pub fn create(request: &Request, states: &StateDirectory) -> Result<(), LifecycleError> {
    let wants_terminal = wants_terminal(&request.bundle.spec);
    match (wants_terminal, &request.handles.console_socket) {
        (true, None) => return Err(LifecycleError::NoConsoleSocket),
        (false, Some(_)) => return Err(LifecycleError::NoTerminal),
        _ => {}
    }
    let ahead = begin(request);
    let mut entered = enter(request, states, Attendance::Left)?;
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let stdio = Stdio {
        stdin: stdin.as_fd(),
        stdout: stdout.as_fd(),
        stderr: stderr.as_fd(),
        plain_lines: false,
    };
    match make(&mut entered, &request.handles, stdio, ahead) {
        // What is ours of it ends with this process: the console's controlling side is the caller's now.
        Ok(_) => Ok(()),
        Err(error) => Err(undo(entered, error)),
    }
}

/// Whether the process is to have a terminal.
pub(super) fn wants_terminal(spec: &Spec) -> bool {
    spec.process().as_ref().and_then(Process::terminal).unwrap_or(false)
}

/// Begins with what does not depend on what is decided.
pub(super) fn begin(request: &Request) -> Option<Ahead> {
    Ahead::begin(&plan::new_namespaces(&request.bundle.spec))
}

/// Decides, and enters the container in the states. Nothing else of it exists then.
pub(super) fn enter(
    request: &Request,
    states: &StateDirectory,
    attendance: Attendance,
) -> Result<Entered, LifecycleError> {
    let Request { id, bundle, options, .. } = request;
    let spec = with_listening(&bundle.spec, options.listening);
    let root = spec.root().as_ref().map(|root| root.path().clone()).unwrap_or_default();
    let ground = Ground {
        foreground: matches!(attendance, Attendance::Foreground { .. }),
        no_pivot: options.no_pivot,
        session_keyring: !options.no_new_keyring,
        bundle_folder: Some(&bundle.path),
        cgroup_driver: options.cgroup_driver,
        preserved_descriptors: options.preserved_descriptors,
        ..Ground::of_bundle(id.as_str(), &root)
    };
    let plan = plan::plan(&spec, &ground, &Host::probe()?)?;
    mark(Mark::Planned);
    let state = State {
        id: id.clone(),
        image: common::escape::Escaped(bundle.path.as_os_str().as_encoded_bytes()).to_string(),
        bundle: Some(bundle.path.clone()),
        annotations: spec.annotations().clone().unwrap_or_default().into_iter().collect(),
        monitored: attendance != Attendance::Left,
        mounted: mounted(&plan).map_err(LifecycleError::Root)?,
        command: plan.process.argv.clone(),
        hooks: Some(plan.hooks.later()),
        created: Timestamp::now(),
        remove: matches!(attendance, Attendance::Foreground { keep: false }),
        store: None,
        cgroup: plan.cgroup.paths(),
        no_new_keyring: options.no_new_keyring,
        rdt: plan.rdt.clone(),
        status: Status::Creating,
    };
    let held = states.create(state, Some(&spec))?;
    mark(Mark::Entered);
    Ok(Entered { held, plan })
}

/// Makes the container and lets go of its process 1. `ahead` is what was begun with.
pub(super) fn make(
    entered: &mut Entered,
    handles: &Handles,
    stdio: Stdio<'_>,
    mut ahead: Option<Ahead>,
) -> Result<spawn::Child, LifecycleError> {
    let Entered { held, plan } = entered;
    if let Some(ahead) = &mut ahead {
        ahead.go_on(plan);
    }
    let sockets = handles.connect()?;
    let group = claim::group(held, &plan.cgroup)?;
    let mut join = group.join()?;
    if let Some(class) = &plan.rdt {
        claim::class(held, class)?;
        join.v1.extend(class.tasks(Path::new(resctrl::ROOT))?);
    }
    mark(Mark::Grouped);
    let state = held.state().clone();
    let container = spawn::Container { folder: held.folder(), subject: subject(&state) };
    let created = spawn::create(plan, &join, stdio, ahead, container)?;
    mark(Mark::Waiting);
    let process = ProcessId::of(created.child.pid).map_err(LifecycleError::Identity)?;
    sockets.send(&created.child)?;
    held.set_status(Status::Created { process })?;
    handles.write_pid(created.child.pid)?;
    let child = created.release()?;
    mark(Mark::Created);
    Ok(child)
}

/// Clears up after a failed step. The person has to learn the first failure; a second one is the next `delete`'s.
pub(super) fn undo(entered: Entered, error: LifecycleError) -> LifecycleError {
    let Entered { held, plan, .. } = entered;
    if runtime::clear(held.state()).is_ok() {
        subject(held.state()).run(&plan.hooks, HookKind::Poststop, None).ok();
        held.remove().ok();
    }
    error
}

/// Where a container that shares the host's mounts leaves some, and what is mounted there before.
fn mounted(plan: &Plan) -> io::Result<Option<Mounted>> {
    if plan.has(NamespaceKind::Mount) {
        return Ok(None);
    }
    let path = plan.root.lower().to_owned();
    let before = runtime::mount_at(&path)?;
    Ok(Some(Mounted { path, before }))
}

/// The program is told of sockets that were passed for it (`sd_listen_fds(3)`).
fn with_listening(spec: &Spec, listening: Option<u32>) -> Spec {
    let mut spec = spec.clone();
    if let (Some(count), Some(process)) = (listening, spec.process_mut().as_mut()) {
        let env = process.env_mut().get_or_insert_default();
        env.retain(|entry| !entry.starts_with("LISTEN_FDS=") && !entry.starts_with("LISTEN_PID="));
        env.extend([format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()]);
    }
    spec
}
