//! The child lets go of its privileges: limits, user, capabilities.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::process::{Rlimit as KernelRlimit, setrlimit};
use rustix::thread::{CapabilitySet as KernelSet, CapabilitySets as KernelSets};

use super::step::{At, Done};
use super::{Step, place};
use crate::plan::{CapabilitySets, Process};
use crate::spec::{Capability, CapabilitySet};

/// How readily the out-of-memory killer takes this process. Before it stops being dumpable: after that, the file
/// belongs to the host's root.
pub(super) fn oom_score_adj(process: &Process) -> Done {
    let Some(score) = process.oom_score_adj else { return Ok(()) };
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(c"/proc/self/oom_score_adj", flags, Mode::empty())
        .and_then(|file| rustix::io::write(file, score.to_string().as_bytes()))
        .at(Step::OomScore, score)
        .map(drop)
}

/// Resource limits.
pub(super) fn limits(process: &Process) -> Done {
    for limit in &process.rlimits {
        let new = KernelRlimit { current: limit.soft, maximum: limit.hard };
        setrlimit(limit.kind.kernel(), new).at(Step::Limit, limit.kind.name())?;
    }
    Ok(())
}

/// The working directory, resolved below the root, made where it is missing. The process's root *is* the container's by
/// now, so what is entered lies inside; that getcwd agrees is checked all the same, since a descriptor of the host that
/// leaked here would be the way out (CVE-2024-21626).
pub(super) fn enter_workdir(process: &Process, root: BorrowedFd<'_>) -> Done {
    enter_folder(process, place::folder(root, &process.cwd))
}

/// The working directory as it was found below the root: where the process joins others, it is not made.
pub(super) fn enter_folder(process: &Process, found: Result<OwnedFd, Errno>) -> Done {
    let point = found.at(Step::WorkDir, &process.cwd)?;
    rustix::process::fchdir(&point).at(Step::WorkDir, &process.cwd)?;
    // The kernel marks a directory outside the root with `(unreachable)`, and libc turns that into ENOENT.
    let path = rustix::process::getcwd(Vec::with_capacity(256)).at(Step::WorkDir, &process.cwd)?;
    if path.to_bytes().starts_with(b"/") {
        Ok(())
    } else {
        Err(Errno::XDEV).at(Step::WorkDir, &process.cwd)
    }
}

/// Gives the program's input and output to its user. Never `/dev/null`, which is everybody's. Where the kernel will not have
/// it (the file's owner is nobody inside, or its file system is read-only), the program has what it has.
pub(super) fn own_streams(process: &Process) -> Done {
    if !process.own_streams {
        return Ok(());
    }
    let (stdin, stdout, stderr) =
        (rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr());
    for stream in [stdin, stdout, stderr] {
        let stat = rustix::fs::fstat(stream).at(Step::Credentials, process.uid)?;
        if stat.st_uid == process.uid || stat.st_rdev == rustix::fs::makedev(1, 3) {
            continue;
        }
        match rustix::fs::fchown(stream, Some(Uid::from_raw(process.uid)), None) {
            Ok(()) | Err(Errno::PERM | Errno::ROFS | Errno::INVAL | Errno::NOSYS) => {}
            Err(errno) => return Err(errno).at(Step::Credentials, process.uid),
        }
    }
    Ok(())
}

/// Whether the user namespace that this process is in denies setgroups(2) (`user_namespaces(7)`).
fn groups_are_denied() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny")
}

/// Becomes the plan's user. Capabilities survive the change so that [`capabilities`] can set them as planned.
pub(super) fn become_user(process: &Process, set_groups: bool) -> Done {
    let who = format_args!("{}:{}", process.uid, process.gid).to_string();
    if let Some(groups) = process.groups.as_ref().filter(|_| set_groups) {
        // At most NGROUPS_MAX: planned from a bounded file.
        let groups: Vec<Gid> = groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
        match rustix::thread::set_thread_groups(&groups) {
            // In a user namespace of an ordinary user's making nobody can; then there is none to be set either.
            Err(Errno::PERM) if groups.is_empty() && groups_are_denied() => {}
            other => other.at(Step::Credentials, &who)?,
        }
    }
    rustix::thread::set_keep_capabilities(true).at(Step::Credentials, &who)?;
    let (uid, gid) = (Uid::from_raw(process.uid), Gid::from_raw(process.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid).at(Step::Credentials, &who)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).at(Step::Credentials, &who)
}

/// Drops from the bounding set what the plan does not have in it. Needs `CAP_SETPCAP`, so before [`capabilities`].
pub(super) fn bound(sets: CapabilitySets) -> Done {
    for number in 0..64_u32 {
        let bit = KernelSet::from_bits_retain(1 << number);
        if sets.bounding.bits() & bit.bits() != 0 {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(bit) {
            Ok(()) => {}
            // Past the last capability of this kernel.
            Err(Errno::INVAL) if number > Capability::CHOWN as u32 => break,
            Err(errno) => return Err(errno).at(Step::Capabilities, number),
        }
    }
    Ok(())
}

/// Sets the other four sets.
pub(super) fn capabilities(sets: CapabilitySets) -> Done {
    let kernel = |set: CapabilitySet| KernelSet::from_bits_retain(set.bits());
    let new = KernelSets {
        effective: kernel(sets.effective),
        permitted: kernel(sets.permitted),
        inheritable: kernel(sets.inheritable),
    };
    rustix::thread::set_capabilities(None, new).at(Step::Capabilities, Names(sets.permitted))?;
    rustix::thread::clear_ambient_capability_set().at(Step::Capabilities, "ambient")?;
    for capability in sets.ambient.iter() {
        let bit = KernelSet::from_bits_retain(1 << (capability as u8));
        rustix::thread::configure_capability_in_ambient_set(bit, true)
            .at(Step::Capabilities, capability.name())?;
    }
    Ok(())
}

/// Printed only in a message.
struct Names(CapabilitySet);

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, capability) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { " " }, capability.name())?;
        }
        Ok(())
    }
}
