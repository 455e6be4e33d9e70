//! Filters that are really loaded.

use launcher::plan::seccomp::{self, Architecture, default_profile};
use launcher::spec::{Capability, CapabilitySet};
use serde_json::json;

use super::compile;
use super::compiler::long_profile;

/// Loads the filter of these capabilities into a thread of its own (a filter belongs to a thread, and
/// ends with it), and asks the kernel there.
fn under_filter<T: Send>(capabilities: CapabilitySet, ask: impl FnOnce() -> T + Send) -> T {
    let program = seccomp::compile(&default_profile(capabilities)).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            launcher::sys::seccomp::Filter::from(&program).load().unwrap();
            ask()
        });
        thread.join().unwrap()
    })
}

#[test]
fn the_kernel_takes_the_default_filter_and_does_as_it_says() {
    use rustix::io::Errno;
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("f")).unwrap();
    let (chroot, ordinary, status, unshare) = under_filter(CapabilitySet::EMPTY, || {
        // Each fails in its own way without a filter: ENOENT, ENOTTY, success.
        let chroot = rustix::process::chroot("/no/such/folder").unwrap_err();
        let ordinary = rustix::termios::tcgetattr(&file).unwrap_err();
        let status = std::fs::read("/proc/thread-self/status").unwrap();
        let unshare = nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS);
        (chroot, ordinary, status, unshare)
    });
    assert_eq!(chroot, Errno::PERM);
    assert_eq!(ordinary, Errno::NOTTY);
    assert!(String::from_utf8(status).unwrap().contains("NoNewPrivs:\t1"));
    assert_eq!(unshare, Err(nix::errno::Errno::EPERM));
    let allowed = under_filter(CapabilitySet::of(&[Capability::SYS_CHROOT]), || {
        rustix::process::chroot("/no/such/folder").unwrap_err()
    });
    assert_eq!(allowed, Errno::NOENT);
}

#[test]
fn the_kernel_takes_a_program_with_far_jumps() {
    let mut profile = long_profile(1);
    profile["defaultAction"] = json!("SCMP_ACT_ALLOW");
    let architecture = Architecture::native().unwrap();
    if architecture != Architecture::X86_64 {
        tests::require::skip(format_args!("needs x86-64"));
        return;
    }
    // Its errors are for calls whose first argument is their own number; reading from the descriptor 0
    // is such a call (number 0), anything else goes on.
    let program = compile(&profile, architecture).unwrap();
    let read = std::thread::spawn(move || {
        rustix::thread::set_no_new_privs(true).unwrap();
        launcher::sys::seccomp::Filter::from(&program).load().unwrap();
        nix::unistd::read(std::io::stdin(), &mut [0; 0])
    });
    assert_eq!(read.join().unwrap(), Err(nix::errno::Errno::EPERM));
}
