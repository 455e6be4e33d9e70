//! How a loader is asked that nobody trusts: as a process without a right, a network or a view of the
//! host.
//!
//! ```text
//! coracle ──▶ coracle __ask-loader (one thread: a user namespace needs that)
//!             0 descriptors that were left open are closed
//!             1 namespaces: mounts, processes, network, IPC, host name; and users, unless root starts it
//!             2 the root becomes `/`, read-only; the host's is unmounted        pivot_root(2)
//!             3 as nobody, limits on time, memory and files, no new privileges
//!             4 ──▶ the loader, process 1 of its namespace, killed when its time is over
//! ```
//! With a user namespace, the person's own id is called nobody inside, so that the first `exec` loses
//! every capability; root becomes nobody in fact. What is left to the loader is to read its root, to
//! compute, and to answer.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use common::tree::ImagePath;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_no_new_privs;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{
    Gid, Uid, chdir, close, getegid, geteuid, pivot_root, setgroups, setresgid, setresuid,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::loader::{Answer, NO_ANSWER, Question, answer, cannot_start, listen, start};
use crate::elf::Name;
use crate::resolve::{Libc, Sysroot};

/// The verb of `coracle` that [`enter`]s; it is not for people.
pub const VERB: &str = "__ask-loader";

/// `nobody`, by the number that most systems give it.
const NOBODY: u32 = 65534;
/// A loader that computes for longer is stopped by the kernel; one that sleeps, by the process before it.
const SECONDS: u64 = 5;
/// Address space: a loader maps all libraries of a program.
const MEMORY: u64 = 8 << 30;
/// What an error of the jail starts with, on standard error.
const REFUSED: &[u8] = b"coracle-jail: ";

/// Asks a loader of `sysroot` in a jail of its own. The running program, which is `coracle`, starts
/// itself again for it.
///
/// # Errors
/// Why it could not be asked.
pub fn ask(question: &Question, sysroot: &Sysroot) -> Result<Answer, String> {
    let mut command = Command::new("/proc/self/exe");
    let os = |name: &Name| OsString::from_vec(name.as_bytes().to_vec());
    command.env_clear().arg(VERB).arg("--");
    command.arg(sysroot.root().label()).arg(question.libc.to_string());
    command.arg(os(&question.loader)).arg(question.program.as_path());
    command.arg(question.library_path.as_ref().map_or_else(OsString::new, os));
    command.args(question.preload.iter().map(os));
    let mut child = start(&mut command)?;
    let said = listen(&mut child);
    // It is not killed: only it can end the loader, and it does so when its time is over.
    let _status = child.wait();
    let (stdout, stderr) = said?;
    // The last word is that of the process before the loader. (The loader can say the same: then it was
    // not asked, as far as anybody knows.)
    let last =
        stderr.split(|&byte| byte == b'\n').rev().find_map(|line| line.strip_prefix(REFUSED));
    match last {
        Some(why) => Err(Name::from(why).to_string()),
        None => Ok(answer(&stdout, &stderr, question.libc)),
    }
}

/// The arguments of [`VERB`], in order.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    root: PathBuf,
    libc: String,
    loader: OsString,
    program: OsString,
    library_path: OsString,
    preload: Vec<OsString>,
}

/// Goes into the jail and asks. What goes wrong before is said on standard error.
pub fn enter(arguments: Arguments) {
    if let Err(why) = run(arguments) {
        use std::io::Write as _;
        let text = [b"\n", REFUSED, why.as_bytes(), b"\n"].concat();
        // Whoever started this one reads it; if not, nobody does.
        let _said = io::stderr().write_all(&text);
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
    let name = |text: OsString| Name::from(text.into_vec());
    let program = arguments.program.into_vec();
    let question = Question {
        libc: if arguments.libc == Libc::Musl.to_string() { Libc::Musl } else { Libc::Glibc },
        loader: name(arguments.loader),
        program: ImagePath::new(program).map_err(|error| error.to_string())?,
        library_path: Some(name(arguments.library_path)).filter(|n| !n.as_bytes().is_empty()),
        preload: arguments.preload.into_iter().map(name).collect(),
    };
    let from_root = geteuid().is_root();
    step("cannot block signals", outlive().thread_block())?;
    close_inherited().map_err(|error| format!("cannot close what is open: {error}"))?;
    step("cannot make namespaces", namespaces(from_root))?;
    step("cannot enter the root", change_root(&arguments.root))?;
    step("cannot become nobody", become_nobody(from_root))?;
    step("cannot set limits", limits())?;
    let mut child = question.command().spawn().map_err(|error| cannot_start(&error))?;
    match wait(&mut child) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{NO_ANSWER} {SECONDS} s")),
        Err(error) => Err(format!("cannot wait for it: {error}")),
    }
}

/// Ctrl-C and its like, which reach this process too: it has to outlive the loader.
fn outlive() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

/// Closes what whoever started `coracle` left open. This process has opened nothing yet.
fn close_inherited() -> io::Result<()> {
    let numbers: Vec<i32> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for number in numbers.into_iter().filter(|&number| number > 2) {
        // The folder's own descriptor is closed already.
        let _closed = close(number);
    }
    Ok(())
}

fn step(what: &str, result: nix::Result<()>) -> Result<(), String> {
    result.map_err(|number| format!("{what}: {}", number.desc()))
}

/// Mounts, network and processes of its own. An ordinary user may make them in a user namespace only.
fn namespaces(from_root: bool) -> nix::Result<()> {
    let (user, group) = (geteuid(), getegid());
    let mut flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    if !from_root {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags)?;
    if !from_root {
        // user_namespaces(7): without this, a group map is refused to who is not privileged.
        write("/proc/self/setgroups", "deny")?;
        write("/proc/self/uid_map", &format!("{NOBODY} {user} 1"))?;
        write("/proc/self/gid_map", &format!("{NOBODY} {group} 1"))?;
    }
    Ok(())
}

fn write(file: &str, text: &str) -> nix::Result<()> {
    fs::write(file, text)
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO)))
}

/// The root, read-only, becomes `/`; nothing of the host stays mounted. (`chroot` could be left again.)
fn change_root(root: &Path) -> nix::Result<()> {
    let none = None::<&str>;
    // Nothing of what follows reaches the host's mounts.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    // pivot_root(2) wants a mount point that is not the root already.
    let target = if root == Path::new("/") { Path::new("/tmp") } else { root };
    mount(Some(root), target, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
    chdir(target)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    let flags = MsFlags::MS_REMOUNT
        | MsFlags::MS_BIND
        | MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV
        | kept(statvfs("/")?.flags());
    mount(none, "/", none, flags, none)
}

/// Flags that a user namespace may not take away (`mount_namespaces(7)`).
fn kept(flags: FsFlags) -> MsFlags {
    [
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ]
    .into_iter()
    .filter(|(flag, _)| flags.contains(*flag))
    .fold(MsFlags::empty(), |all, (_, flag)| all | flag)
}

fn become_nobody(from_root: bool) -> nix::Result<()> {
    if from_root {
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        setgroups(&[])?;
        setresgid(group, group, group)?;
        setresuid(user, user, user)?;
    }
    set_no_new_privs()
}

fn limits() -> nix::Result<()> {
    for (resource, most) in [
        (Resource::RLIMIT_CPU, SECONDS),
        (Resource::RLIMIT_AS, MEMORY),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
    ] {
        setrlimit(resource, most, most)?;
    }
    Ok(())
}

/// Waits for so long, then kills: what the loader started dies with it, because it is process 1. Whether
/// it ended by itself. (No thread can help: the kernel allows none once there is a new namespace of
/// processes, `unshare(2)`.)
fn wait(child: &mut Child) -> io::Result<bool> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let ended = loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], left) {
            Err(Errno::EINTR) => {}
            // Whatever is wrong with waiting, nothing of the jail stays.
            answer => break answer == Ok(1),
        }
    };
    if !ended {
        child.kill()?;
    }
    child.wait()?;
    Ok(ended)
}
