//! The whole way of `paddle run`, as stages: an image that was named becomes a process that ended.
//!
//! [`begin`] has the kernel work meanwhile.
//! [`prepare`] decides and changes nothing but the store; what it returns can be printed.
//! [`Prepared::launch`] makes the container, waits for its end and clears up after it.

pub(crate) mod claim;
mod error;
mod groups;
mod stage;

pub use error::RunError;
pub use stage::StageError;

use std::collections::BTreeMap;
use std::time::Duration;

use common::root::Root;

use oci_spec::runtime::{BoxBuilder, Spec};

use crate::cgroup::{Cgroup, Driver, OomWatch};
use crate::host::Host;
use crate::plan::{self, Ground, NamespaceKind, Plan};
use crate::runtime::{
    self, ContainerId, Exit, Held, ProcessId, RuntimeError, State, StateDirectory, Status,
    Timestamp,
};
use crate::spawn::{self, Ahead};
use crate::spec::{self, Overrides};
use crate::store::{ImageSource, Snapshot, Store};
use crate::supervise::{self, Ended, Limits, Signal, Signals, Streams, Wanted};
use crate::timing::{Mark, mark};

/// What a person asked `paddle run` for.
#[derive(Debug)]
pub struct Request {
    /// The image.
    pub image: ImageSource,
    /// The container's name.
    pub id: ContainerId,
    /// What differs from the image's own configuration.
    pub overrides: Overrides,
    /// Which streams are connected.
    pub streams: Wanted,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// Whether it is forgotten when it ends.
    pub remove: bool,
    /// Whether the kernel may read a file system that its maker wrote.
    pub allow_erofs: bool,
    /// Who makes the container's groups; `None` for whoever can.
    pub cgroup_driver: Option<Driver>,
}

/// How a container ended.
#[derive(Debug)]
pub struct Outcome {
    /// How its program ended.
    pub ended: Ended,
    /// How many of its processes the kernel killed for want of memory.
    pub out_of_memory: u64,
    /// What could not be cleared after it; the next sweep tries again. No reason to withhold how the
    /// program ended.
    pub left_behind: Option<RuntimeError>,
}

/// Everything that was decided about a container.
#[derive(Debug)]
pub struct Prepared {
    /// What will be done to start it: what `--print-plan` prints.
    pub plan: Plan,
    spec: Spec,
    state: State,
    limits: Limits,
    streams: Wanted,
    /// Whether its program might be this one's own file.
    exposed: bool,
    /// Nobody removes the unpacked image while this lives.
    _lease: Snapshot,
}

/// Begins with what depends on nothing that has to be found out or decided.
pub fn begin(request: &Request) -> Option<Ahead> {
    let new = spec::namespace_kinds(&request.overrides).into_iter().map(NamespaceKind::from);
    Ahead::begin(&new.collect::<Vec<_>>())
}

/// Finds and unpacks the image, and decides everything about its container.
pub fn prepare(request: &Request, host: &Host, store: &Store) -> Result<Prepared, RunError> {
    let overrides = &request.overrides;
    let image = store.get(&request.image)?;
    mark(Mark::Image);
    if image.is_erofs() && !request.allow_erofs {
        return Err(RunError::Erofs { label: image.label().to_owned() });
    }
    let snapshot = store.unpack(&image)?;
    mark(Mark::Snapshot);
    let root = root_of(&snapshot)?;
    let mut spec = spec::from_image(image.config(), overrides, &root)?;
    set_console_size(&mut spec);
    mark(Mark::Specified);
    let folder = runtime::private_folder(store, &request.id);
    let ground = Ground {
        format: snapshot.format(),
        mount_points_exist: spec::mount_points_exist(&spec, &root),
        init: overrides.init,
        add_hosts: &overrides.add_hosts,
        cgroup_driver: request.cgroup_driver.unwrap_or_default(),
        ..Ground::of_image(request.id.as_str(), snapshot.path(), &folder)
    };
    let plan = match request.cgroup_driver {
        Some(_) => plan::plan(&spec, &ground, host)?,
        None => groups::by_whoever_can(&spec, &ground, host)?,
    };
    mark(Mark::Planned);
    let limits = Limits { timeout: request.timeout, stop_signal: stop_signal(image.config())? };
    let state = State {
        id: request.id.clone(),
        image: image.label().to_owned(),
        bundle: None,
        annotations: BTreeMap::new(),
        monitored: true,
        mounted: None,
        command: plan.process.argv.clone(),
        hooks: None,
        created: Timestamp::now(),
        remove: request.remove,
        store: plan.root.writable().map(|_| store.path().to_owned()),
        cgroup: plan.cgroup.paths(),
        no_new_keyring: false,
        rdt: None,
        status: Status::Creating,
    };
    let exposed = spawn::might_run_us(&plan, snapshot.root());
    let streams = request.streams;
    Ok(Prepared { plan, spec, state, limits, streams, exposed, _lease: snapshot })
}

impl Prepared {
    /// Makes the container, waits for its end, and leaves nothing of it but, without `--rm`, its
    /// state. `ahead` is what was begun with.
    pub fn launch(
        self,
        store: &Store,
        states: &StateDirectory,
        mut ahead: Option<Ahead>,
    ) -> Result<Outcome, RunError> {
        if self.exposed {
            ahead.iter_mut().for_each(Ahead::wait);
            spawn::out_of_reach()?;
        }
        if let Some(ahead) = &mut ahead {
            ahead.go_on(&self.plan);
        }
        // From here on a signal waits until there is a container that it can be passed on to.
        let signals = Signals::block().map_err(RunError::Signals)?;
        let mut held = states.create(self.state.clone(), None)?;
        mark(Mark::Entered);
        match self.start_and_wait(&mut held, store, &signals, ahead) {
            Ok(mut outcome) => {
                outcome.left_behind = settle(held, &outcome).err();
                mark(Mark::Cleared);
                Ok(outcome)
            }
            Err(error) => {
                // The person has to learn the first failure; a second one is the next sweep's.
                if runtime::clear(held.state()).is_ok() {
                    held.remove().ok();
                }
                Err(error)
            }
        }
    }

    fn start_and_wait(
        &self,
        held: &mut Held,
        store: &Store,
        signals: &Signals,
        ahead: Option<Ahead>,
    ) -> Result<Outcome, RunError> {
        let writes = self.plan.root.writable().is_some();
        let _in_use = writes.then(|| claim::private_area(held, store)).transpose()?;
        let group = claim::group(held, &self.plan.cgroup)?;
        mark(Mark::Grouped);
        let streams = Streams::open(self.streams).map_err(RunError::Streams)?;
        let (child, mut memory) = self.spawn(group.as_ref(), &streams, ahead)?;
        // While the program runs already; it has to be there before the state says so.
        held.save_config(&self.spec)?;
        let process = ProcessId::of(child.pid).map_err(RunError::Identity)?;
        held.set_status(Status::Running { process })?;
        mark(Mark::Recorded);
        let ended = supervise::wait(child, signals, streams, self.limits, memory.as_mut())?;
        mark(Mark::Ended);
        // How the program ended counts more than a counter that cannot be read.
        let counted = group.oom_kills().unwrap_or(0);
        let out_of_memory = counted.max(memory.map_or(0, |memory| memory.kills()));
        Ok(Outcome { ended, out_of_memory, left_behind: None })
    }

    fn spawn(
        &self,
        group: &dyn Cgroup,
        streams: &Streams,
        ahead: Option<Ahead>,
    ) -> Result<(spawn::Child, Option<OomWatch>), RunError> {
        let join = group.join()?;
        let child = streams.lend(|stdio| spawn::spawn(&self.plan, &join, stdio, ahead))?;
        Ok((child, join.scope.and_then(|scope| scope.watch())))
    }
}

/// Clears after a container that ended; its state says how, or goes too.
fn settle(mut held: Held, outcome: &Outcome) -> Result<(), RuntimeError> {
    runtime::clear_ended(held.state())?;
    if held.state().remove {
        return held.remove();
    }
    let exit = Exit { code: outcome.ended.code(), out_of_memory: outcome.out_of_memory > 0 };
    held.set_status(Status::Stopped { exit: Some(exit), finished: Timestamp::now() })
}

/// The unpacked image as a root of its own descriptor.
fn root_of(snapshot: &Snapshot) -> Result<Root, RunError> {
    let fd = snapshot.root().try_clone_to_owned().map_err(RunError::Streams)?;
    Ok(Root::from_fd(fd, snapshot.path().to_owned()))
}

/// A terminal inside starts with the size of the caller's, before the program can ask for it.
fn set_console_size(spec: &mut Spec) {
    let Some(process) = spec.process_mut().as_mut().filter(|it| it.terminal() == Some(true)) else {
        return;
    };
    let size = supervise::window_size()
        .and_then(|size| BoxBuilder::default().width(size.ws_col).height(size.ws_row).build().ok());
    process.set_console_size(size);
}

/// What the image wants to be asked to end with.
fn stop_signal(config: &common::oci::ImageConfiguration) -> Result<Signal, RunError> {
    let named = config.config().as_ref().and_then(|config| config.stop_signal().as_ref());
    // Docker writes "" for none.
    match named.filter(|name| !name.is_empty()) {
        Some(name) => name.parse().map_err(RunError::StopSignal),
        None => Ok(Signal::TERM),
    }
}
