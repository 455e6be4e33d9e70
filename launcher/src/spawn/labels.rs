//! Labels of security modules, and the session keyring with its own.
//!
//! They are written through the *host's* procfs, which the launcher opens: `self` in it is whoever asks, in whatever
//! namespaces. What lies at `/proc` inside the container plays no part, so a forged one that swallows a label cannot
//! start the program unconfined (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2025-52881).

use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstat, fstatfs, openat2};
use rustix::io::Errno;

use super::Step;
use super::step::{At, Done};
use crate::plan::{Keyring, Labels, Security};
use crate::sys;

/// The inode number of the root of every procfs (`PROC_ROOT_INO` of `linux/proc_fs.h`).
const ROOT_INODE: u64 = 1;

/// In the launcher: the host's procfs, verified (R2), when something has to be written there.
pub(super) fn open_procfs(needed: bool) -> Done<Option<OwnedFd>> {
    if !needed {
        return Ok(None);
    }
    let open = || {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = openat2(CWD, c"/proc", flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
        let real = fstatfs(&proc)?.f_type == PROC_SUPER_MAGIC && fstat(&proc)?.st_ino == ROOT_INODE;
        if real { Ok(proc) } else { Err(Errno::MEDIUMTYPE) }
    };
    open().map(Some).at(Step::Label, "/proc")
}

/// The labels that exec will give the program.
pub(super) fn at_exec(labels: &Labels, proc: Option<BorrowedFd<'_>>) -> Done {
    if let Some(label) = &labels.selinux {
        write(proc, &[c"self/attr/exec"], label.as_bytes()).at(Step::Label, label)?;
    }
    if let Some(profile) = &labels.apparmor {
        // Since Linux 5.8 each module has attributes of its own, so that several can be stacked.
        let files = [c"self/attr/apparmor/exec", c"self/attr/exec"];
        write(proc, &files, format!("exec {profile}").as_bytes()).at(Step::Label, profile)?;
    }
    Ok(())
}

/// The session keyring, which has the program's label where there is one.
pub(super) fn join_keyring(security: &Security, proc: Option<BorrowedFd<'_>>) -> Done {
    let Some(keyring) = &security.keyring else { return Ok(()) };
    let label = security.labels.selinux.as_deref();
    let create = |label: &[u8]| write(proc, &[c"self/attr/keycreate"], label);
    if let Some(label) = label {
        create(label.as_bytes()).at(Step::Label, label)?;
    }
    let joined = join(keyring).at(Step::Keyring, &keyring.name);
    if label.is_some() {
        create(b"").at(Step::Label, "keycreate")?;
    }
    joined
}

fn join(keyring: &Keyring) -> Result<(), Errno> {
    let name = CString::new(keyring.name.as_str()).or(Err(Errno::INVAL))?;
    let key = match sys::keyring::join_session(&name) {
        Ok(key) => key,
        // A kernel without keyrings has none that could be shared; a filter around the launcher hides them from the program too.
        Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    match keyring.permissions {
        Some(added) => {
            let known = sys::keyring::permissions(key)?;
            sys::keyring::set_permissions(key, known | added)
        }
        None => Ok(()),
    }
}

/// Writes to the first of the files that exists.
fn write(
    proc: Option<BorrowedFd<'_>>,
    files: &[&std::ffi::CStr],
    value: &[u8],
) -> Result<(), Errno> {
    let proc = proc.ok_or(Errno::NOSYS)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let open = |file: &std::ffi::CStr| {
        openat2(proc, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), resolve)
    };
    let mut opened = Err(Errno::NOENT);
    for file in files {
        opened = open(file);
        if !matches!(opened, Err(Errno::NOENT)) {
            break;
        }
    }
    match rustix::io::write(opened?, value)? {
        written if written == value.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}
