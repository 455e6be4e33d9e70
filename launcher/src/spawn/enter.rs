//! A further process in a container that runs.
//!
//! ```text
//! launcher                          joiner                           process
//! clone3 into the container's ----> its v1 groups; not dumpable
//! cgroup                            setns, all namespaces at once
//!                                   clone3 with CLONE_PARENT ------> in the pid namespace now,
//! <------------------ process ----- ends                             and still the launcher's child
//!                                                                    session, root, working directory
//! <------------------------------------------------------ console -- terminal
//! <---------------------------------------------------- executing -- confine, exec
//! <-------------------------------------------------- end of file --
//! ```
//!
//! The namespaces are those of the container's first process, by its pidfd: whatever becomes of its number, they are its
//! (Linux 5.8). Nothing is resolved or executed inside before the process has the container's root as its own (R1, R7),
//! and from the first step inside it is not dumpable (R4).

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Gid, Mode, OFlags, Uid};

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, Signal};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::confine::Rights;
use super::handshake::{self, Word};
use super::launch::surround;
use super::step::{At, Done};
use super::{Child, SpawnError, Stdio, Step};
use super::{
    abandon, credentials, end_of, home, labels, listener, place, program, scheduling, terminal,
};
use crate::cgroup::Join;
use crate::plan::EnterPlan;
use crate::runtime::ProcessId;
use crate::sys;
use crate::sys::clone::Side;
use crate::sys::exec::Strings;
use crate::sys::seccomp::Filter;
use crate::sys::signal::Until;

/// `DEVPTS_SUPER_MAGIC` of linux/magic.h.
const DEVPTS: rustix::fs::FsWord = 0x1cd1;

/// Namespaces by their names in `/proc/<pid>/ns`.
const NAMESPACES: [(&str, ThreadNameSpaceType); 8] = [
    ("user", ThreadNameSpaceType::USER),
    ("mnt", ThreadNameSpaceType::MOUNT),
    ("pid", ThreadNameSpaceType::PROCESS_ID),
    ("ipc", ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION),
    ("uts", ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME),
    ("net", ThreadNameSpaceType::NETWORK),
    ("cgroup", ThreadNameSpaceType::CONTROL_GROUP),
    ("time", ThreadNameSpaceType::TIME),
];

/// A container that runs, as its first process shows it.
#[derive(Debug)]
pub struct Inside {
    pidfd: OwnedFd,
    root: OwnedFd,
    namespaces: ThreadNameSpaceType,
    deny_setgroups: bool,
}

impl Inside {
    /// That of this first process; `None` when it has ended.
    ///
    /// # Errors
    /// What the host says of it cannot be read.
    pub fn of(process: ProcessId) -> std::io::Result<Option<Self>> {
        let Some(pidfd) = process.open()? else { return Ok(None) };
        let found = Self::read(process.pid);
        // Everything was its own if it still lives.
        match sys::pidfd::send_signal(pidfd.as_fd(), 0) {
            Err(Errno::SRCH) => return Ok(None),
            other => other?,
        }
        let (root, namespaces, deny_setgroups) = match found {
            // One that has ended and was not waited for has a pid, but no namespaces any more.
            Err(Errno::NOENT | Errno::SRCH) => return Ok(None),
            other => other?,
        };
        Ok(Some(Self { pidfd, root, namespaces, deny_setgroups }))
    }

    fn read(pid: i32) -> Result<(OwnedFd, ThreadNameSpaceType, bool), Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(format!("/proc/{pid}/root"), flags, Mode::empty())?;
        let mut namespaces = ThreadNameSpaceType::empty();
        for (name, kind) in NAMESPACES {
            let ours = match rustix::fs::stat(format!("/proc/self/ns/{name}")) {
                // A kernel without this kind.
                Err(Errno::NOENT) => continue,
                other => other?,
            };
            let theirs = rustix::fs::stat(format!("/proc/{pid}/ns/{name}"))?;
            namespaces.set(kind, (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino));
        }
        let setgroups = std::fs::read_to_string(format!("/proc/{pid}/setgroups"));
        Ok((root, namespaces, setgroups.is_ok_and(|word| word.trim() == "deny")))
    }

    /// Its root, as a descriptor below which its own files can be looked up.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The kinds that are its own.
    fn names(&self) -> String {
        let own = NAMESPACES.iter().filter(|(_, kind)| self.namespaces.contains(*kind));
        own.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    }
}

/// What the two children work with.
struct Setup<'a> {
    plan: &'a EnterPlan,
    inside: &'a Inside,
    cgroup: &'a Join,
    stdio: Stdio<'a>,
    arguments: Strings,
    environment: Strings,
    candidates: Vec<std::ffi::CString>,
    filter: Option<Filter>,
    procfs: Option<OwnedFd>,
}

impl<'a> Setup<'a> {
    fn new(
        plan: &'a EnterPlan,
        inside: &'a Inside,
        cgroup: &'a Join,
        stdio: Stdio<'a>,
    ) -> Done<Self> {
        let process = &plan.process;
        let strings =
            |texts: &[String]| Strings::new(texts.iter().map(String::as_str)).or(Err(Errno::INVAL));
        Ok(Self {
            plan,
            inside,
            cgroup,
            stdio,
            arguments: strings(&process.argv).at(Step::Prepare, "the arguments")?,
            environment: strings(&process.env).at(Step::Prepare, "the environment")?,
            candidates: program::candidates(process.argv.first(), &process.env)
                .or(Err(Errno::INVAL))
                .at(Step::Prepare, "the program's name")?,
            filter: plan.security.seccomp.as_ref().map(Filter::from),
            procfs: labels::open_procfs(!plan.security.labels.is_empty())?,
        })
    }

    fn rights<'b>(&'b self, socket: BorrowedFd<'b>) -> Rights<'b> {
        Rights {
            process: &self.plan.process,
            security: &self.plan.security,
            set_groups: !self.inside.deny_setgroups,
            filter: self.filter.as_ref(),
            procfs: self.procfs.as_ref().map(AsFd::as_fd),
            launcher: socket,
            signals: Until::Default,
            close_from: 3 + self.plan.preserved_descriptors,
        }
    }
}

/// Starts the process of `plan` in the container; returns when its program has been executed.
///
/// The caller must be single-threaded and out of reach ([`super::out_of_reach`]).
///
/// # Errors
///
/// Nothing is left behind on an error.
pub fn enter(
    plan: &EnterPlan,
    inside: &Inside,
    cgroup: &Join,
    stdio: Stdio<'_>,
) -> Result<Child, SpawnError> {
    let (ours, theirs) = handshake::pair().at(Step::Prepare, "the handshake")?;
    let setup = Setup::new(plan, inside, cgroup, stdio)?;
    scheduling::pin(plan.process.affinity.initial.as_ref())?;
    let side = sys::clone::fork_into(0, cgroup.v2.as_ref().map(AsFd::as_fd))
        .at(Step::JoinCgroup, "the container's")?;
    let (pid, joiner) = match side {
        Side::Child => {
            drop(ours);
            let Err(failure) = join(&setup, &theirs);
            handshake::fail(theirs.as_fd(), &failure);
            sys::clone::exit_now(125)
        }
        Side::Parent { pid, pidfd } => (pid, pidfd),
    };
    drop(theirs);
    let mut process = None;
    let done = surround(cgroup, pid, &ours).and_then(|()| accompany(plan, &ours, &mut process));
    if done.is_err() {
        abandon(&joiner);
    }
    let end = end_of(&joiner);
    match (done, process) {
        (Ok((true, console)), Some((pid, pidfd))) => Ok(Child { pid, pidfd, console }),
        (done, process) => {
            let end = process.map_or(end, |(_, pidfd)| {
                let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
                end_of(&pidfd)
            });
            done?;
            Err(SpawnError::Died(end))
        }
    }
}

/// Listens until the program runs, or neither process is left. Whether it runs, and its terminal.
fn accompany(
    plan: &EnterPlan,
    socket: &OwnedFd,
    process: &mut Option<(Pid, OwnedFd)>,
) -> Result<(bool, Option<OwnedFd>), SpawnError> {
    // One wake-up for all that is said, unless a listener has to be there before the program can be executed.
    if plan.security.listener.is_none() {
        handshake::wait_for_end(socket.as_fd()).at(Step::Prepare, "the handshake")?;
    }
    let (mut console, mut executing) = (None, false);
    loop {
        match handshake::listen(socket.as_fd()).at(Step::Prepare, "the handshake")? {
            Word::Born(pid, pidfd) => *process = Some((pid, pidfd)),
            Word::Console(descriptor) => console = Some(descriptor),
            Word::Listener(descriptor) => {
                let (pid, _) = born(process.as_ref())?;
                listener::deliver(&plan.security, *pid, &descriptor)?;
            }
            Word::ListenerAt(number) => {
                let (pid, pidfd) = born(process.as_ref())?;
                let descriptor = listener::take(pidfd, number)?;
                listener::deliver(&plan.security, *pid, &descriptor)?;
            }
            Word::Executing => executing = true,
            Word::Failed(failure) => return Err(failure.into()),
            Word::Gone => return Ok((executing, console)),
            _ => return Err(Errno::BADMSG).at(Step::Prepare, "the handshake")?,
        }
    }
}

/// The process, which has been born before it says anything.
fn born(process: Option<&(Pid, OwnedFd)>) -> Done<&(Pid, OwnedFd)> {
    process.ok_or(Errno::BADMSG).at(Step::Prepare, "the handshake")
}

/// The joiner's story.
fn join(setup: &Setup<'_>, socket: &OwnedFd) -> Done<Infallible> {
    let socket = socket.as_fd();
    die_with_launcher(socket)?;
    if setup.cgroup.scope.is_some() {
        // The launcher has systemd move this process.
        handshake::await_go(socket).at(Step::JoinCgroup, "the scope")?;
    }
    for tasks in &setup.cgroup.v1 {
        rustix::io::write(tasks, b"0").at(Step::JoinCgroup, "tasks")?;
    }
    credentials::oom_score_adj(&setup.plan.process)?;
    // Nobody inside may trace us, or open our descriptors in /proc (CVE-2016-9962).
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .at(Step::Prepare, "the process")?;
    let inside = setup.inside;
    if !inside.namespaces.is_empty() {
        move_into_thread_name_spaces(inside.pidfd.as_fd(), inside.namespaces)
            .at(Step::JoinNamespace, inside.names())?;
    }
    if inside.namespaces.contains(ThreadNameSpaceType::USER) {
        become_root(setup.plan.process.groups.is_none() || inside.deny_setgroups)?;
    }
    match sys::clone::fork_sibling(0).at(Step::Clone, "pid")? {
        Side::Parent { pid, pidfd } => {
            handshake::born(socket, pid, pidfd.as_fd()).at(Step::Prepare, "the handshake")?;
            sys::clone::exit_now(0)
        }
        Side::Child => become_program(setup, socket),
    }
}

/// Root of the joined user namespace, where it has one.
fn become_root(keep_groups: bool) -> Done {
    if !keep_groups {
        rustix::thread::set_thread_groups(&[]).at(Step::Credentials, "0")?;
    }
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    let become_root = rustix::thread::set_thread_res_gid(gid, gid, gid)
        .and_then(|()| rustix::thread::set_thread_res_uid(uid, uid, uid));
    match become_root {
        Err(Errno::INVAL) => Ok(()),
        other => other.at(Step::Credentials, "0"),
    }
}

/// The process's story.
fn become_program(setup: &Setup<'_>, socket: BorrowedFd<'_>) -> Done<Infallible> {
    let process = &setup.plan.process;
    die_with_launcher(socket)?;
    // A session of its own: no controlling terminal of the caller (CVE-2017-5226).
    rustix::process::setsid().at(Step::Terminal, "a new session")?;
    rustix::process::umask(Mode::empty());
    let root = enter_root(setup)?;
    let peer = if process.terminal { Some(open_terminal(setup, &root, socket)?) } else { None };
    credentials::enter_folder(
        process,
        place::open(root.as_fd(), process.cwd.as_bytes(), OFlags::DIRECTORY),
    )?;
    match &peer {
        Some(peer) => terminal::take(peer)?,
        None => terminal::streams(setup.stdio)?,
    }
    let environment = home::environment(process, root.as_fd())?;
    let rights = setup.rights(socket);
    rights.confine(|| die_with_launcher(socket))?;
    if !setup.plan.dies_with_parent {
        rustix::process::set_parent_process_death_signal(None)
            .at(Step::Prepare, "the parent-death signal")?;
    }
    handshake::executing(socket).at(Step::Exec, "the program")?;
    rights.seal()?;
    let environment = environment.as_ref().unwrap_or(&setup.environment);
    Err(program::execute(&setup.candidates, &setup.arguments, environment))
}

/// A mount namespace that is the container's has put us on its root. A container that shares the host's, or joined somebody
/// else's, has only its first process's.
fn enter_root(setup: &Setup<'_>) -> Done<OwnedFd> {
    if !setup.plan.owns_mounts {
        rustix::process::fchdir(&setup.inside.root)
            .and_then(|()| rustix::process::chroot(c"."))
            .at(Step::Pivot, "/")?;
    }
    rustix::process::chdir(c"/").at(Step::Pivot, "/")?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(c"/", flags, Mode::empty()).at(Step::Pivot, "/")
}

/// A terminal of the container's own devpts, which is looked at before it is believed to be one (R8): the folder can be
/// the container's to mount upon. The program's side comes by descriptor, from the controlling one.
fn open_terminal(setup: &Setup<'_>, root: &OwnedFd, socket: BorrowedFd<'_>) -> Done<OwnedFd> {
    let devpts = place::open(root.as_fd(), b"/dev/pts", OFlags::DIRECTORY)
        .and_then(|folder| match rustix::fs::fstatfs(&folder)?.f_type {
            DEVPTS => Ok(folder),
            _ => Err(Errno::NOTTY),
        })
        .at(Step::Terminal, "/dev/pts")?;
    let (console, peer) =
        terminal::new(devpts.as_fd(), &setup.plan.process, setup.stdio.plain_lines)?;
    handshake::send_console(socket, console.as_fd()).at(Step::Terminal, "/dev/pts/ptmx")?;
    Ok(peer)
}

/// The launcher's death ends a process that has not become its program yet; a program only where it is to die with it.
fn die_with_launcher(socket: BorrowedFd<'_>) -> Done {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .at(Step::Prepare, "the parent-death signal")?;
    if handshake::launcher_lives(socket) {
        Ok(())
    } else {
        Err(Errno::OWNERDEAD).at(Step::Prepare, "the launcher")
    }
}
