//! Everything that the child needs, made ready before it exists: strings, descriptors, folders.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::handshake::{At, Done};
use super::init::Init;
use super::{Stdio, Step, place, program};
use crate::cgroup::Join;
use crate::plan::{MapWriter, Plan, RootPlan, Source};
use crate::sys::exec::Strings;

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
    /// Detached copies of folders that root inside may not be allowed to reach by path.
    trees: Vec<(PathBuf, OwnedFd)>,
}

/// Where `upper` and `work` are, in the container's own folder. A folder of their own, because that one belongs to the
/// launcher and is closed to root inside.
pub(super) fn layer(writable: &Path) -> PathBuf {
    writable.join("layer")
}

impl<'a> Setup<'a> {
    /// Prepares the child of `plan`.
    pub(super) fn new(
        plan: &'a Plan,
        cgroup: &'a Join,
        stdio: Stdio<'a>,
        socket: BorrowedFd<'_>,
    ) -> Done<Self> {
        let process = &plan.process;
        let argument = |_| Errno::INVAL;
        write_files(plan)?;
        make_layer(plan)?;
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
            trees: open_trees(plan)?,
        })
    }

    /// A detached copy of the mount at `path`: the prepared one, or one made now.
    pub(super) fn tree(&self, path: &Path, recursive: bool) -> Result<OwnedFd, Errno> {
        match self.prepared(path) {
            Some(tree) => rustix::io::fcntl_dupfd_cloexec(tree, 3),
            None => place::tree(path, recursive),
        }
    }

    /// The prepared copy of the mount at `path`.
    pub(super) fn prepared(&self, path: &Path) -> Option<BorrowedFd<'_>> {
        self.trees.iter().find(|(known, _)| known == path).map(|(_, tree)| tree.as_fd())
    }
}

/// The files that the plan generates.
fn write_files(plan: &Plan) -> Done {
    let owner = owner(plan);
    for file in &plan.files {
        let shown = file.path.display();
        if let Some(folder) = file.path.parent() {
            make_folder(folder, 0o755).at(Step::Prepare, folder.display())?;
        }
        let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let fd =
            rustix::fs::open(&file.path, flags | OFlags::WRONLY, mode).at(Step::Prepare, &shown)?;
        // The umask is the caller's, the mode is ours.
        rustix::fs::fchmod(&fd, mode).at(Step::Prepare, &shown)?;
        if let Some((uid, gid)) = owner {
            rustix::fs::fchown(&fd, Some(uid), Some(gid)).at(Step::Prepare, &shown)?;
        }
        std::io::Write::write_all(&mut std::fs::File::from(fd), file.content.as_bytes())
            .at(Step::Prepare, &shown)?;
    }
    Ok(())
}

/// The folders of the writable layer, owned by root inside.
fn make_layer(plan: &Plan) -> Done {
    let RootPlan::Overlay { writable, .. } = &plan.root else { return Ok(()) };
    let layer = layer(writable);
    discard_work(&layer.join("work")).at(Step::Prepare, layer.display())?;
    // The upper folder's mode is what `/` inside shows.
    for (folder, mode) in
        [(layer.clone(), 0o700), (layer.join("upper"), 0o755), (layer.join("work"), 0o700)]
    {
        make_folder(&folder, mode).at(Step::Prepare, folder.display())?;
        if let Some((uid, gid)) = owner(plan) {
            rustix::fs::chownat(
                CWD,
                &folder,
                Some(uid),
                Some(gid),
                rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
            )
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

/// Launched by root with a user namespace, root inside may pass through none of the host's private folders: the launcher
/// takes copies of the mounts along. (Everyone else's child has the rights that its launcher has.)
fn open_trees(plan: &Plan) -> Done<Vec<(PathBuf, OwnedFd)>> {
    let Some(maps) = plan.id_maps.as_ref().filter(|maps| maps.idmapped_root) else {
        return Ok(Vec::new());
    };
    debug_assert_eq!(maps.writer, MapWriter::Launcher, "only root shows idmapped mounts");
    let mut wanted = vec![(plan.root.lower().to_owned(), false)];
    if let RootPlan::Overlay { writable, .. } = &plan.root {
        wanted.push((layer(writable), false));
    }
    wanted.extend(plan.mounts.iter().filter_map(|mount| match &mount.source {
        Source::Bind { path, recursive } => Some((path.clone(), *recursive)),
        Source::New { .. } => None,
    }));
    wanted.extend(plan.files.iter().map(|file| (file.path.clone(), false)));
    wanted
        .into_iter()
        .map(|(path, recursive)| {
            let tree = place::tree(&path, recursive).at(Step::OpenSource, path.display())?;
            Ok((path, tree))
        })
        .collect()
}
