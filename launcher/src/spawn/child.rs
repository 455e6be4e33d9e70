//! The child's story, from its first instruction to exec.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{DumpableBehavior, Signal};

use super::handshake;
use super::hooks::Around;
use super::prepare::Setup;
use super::sources::Trees;
use super::step::{At, Done, Failure};
use super::{
    Step, credentials, devices, fork, home, hooks, ids, init, mounts, network, paths, program,
    root, sysctls, terminal,
};
use crate::network::Network;
use crate::plan::{HookKind, NamespaceKind, Sources};
use crate::sys;
use crate::sys::exec::Strings;
use crate::timing::{Mark, mark};

/// Becomes the container's program, or says why not and ends. `launchers` is the launcher's side of `socket`, unless that
/// is closed already.
pub(super) fn become_program(
    setup: &Setup<'_>,
    launchers: Option<&OwnedFd>,
    socket: &OwnedFd,
) -> ! {
    if let Some(launchers) = launchers {
        // Closed here, so that the launcher's death is seen as the end of its side.
        sys::clone::close_copy(launchers.as_fd());
    }
    mark(Mark::Born);
    let socket = socket.as_fd();
    let environment = match create(setup, socket) {
        Ok(environment) => environment,
        Err(failure) => give_up(socket, &failure),
    };
    let environment = environment.as_ref().unwrap_or(&setup.environment);
    let Some(gate) = &setup.gate else { start(setup, environment, socket) };
    match gate.wait(setup, socket) {
        // From here on it is the starter who is told.
        Ok(starter) => start(setup, environment, starter.as_fd()),
        Err(failure) => give_up(socket, &failure),
    }
}

fn give_up(socket: BorrowedFd<'_>, failure: &Failure) -> ! {
    handshake::fail(socket, failure);
    sys::clone::exit_now(125)
}

/// All but the program. Returns what its environment is, where that was found inside.
fn create(setup: &Setup<'_>, socket: BorrowedFd<'_>) -> Done<Option<Strings>> {
    let plan = setup.plan;
    let early = isolate(setup, socket)?;
    let trees = early.as_ref().unwrap_or(&setup.trees);
    mark(Mark::Isolated);
    let root::Mounted { root, files } = root::mount(setup, trees)?;
    mark(Mark::Rooted);
    let known = mounts::mount_all(setup, trees, files, root.as_fd())?;
    mark(Mark::Mounted);
    devices::make_all(setup, root.as_fd())?;
    mark(Mark::Devices);
    let peer = if plan.process.terminal {
        Some(terminal::open(known.devpts.as_ref(), root.as_fd(), socket, setup)?)
    } else {
        None
    };
    // Parameters before `/proc/sys` becomes read-only.
    sysctls::set_all(plan, known.proc.as_ref().or(setup.procfs.as_ref()))?;
    paths::cover(setup, root.as_fd())?;
    mark(Mark::Covered);
    identity(setup, socket)?;
    mark(Mark::Named);
    run_hooks(setup, socket, root.as_fd())?;
    root::enter(plan, root.as_fd())?;
    // May have to be made, so before the root is sealed.
    credentials::enter_workdir(&plan.process, root.as_fd())?;
    known.seal()?;
    root::seal(setup, root.as_fd())?;
    match &peer {
        Some(peer) => terminal::take(peer)?,
        None => terminal::streams(setup.stdio)?,
    }
    mark(Mark::Inside);
    let environment = home::environment(&plan.process, root.as_fd())?;
    let rights = setup.rights(socket);
    if let Some(gate) = &setup.gate {
        // Closed with all others, so their owners must not do it.
        std::mem::forget((root, known, peer, early));
        gate.let_go(setup, socket)?;
    }
    rights.confine(|| die_with_launcher(setup, socket))?;
    if setup.gate.is_some() {
        if let Some(procfs) = &setup.procfs {
            sys::clone::close_copy(procfs.as_fd());
        }
        program::find(&setup.candidates, &setup.arguments)?;
    }
    if seals_early(setup) {
        rights.seal()?;
    }
    mark(Mark::Confined);
    Ok(environment)
}

/// The program.
fn start(setup: &Setup<'_>, environment: &Strings, socket: BorrowedFd<'_>) -> ! {
    let Err(failure) = run_program(setup, environment, socket);
    give_up(socket, &failure)
}

fn run_program(
    setup: &Setup<'_>,
    environment: &Strings,
    socket: BorrowedFd<'_>,
) -> Done<Infallible> {
    if let Some(told) = &setup.told {
        let list = &setup.plan.hooks.start_container;
        let around = Around { state: &told.created, folder: None, env: Some(environment) };
        hooks::run_all(list, HookKind::StartContainer, around)?;
    }
    if !seals_early(setup) {
        setup.rights(socket).seal()?;
    }
    execute(setup, environment, socket)
}

/// Where it can, the filter waits with the program: nothing that we do has to pass it. But its listener is the affair of
/// whoever makes the container.
fn seals_early(setup: &Setup<'_>) -> bool {
    setup.gate.is_none() || setup.plan.security.listener.is_some()
}

/// The launcher's hooks, and those that run in the container's namespaces while the host's files are still there.
fn run_hooks(setup: &Setup<'_>, socket: BorrowedFd<'_>, root: BorrowedFd<'_>) -> Done {
    let list = &setup.plan.hooks;
    if setup.told.is_none() && !list.at_creation() {
        return Ok(());
    }
    handshake::hooks(socket).at(Step::Prepare, "the hooks")?;
    handshake::await_go(socket).at(Step::Prepare, "the hooks")?;
    match &setup.told {
        Some(told) => {
            // In the container's root, as seen from outside: other runtimes' hooks rely on it.
            rustix::process::fchdir(root).at(Step::Prepare, "the hooks")?;
            let around = Around { state: &told.creating, folder: None, env: None };
            hooks::run_all(&list.create_container, HookKind::CreateContainer, around)
        }
        None => Ok(()),
    }
}

/// Own cgroup, own ids, own session, own mounts. Returns what of the host's had to be opened before these were its own.
fn isolate(setup: &Setup<'_>, socket: BorrowedFd<'_>) -> Done<Option<Trees>> {
    let plan = setup.plan;
    die_with_launcher(setup, socket)?;
    credentials::oom_score_adj(&plan.process)?;
    let between = plan.needs_between();
    if !between {
        join_cgroups(setup, socket)?;
        if let Some(maps) = &plan.id_maps {
            handshake::await_go(socket).at(Step::MapIds, "the container")?;
            ids::become_root(maps, plan.process.groups.is_none())?;
            die_with_launcher(setup, socket)?;
        }
    }
    // Nobody inside may trace us, or open our descriptors in /proc, while we still hold those of the host
    // (CVE-2016-9962). After the maps, which only the owner of a dumpable process may write.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .at(Step::Prepare, "the process")?;
    // The root of a cgroup namespace is where its maker is, so this one is made after joining.
    if plan.has_new(NamespaceKind::Cgroup) {
        sys::clone::unshare(NamespaceKind::Cgroup.flag()).at(Step::Clone, "cgroup")?;
    }
    if !between {
        fork::join_made(setup)?;
        fork::join_all(setup, 0)?;
    }
    // A session of its own: no controlling terminal of the caller, into which TIOCSTI could type (CVE-2017-5226).
    rustix::process::setsid().at(Step::Terminal, "a new session")?;
    let early = (plan.sources == Sources::Early).then(|| Trees::open(plan, Sources::Early));
    let early = early.transpose()?;
    if plan.has_new(NamespaceKind::Mount) {
        // What is mounted from here on stays here; what the host mounts may still come in.
        let kind = if plan.receives_mounts() {
            MountPropagationFlags::DOWNSTREAM
        } else {
            MountPropagationFlags::PRIVATE
        };
        mount_change(c"/", kind | MountPropagationFlags::REC).at(Step::Propagation, "/")?;
    }
    // Modes of what is made are as written, whatever the caller's mask.
    rustix::process::umask(Mode::empty());
    Ok(early)
}

/// Into the cgroups first: what follows is work of the container and counts as such. A process that writes itself pays no
/// grace period.
pub(super) fn join_cgroups(setup: &Setup<'_>, socket: BorrowedFd<'_>) -> Done {
    if setup.cgroup.scope.is_some() {
        // The launcher has a scope made around this process.
        handshake::await_go(socket).at(Step::JoinCgroup, "the scope")?;
    }
    for tasks in &setup.cgroup.v1 {
        rustix::io::write(tasks, b"0").at(Step::JoinCgroup, "tasks")?;
    }
    Ok(())
}

/// Killed at any moment, the launcher takes the child along: until exec that holds the container's lock too, and who
/// comes to clear would take it for a living launcher. One that waits to be started lets go of that later. A change of
/// credentials undoes this (prctl(2)), so it is repeated after each.
pub(super) fn die_with_launcher(setup: &Setup<'_>, socket: BorrowedFd<'_>) -> Done {
    if !setup.plan.dies_with_parent && setup.gate.is_none() {
        return Ok(());
    }
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .at(Step::Prepare, "the parent-death signal")?;
    if handshake::launcher_lives(socket) {
        Ok(())
    } else {
        Err(Errno::OWNERDEAD).at(Step::Prepare, "the launcher")
    }
}

/// Names and network.
fn identity(setup: &Setup<'_>, socket: BorrowedFd<'_>) -> Done {
    let plan = setup.plan;
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.as_bytes()).at(Step::Hostname, name)?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name.as_bytes()).at(Step::Hostname, name)?;
    }
    match plan.network {
        Network::Shared => Ok(()),
        // It is up.
        Network::Loopback if setup.was_made(NamespaceKind::Network) => Ok(()),
        Network::Loopback => sys::net::loopback_up().at(Step::Network, "lo"),
    }?;
    network::receive_all(&setup.guests, socket)
}

fn execute(setup: &Setup<'_>, environment: &Strings, socket: BorrowedFd<'_>) -> Done<Infallible> {
    if let Some(image) = &setup.init {
        return Err(init::execute(image, environment, socket));
    }
    handshake::executing(socket).at(Step::Exec, "the program")?;
    Err(program::execute(&setup.candidates, &setup.arguments, environment))
}
