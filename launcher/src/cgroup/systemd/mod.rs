//! The systemd driver: a container's group is a transient scope, made by systemd at our request, because two managers of
//! one tree undo each other's work.
//!
//! ```text
//! scope        Request -> ScopePlan: unit, slice, properties           pure
//! properties   limits -> properties;  annotations  a caller's own      pure
//! value wire   what is said, as bytes of D-Bus
//! bus          a connection;  manager  what is asked of systemd
//! ```
//!
//! A scope is made around a process, so the child comes first, waits, and goes on when it is where it belongs
//! ([`Pending::start`]); with the other driver it is born there. Limits are properties, so that systemd does not reset
//! them, and are written to the files as well: exactly, and where there is no property. In v1 systemd knows only some
//! hierarchies; groups of the same name in the others are ours to make and remove.

mod annotations;
mod bus;
mod manager;
mod properties;
pub(super) mod scope;
mod value;
mod wire;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::create::{Made, fill};
use super::update::enable_above;
use super::{
    Cgroup, CgroupError, CgroupPaths, CgroupPlan, GroupPlan, Join, OomWatch, Stats, folder, reopen,
    v2,
};
use crate::host::{Host, Version};

pub use bus::BusError;
use manager::Manager;
pub use manager::ManagerError;
pub use scope::{ScopePlan, Unit};
pub use value::{Property, Value};

fn failed<E: Into<ManagerError>>(what: &'static str, unit: &Unit) -> impl FnOnce(E) -> CgroupError {
    let unit = unit.name.clone();
    move |source| CgroupError::Systemd { what, unit, source: source.into() }
}

/// Makes what is ours to make, and prepares the scope. The container's process makes it real.
pub(super) fn create(plan: &CgroupPlan, scope: &ScopePlan) -> Result<Box<dyn Cgroup>, CgroupError> {
    let connect = failed("be asked for", &scope.unit);
    let mut manager = Manager::connect(scope.unit.user).map_err(connect)?;
    let mut plan = plan.clone();
    if scope.unit.user {
        // Where a user's manager is, only it knows for sure.
        let own = manager.control_group().map_err(failed("be asked for", &scope.unit))?;
        plan.move_to(&ScopePlan { manager: own.into(), ..scope.clone() });
    }
    free(&mut manager, &plan)?;
    let mut made = Made::default();
    let (ours, unified): (Vec<_>, Vec<_>) =
        plan.groups.iter().cloned().partition(|group| group.version == Version::V1);
    for group in &ours {
        made.group(group)?;
        fill(group)?;
    }
    made.keep();
    let paths = plan.paths();
    let Some(scope) = plan.scope else { return Ok(reopen(&paths)) };
    let unit = scope.unit.clone();
    let all = CgroupPaths { unit: None, ..paths.clone() };
    let work = Work::Make { scope, unified, all };
    let pending = Pending::new(manager, unit, work);
    Ok(Box::new(Scoped::new(paths, Some(pending))))
}

/// A scope of that name that lives is another container's, and must not be stopped with a failed start of ours.
fn free(manager: &mut Manager, plan: &CgroupPlan) -> Result<(), CgroupError> {
    let Some(scope) = &plan.scope else { return Ok(()) };
    let Some(group) = plan.groups.iter().find(|group| group.version == Version::V2) else {
        // In v1 the folders say it.
        return Ok(());
    };
    let found = match manager.control_group_of(&scope.unit.name) {
        Ok(found) => found,
        // It knows no such unit.
        Err(BusError::Error { .. }) => return Ok(()),
        Err(error) => return Err(failed("be asked for", &scope.unit)(error)),
    };
    if found.is_empty() {
        return Ok(());
    }
    let path = group.anchor.join(found.trim_start_matches('/'));
    match folder::processes(&path)?.len() {
        0 => Ok(()),
        count => Err(CgroupError::Occupied { path, count }),
    }
}

impl CgroupPlan {
    /// The same groups where another place of the scope puts them.
    fn move_to(&mut self, scope: &ScopePlan) {
        for group in &mut self.groups {
            group.path = group.anchor.join(scope.path());
        }
        self.scope = Some(scope.clone());
    }
}

/// A process that systemd is to put where it belongs, while it waits.
#[derive(Debug)]
pub struct Pending {
    manager: RefCell<Manager>,
    unit: Unit,
    work: Work,
    memory: RefCell<Option<OomWatch>>,
}

#[derive(Debug)]
enum Work {
    /// Into a scope that is made around it.
    Make { scope: ScopePlan, unified: Vec<GroupPlan>, all: CgroupPaths },
    /// Into a group of a scope that is there, at this path below it.
    Attach { below: PathBuf },
}

impl Pending {
    fn new(manager: Manager, unit: Unit, work: Work) -> Self {
        Self { manager: RefCell::new(manager), unit, work, memory: RefCell::default() }
    }

    /// What watches the memory of a scope that was [started](Pending::start), from before its process went on: systemd
    /// leaves nothing to be read at its end. `None` without the memory controller, and when it was taken already.
    pub fn watch(&self) -> Option<OomWatch> {
        self.memory.take()
    }

    /// Has systemd do it, and applies what there are no properties for.
    ///
    /// # Errors
    /// systemd refuses, or the kernel refuses a value.
    pub fn start(&self, pid: u32) -> Result<(), CgroupError> {
        let (mut manager, unit) = (self.manager.borrow_mut(), &self.unit);
        match &self.work {
            Work::Attach { below } => manager
                .attach(&unit.name, &Path::new("/").join(below).to_string_lossy(), pid)
                .map_err(failed("take a process in", unit)),
            Work::Make { scope, unified, all } => {
                manager
                    .start_scope(&unit.name, &scope.properties, scope.droppable, pid)
                    .map_err(failed("be made", unit))?;
                unified.iter().try_for_each(|group| settle(&mut manager, unit, group))?;
                // Only to explain an end: without it the container runs as well.
                *self.memory.borrow_mut() = reopen(all).watch_memory().ok();
                Ok(())
            }
        }
    }
}

/// The group of a scope that was made: it is where it should be, and gets its limits.
fn settle(manager: &mut Manager, unit: &Unit, group: &GroupPlan) -> Result<(), CgroupError> {
    let real = manager.control_group_of(&unit.name).map_err(failed("be found", unit))?;
    let real = group.anchor.join(real.trim_start_matches('/'));
    if real != group.path {
        let (unit, path) = (unit.name.clone(), real);
        return Err(CgroupError::Elsewhere { unit, path, expected: group.path.clone() });
    }
    // systemd enables the controllers that it knows; hugetlb is none of them.
    for &controller in &group.needed {
        enable_above(&group.anchor, &group.path, controller)?;
    }
    fill(group)
}

/// Groups that belong to a scope.
#[derive(Debug)]
pub(super) struct Scoped {
    paths: CgroupPaths,
    unit: Unit,
    groups: Box<dyn Cgroup>,
    pending: RefCell<Option<Pending>>,
}

impl Scoped {
    fn new(paths: CgroupPaths, pending: Option<Pending>) -> Self {
        let unit = paths.unit.clone().unwrap_or(Unit { name: String::new(), user: false });
        let groups = reopen(&CgroupPaths { groups: paths.groups.clone(), unit: None });
        Self { paths, unit, groups, pending: RefCell::new(pending) }
    }

    /// A scope that another process made.
    pub(super) fn reopen(paths: CgroupPaths) -> Self {
        Self::new(paths, None)
    }

    /// How a further process joins. Whoever is outside of the user's own tree, in a login's session for one, may not move
    /// processes into it; the user's manager has the system's do it.
    fn further(&self, join: Join, process: Option<u32>) -> Result<Join, CgroupError> {
        let Some(group) = self.paths.groups.iter().find(|group| group.version == Version::V2)
        else {
            return Ok(join);
        };
        if !self.unit.user || reachable(&group.path)? {
            return Ok(join);
        }
        let target = match process {
            Some(process) => v2::group_beside(&group.path, process)?,
            None => group.path.clone(),
        };
        let scope =
            target.ancestors().find(|path| path.file_name() == Some(self.unit.name.as_ref()));
        let below =
            scope.and_then(|scope| target.strip_prefix(scope).ok()).unwrap_or(Path::new(""));
        let manager =
            Manager::connect(self.unit.user).map_err(failed("be asked for", &self.unit))?;
        let work = Work::Attach { below: below.to_owned() };
        let pending = Pending::new(manager, self.unit.clone(), work);
        Ok(Join { scope: Some(pending), v2: None, ..join })
    }

    fn version(&self) -> Version {
        let v1 = self.paths.groups.iter().any(|group| group.version == Version::V1);
        if v1 { Version::V1 } else { Version::V2 }
    }
}

impl Cgroup for Scoped {
    fn paths(&self) -> &CgroupPaths {
        &self.paths
    }

    fn join(&self) -> Result<Join, CgroupError> {
        let Some(pending) = self.pending.take() else {
            return self.further(self.groups.join()?, None);
        };
        // The unified group does not exist yet.
        let groups = self.paths.groups.iter().filter(|group| group.version == Version::V1);
        let ours = reopen(&CgroupPaths { groups: groups.cloned().collect(), unit: None });
        Ok(Join { scope: Some(pending), ..ours.join()? })
    }

    fn join_beside(&self, process: u32) -> Result<Join, CgroupError> {
        self.further(self.groups.join_beside(process)?, Some(process))
    }

    fn kill(&self) -> Result<(), CgroupError> {
        self.groups.kill()
    }

    fn processes(&self) -> Result<Vec<u32>, CgroupError> {
        self.groups.processes()
    }

    fn freeze(&self, frozen: bool) -> Result<(), CgroupError> {
        self.groups.freeze(frozen)
    }

    fn frozen(&self) -> Result<bool, CgroupError> {
        self.groups.frozen()
    }

    fn update(&mut self, resources: &LinuxResources) -> Result<(), CgroupError> {
        // The files first: they can be undone. Then systemd, which would otherwise write the old values one day.
        self.groups.update(resources)?;
        self.paths.groups.clone_from(&self.groups.paths().groups);
        let properties = properties::of(resources, self.version());
        if properties.is_empty() {
            return Ok(());
        }
        let mut manager =
            Manager::connect(self.unit.user).map_err(failed("be changed", &self.unit))?;
        manager.set(&self.unit.name, &properties).map_err(failed("be changed", &self.unit))?;
        // systemd rounds; the exact values stay.
        self.groups.update(resources)
    }

    fn watch_memory(&self) -> Result<OomWatch, CgroupError> {
        self.groups.watch_memory()
    }

    fn oom_kills(&self) -> Result<u64, CgroupError> {
        self.groups.oom_kills()
    }

    fn stats(&self) -> Result<Stats, CgroupError> {
        self.groups.stats()
    }

    fn remove(&self) -> Result<(), CgroupError> {
        let stopped = Manager::connect(self.unit.user)
            .map_err(ManagerError::from)
            .and_then(|mut manager| manager.stop(&self.unit.name));
        // Groups that a container made inside, and those in hierarchies that systemd does not know.
        self.groups.remove()?;
        let gone = |path: &PathBuf| !Path::exists(path);
        if self.paths.groups.iter().map(|group| &group.path).all(gone) {
            // A manager that does not answer has nothing left to do here: an empty scope ends by itself.
            return Ok(());
        }
        stopped.map_err(failed("be stopped", &self.unit))
    }
}

/// Whether we may move a process of ours there: `cgroup.procs` of the nearest group that both places are below must be
/// writable (cgroup-v2.rst, "Delegation Containment").
fn reachable(group: &Path) -> Result<bool, CgroupError> {
    let host = Host::probe()?;
    let Some(hierarchy) = host.cgroups()?.v2() else { return Ok(true) };
    let own = hierarchy.folder(&hierarchy.own);
    let common = group.ancestors().find(|above| own.starts_with(above));
    let procs = common.unwrap_or(&hierarchy.mount).join("cgroup.procs");
    Ok(accessat(CWD, &procs, Access::WRITE_OK, AtFlags::EACCESS).is_ok())
}
