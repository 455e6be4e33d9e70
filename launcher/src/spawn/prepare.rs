//! Everything that the child needs, made ready before it exists: strings, descriptors, folders.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid};
use rustix::io::Errno;

use super::ahead::Made;
use super::confine::Rights;
use super::gate::Gate;
use super::hooks::Told;
use super::init::Init;
use super::lent::Lent;
use super::network::Guest;
use super::sources::Trees;
use super::step::{At, Done};
use super::{Stdio, Step, labels, namespaces, network, owners, program};
use crate::cgroup::Join;
use crate::plan::{Mount, NamespaceKind, Plan, Source, Sources};
use crate::sys::exec::Strings;
use crate::sys::seccomp::Filter;
use crate::sys::signal::Until;

/// What the child works with. It allocates nothing that is not needed to report a failure.
#[derive(Debug)]
pub(super) struct Setup<'a> {
    pub(super) plan: &'a Plan,
    pub(super) cgroup: &'a Join,
    pub(super) stdio: Stdio<'a>,
    pub(super) arguments: Strings,
    pub(super) environment: Strings,
    /// Where the program may be, in the order of `PATH`.
    pub(super) candidates: Vec<CString>,
    /// Process 1, when the plan wants one: a sealed copy of this program.
    pub(super) init: Option<Init>,
    /// Existing namespaces to be joined.
    pub(super) joined: Vec<(NamespaceKind, OwnedFd)>,
    /// What of the container exists already.
    pub(super) made: Made,
    /// Where it waits to be started; `None` for a run straight through.
    pub(super) gate: Option<Gate>,
    /// What hooks are told that run in the child.
    pub(super) told: Option<Told>,
    /// The system call filter, when the plan has one.
    pub(super) filter: Option<Filter>,
    /// Devices of the host that become the container's.
    pub(super) guests: Vec<Guest>,
    /// The host's procfs, when something is written there.
    pub(super) procfs: Option<OwnedFd>,
    /// Nodes that the container cannot make.
    pub(super) lent: Option<Lent>,
    /// Detached copies of what root inside may not be allowed to reach by path.
    pub(super) trees: Trees,
}

impl<'a> Setup<'a> {
    /// Prepares the child of `plan`.
    pub(super) fn new(
        plan: &'a Plan,
        cgroup: &'a Join,
        stdio: Stdio<'a>,
        socket: BorrowedFd<'_>,
        folder: Option<BorrowedFd<'_>>,
    ) -> Done<Self> {
        let process = &plan.process;
        let argument = |_| Errno::INVAL;
        make_layer(plan)?;
        let trees = Trees::open(plan, Sources::Launcher)?;
        owners::map_own(plan, &trees)?;
        owners::map_as_joined(plan, &trees)?;
        let init =
            plan.init.then(|| Init::new(socket, process.terminal, &process.argv)).transpose();
        Ok(Self {
            plan,
            cgroup,
            stdio,
            arguments: Strings::new(process.argv.iter().map(String::as_str))
                .map_err(argument)
                .at(Step::Prepare, "the arguments")?,
            environment: Strings::new(process.env.iter().map(String::as_str))
                .map_err(argument)
                .at(Step::Prepare, "the environment")?,
            candidates: program::candidates(process.argv.first(), &process.env)
                .map_err(argument)
                .at(Step::Prepare, "the program's name")?,
            init: init.at(Step::Init, "the program")?,
            filter: plan.security.seccomp.as_ref().map(Filter::from),
            guests: network::look_up(&plan.network_devices)?,
            procfs: labels::open_procfs(needs_procfs(plan))?,
            joined: namespaces::open_joined(plan)?,
            made: Made::default(),
            gate: folder.map(Gate::new).transpose().at(Step::Prepare, "the start socket")?,
            told: Told::new(plan).at(Step::Prepare, "the hooks")?,
            lent: Lent::make(plan),
            trees,
        })
    }

    /// The descriptors that are still needed when the root has been entered. The host's procfs is closed before the wait.
    pub(super) fn kept_while_waiting(&self) -> Vec<RawFd> {
        let told = self.told.iter().map(|told| told.created.as_raw_fd());
        let procfs = self.procfs.iter().map(AsRawFd::as_raw_fd);
        told.chain(self.init.iter().map(Init::image)).chain(procfs).collect()
    }

    /// What the program is and may do; `launcher` is the child's side of the handshake.
    pub(super) fn rights<'b>(&'b self, launcher: BorrowedFd<'b>) -> Rights<'b> {
        Rights {
            process: &self.plan.process,
            security: &self.plan.security,
            set_groups: self.plan.id_maps.as_ref().is_none_or(|maps| !maps.deny_setgroups),
            filter: self.filter.as_ref(),
            procfs: self.procfs.as_ref().map(AsFd::as_fd),
            launcher,
            signals: if self.gate.is_some() { Until::End } else { Until::Default },
            close_from: 3 + self.plan.preserved_descriptors,
        }
    }
}

/// Whether something is written to the host's procfs: labels always, parameters where the container has none.
fn needs_procfs(plan: &Plan) -> bool {
    let own = |mount: &Mount| matches!(&mount.source, Source::New { filesystem, .. } if filesystem == "proc");
    !plan.security.labels.is_empty()
        || !plan.security.sysctls.is_empty() && !plan.mounts.iter().any(own)
}

/// The folders of the writable layer, owned by root inside: the container's folder itself, too, which root inside has to
/// pass through, and which lies in one that is closed to everyone.
fn make_layer(plan: &Plan) -> Done {
    let Some(writable) = plan.root.writable() else { return Ok(()) };
    let (upper, work) = (writable.join("upper"), writable.join("work"));
    discard_work(&work).at(Step::Prepare, work.display())?;
    // The upper folder's mode is what `/` inside shows.
    make_folder(&upper, 0o755).at(Step::Prepare, upper.display())?;
    make_folder(&work, 0o700).at(Step::Prepare, work.display())?;
    if let Some((uid, gid)) = owner(plan) {
        for folder in [writable, &upper, &work] {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(CWD, folder, Some(uid), Some(gid), flags)
                .at(Step::Prepare, folder.display())?;
        }
    }
    Ok(())
}

/// Removes what an earlier start left in `work`. Nothing in it is of use, and a `volatile` mark in it would keep overlayfs
/// from being mounted again (Documentation/filesystems/overlayfs.rst, "Volatile mount").
fn discard_work(work: &Path) -> std::io::Result<()> {
    let inner = work.join("work");
    match rustix::fs::chmod(&inner, Mode::RWXU) {
        Ok(()) => std::fs::remove_dir_all(work),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes a folder with exactly this mode, whatever the umask.
fn make_folder(path: &Path, mode: u32) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(mode);
    match rustix::fs::mkdir(path, mode) {
        Ok(()) => rustix::fs::chmod(path, mode),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Root inside, where that is someone else than the launcher and the launcher may give files away.
fn owner(plan: &Plan) -> Option<(Uid, Gid)> {
    let maps = plan.id_maps.as_ref().filter(|maps| maps.idmapped_root)?;
    Some((Uid::from_raw(maps.root_uid()?), Gid::from_raw(maps.root_gid()?)))
}
