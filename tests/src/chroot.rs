//! Work in another root, or as another user, while the rest of the test goes on as it was.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Does something with `root` as the root, in a thread of its own. (`chroot` as a program would itself be traced,
/// and subject to what a test sets for the program that it starts.)
///
/// # Panics
/// When it is not root who asks, or `root` is no folder.
pub fn inside<T: Send>(root: &Path, work: impl FnOnce() -> T + Send) -> T {
    in_thread(|| {
        unshare(CloneFlags::CLONE_FS).expect("a root of its own");
        enter(root);
        work()
    })
}

/// The same with `/proc`, which must be a folder there: what a program needs to know its own path. The mount is
/// the thread's own, and ends with it.
///
/// # Panics
/// As [`inside`].
pub fn inside_with_proc<T: Send>(root: &Path, work: impl FnOnce() -> T + Send) -> T {
    in_thread(|| {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .expect("private mounts");
        mount(Some("/proc"), &root.join("proc"), none, MsFlags::MS_BIND, none).expect("/proc");
        enter(root);
        work()
    })
}

/// Does something as the user and group `id`, without any privilege of root, in a thread of its own.
///
/// # Panics
/// When it is not root who asks.
pub fn as_user<T: Send>(id: u32, work: impl FnOnce() -> T + Send) -> T {
    in_thread(|| {
        let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
        set_thread_groups(&[]).expect("no groups");
        set_thread_res_gid(group, group, group).expect("another group");
        set_thread_res_uid(user, user, user).expect("another user");
        work()
    })
}

fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn enter(root: &Path) {
    nix::unistd::chroot(root).expect("the root");
    nix::unistd::chdir("/").expect("the root");
}
