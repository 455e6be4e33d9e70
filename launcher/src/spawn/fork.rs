//! The container's first process comes into being, in its namespaces.
//!
//! Mostly by one clone3. Some namespaces take effect for children only (pid, time), and those that exist are joined with
//! other rights than those of a new user namespace. Where that matters a process in between does it, and has the child
//! as its sibling:
//!
//! ```text
//! launcher ──clone3──▶ between                      joins its cgroups
//!                      between                      user: joined; or what else exists joined, then user made
//! launcher ──maps, G─▶ between                      becomes root inside; joins the rest; makes the clocks
//!    │                 between ──clone3 (PARENT)──▶ the container's first process
//!    ◀── P pid, pidfd ─ between ends
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Gid, Pid, Uid};
use rustix::thread::move_into_link_name_space;

use super::prepare::Setup;
use super::step::{At, Done};
use super::{Step, child, handshake, ids};
use crate::plan::{IdMaps, NamespaceKind, Plan};
use crate::sys;
use crate::sys::clone::Side;

/// What the launcher gets: the container's first process, or one that will say who that is.
#[derive(Debug)]
pub(super) struct Born {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    /// It is the one in between.
    pub(super) between: bool,
}

impl Plan {
    /// Whether a process in between is needed.
    pub(super) fn needs_between(&self) -> bool {
        let joined = |kind| self.has(kind) && !self.has_new(kind);
        joined(NamespaceKind::Pid)
            || joined(NamespaceKind::User)
            || self.has_new(NamespaceKind::Time)
            || self.has_new(NamespaceKind::User) && self.joined().next().is_some()
    }

    /// The flags of the namespaces that the clone of the container's first process makes. The cgroup namespace is made by
    /// that process itself, after it has joined its cgroup.
    fn clone_flags(&self) -> u64 {
        let made_before = |kind| {
            matches!(kind, NamespaceKind::Cgroup | NamespaceKind::Time)
                || kind == NamespaceKind::User && self.needs_between()
        };
        self.namespaces
            .iter()
            .filter(|namespace| namespace.path.is_none() && !made_before(namespace.kind))
            .fold(0, |flags, namespace| flags | namespace.kind.flag())
    }
}

impl Setup<'_> {
    /// Whether the launcher has nothing to do for the child until that has executed its program.
    fn is_on_its_own(&self) -> bool {
        let plan = self.plan;
        self.cgroup.scope.is_none()
            && plan.id_maps.is_none()
            && self.says_nothing_urgent()
            && plan.hooks.is_empty()
    }

    /// Whether this namespace was made ahead.
    pub(super) fn was_made(&self, kind: NamespaceKind) -> bool {
        self.made.namespaces.iter().any(|(made, _)| *made == kind)
    }

    /// The flags of the namespaces that were made ahead.
    fn made_flags(&self) -> u64 {
        self.made.namespaces.iter().fold(0, |flags, (kind, _)| flags | kind.flag())
    }

    /// Whether all that the child says can be heard when it has ended or executed its program.
    pub(super) fn says_nothing_urgent(&self) -> bool {
        self.gate.is_none() && self.plan.security.listener.is_none() && self.guests.is_empty()
    }
}

/// Forks. The child does not return. One that is on its own borrows the launcher's memory, and has executed its program
/// when this returns.
pub(super) fn fork(setup: &Setup<'_>, ours: &OwnedFd, theirs: &OwnedFd) -> Result<Born, Errno> {
    let plan = setup.plan;
    let between = plan.needs_between();
    let flags = if between { 0 } else { plan.clone_flags() & !setup.made_flags() };
    let cgroup = setup.cgroup.v2.as_ref().map(AsFd::as_fd);
    if !between && setup.is_on_its_own() {
        let mut child = || child::become_program(setup, Some(ours), theirs);
        let (pid, pidfd) = sys::clone::run_into(flags, cgroup, &mut child)?;
        return Ok(Born { pid, pidfd, between });
    }
    match sys::clone::fork_into(flags, cgroup)? {
        Side::Child if between => stand_between(setup, ours, theirs),
        Side::Child => child::become_program(setup, Some(ours), theirs),
        Side::Parent { pid, pidfd } => Ok(Born { pid, pidfd, between }),
    }
}

/// The life of the process in between. In the container's first process, it goes on as that.
fn stand_between(setup: &Setup<'_>, ours: &OwnedFd, theirs: &OwnedFd) -> ! {
    sys::clone::close_copy(ours.as_fd());
    let socket = theirs.as_fd();
    let done = enter(setup, socket).and_then(|()| {
        sys::clone::fork_sibling(setup.plan.clone_flags())
            .at(Step::Clone, setup.plan.namespace_names())
    });
    match done {
        Ok(Side::Child) => child::become_program(setup, None, theirs),
        Ok(Side::Parent { pid, pidfd }) => {
            let told = handshake::born(socket, pid, pidfd.as_fd());
            sys::clone::exit_now(i32::from(told.is_err()))
        }
        Err(failure) => {
            handshake::fail(socket, &failure);
            sys::clone::exit_now(125)
        }
    }
}

/// Joins and makes what the container's first process has to be born into.
fn enter(setup: &Setup<'_>, socket: BorrowedFd<'_>) -> Done {
    let plan = setup.plan;
    child::die_with_launcher(setup, socket)?;
    child::join_cgroups(setup, socket)?;
    let clocks = open_clocks(plan).at(Step::Clocks, "the time namespace")?;
    if let Some(maps) = &plan.id_maps {
        // Those that exist belong to the host, where a new user namespace has no say.
        join_all(setup, 0)?;
        own_users(maps, plan.process.groups.is_none(), socket)?;
        untraceable()?;
    } else {
        untraceable()?;
        let joined = join_own(setup);
        join_users(setup)?;
        join_all(setup, joined)?;
    }
    child::die_with_launcher(setup, socket)?;
    if plan.has_new(NamespaceKind::Time) {
        sys::clone::unshare(NamespaceKind::Time.flag()).at(Step::Clone, "time")?;
        set_clocks(plan, clocks.as_ref()).at(Step::Clocks, "the time namespace")?;
    }
    Ok(())
}

/// Who is inside a namespace that exists, and who is in a pid namespace into which the container's first process is born, must not
/// trace either (CVE-2016-9962). After the maps, which only the owner of a dumpable process may write.
fn untraceable() -> Done {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .at(Step::Prepare, "the process")
}

/// A new user namespace, with its ids.
fn own_users(maps: &IdMaps, keep_groups: bool, socket: BorrowedFd<'_>) -> Done {
    sys::clone::unshare(NamespaceKind::User.flag()).at(Step::Clone, "user")?;
    handshake::unmapped(socket).at(Step::MapIds, "the container")?;
    handshake::await_go(socket).at(Step::MapIds, "the container")?;
    ids::become_root(maps, keep_groups)
}

/// Joins a user namespace and becomes its root.
fn join_users(setup: &Setup<'_>) -> Done {
    let Some((_, link)) = setup.joined.iter().find(|(kind, _)| *kind == NamespaceKind::User) else {
        return Ok(());
    };
    // The kernel refuses to join the one that the process is in.
    if !is_ours(link).at(Step::JoinNamespace, "user")? {
        move_into_link_name_space(link.as_fd(), Some(NamespaceKind::User.link()))
            .at(Step::JoinNamespace, "user")?;
    }
    if setup.plan.process.groups.is_some() {
        // Denied where the namespace's maker was an ordinary user: then there is nothing to drop.
        let _ = rustix::thread::set_thread_groups(&[]);
    }
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_res_gid(gid, gid, gid).at(Step::Credentials, "0")?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).at(Step::Credentials, "0")
}

fn is_ours(link: &OwnedFd) -> Result<bool, Errno> {
    let (ours, theirs) = (rustix::fs::stat("/proc/self/ns/user")?, rustix::fs::fstat(link)?);
    Ok((ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino))
}

/// Joins what was made ahead.
pub(super) fn join_made(setup: &Setup<'_>) -> Done {
    for (kind, link) in &setup.made.namespaces {
        move_into_link_name_space(link.as_fd(), Some(kind.link()))
            .at(Step::JoinNamespace, kind.name())?;
    }
    Ok(())
}

/// Joins what the launcher may join, before its user namespace is another, in which it could no longer join what belongs to
/// the host. Not a mount namespace: paths are still the host's. Which kinds these were, as flags.
fn join_own(setup: &Setup<'_>) -> u64 {
    let early = |kind| !matches!(kind, NamespaceKind::User | NamespaceKind::Mount);
    let join = |kind: NamespaceKind, link: &OwnedFd| {
        move_into_link_name_space(link.as_fd(), Some(kind.link())).is_ok()
    };
    let joined = setup.joined.iter().filter(|(kind, link)| early(*kind) && join(*kind, link));
    joined.fold(0, |flags, (kind, _)| flags | kind.flag())
}

/// Joins all but a user namespace and what is joined already. One of another kind than it should be is EINVAL.
pub(super) fn join_all(setup: &Setup<'_>, joined: u64) -> Done {
    let done = joined | NamespaceKind::User.flag();
    for (kind, link) in setup.joined.iter().filter(|(kind, _)| done & kind.flag() == 0) {
        move_into_link_name_space(link.as_fd(), Some(kind.link()))
            .at(Step::JoinNamespace, setup.plan.path_of(*kind))?;
    }
    Ok(())
}

/// Where it is written by how much clocks differ, if they do. Opened before ids change: the files of a process that has
/// changed them are the host's root's, and it is the opener whose rights count at the write.
fn open_clocks(plan: &Plan) -> Result<Option<OwnedFd>, Errno> {
    if plan.time_offsets.is_empty() {
        return Ok(None);
    }
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(c"/proc/self/timens_offsets", flags, Mode::empty()).map(Some)
}

/// Written before anyone is in the namespace: later it cannot be (`time_namespaces(7)`).
fn set_clocks(plan: &Plan, file: Option<&OwnedFd>) -> Result<(), Errno> {
    let Some(file) = file else { return Ok(()) };
    for (clock, offset) in &plan.time_offsets {
        let line = format!("{clock} {} {}\n", offset.seconds, offset.nanoseconds);
        rustix::io::write(file, line.as_bytes())?;
    }
    Ok(())
}
