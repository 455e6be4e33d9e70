//! The default profile, as data: in effect what Docker's denies (moby/profiles, `seccomp/default.json`,
//! as of June 2026), and a little more.
//!
//! Three lists of names: [`ALLOWED`] for everyone, [`BY_CAPABILITY`] for those who hold a capability, and
//! [`DENIED`]. What is denied fails with EPERM; a call in none of the lists is newer than them and fails
//! with ENOSYS, as it would on the kernel that the program was written for.
//!
//! Stricter than Docker's:
//! - `ioctl(TIOCSTI)` and `ioctl(TIOCLINUX)` fail: they type into the terminal of whoever started the
//!   container (CVE-2017-5226, CVE-2023-28100).
//! - The family of `socket` and the request of `ioctl` are compared in their low 32 bits, which are all
//!   that the kernel looks at: a full comparison lets `socket(0x1_0000_0028)` pass for a family above 40
//!   (the mistake of CVE-2019-10063).
//! - Only the machine's own instruction set can be used.

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompOperator, LinuxSyscall,
};

use crate::spec::{Capability, CapabilitySet};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// `AF_ALG`: the kernel's crypto interface, which no program needs: the same is in every crypto library.
const AF_ALG: u64 = 38;
/// `AF_VSOCK`: reaches the hypervisor past every network namespace.
const AF_VSOCK: u64 = 40;
/// `TIOCSTI`, `TIOCLINUX` of `asm-generic/ioctls.h`.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;
/// `PER_LINUX`, `PER_LINUX32`, both with `UNAME26`, and "only ask".
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// The flags of `clone` that make namespaces: `CLONE_NEWNS`, `NEWCGROUP`, `NEWUTS`, `NEWIPC`, `NEWUSER`,
/// `NEWPID`, `NEWNET`.
const NAMESPACES: u64 = 0x7e02_0000;
const LOW_HALF: u64 = 0xffff_ffff;

/// For everyone.
const ALLOWED: &str = "accept accept4 access adjtimex alarm arch_prctl bind brk cachestat capget capset chdir chmod \
    chown clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime \
    clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range \
    creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 \
    epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 \
    fadvise64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl \
    fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate \
    futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list \
    get_thread_area getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer \
    getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit \
    getrusage getsid getsockname getsockopt gettid gettimeofday getuid getxattr getxattrat \
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents \
    io_pgetevents io_pgetevents_time64 io_setup io_submit ioprio_get ioprio_set kill \
    landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat \
    listen listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat madvise \
    map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock \
    mlock2 mlockall mmap modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive \
    mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget \
    msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat \
    openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll \
    ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv \
    process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead \
    readlink readlinkat readv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr \
    removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending \
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 \
    rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr \
    sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 \
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select \
    semctl semget semop semtimedop semtimedop_time64 sendfile sendmmsg sendmsg sendto \
    set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups setitimer \
    setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setsockopt setuid \
    setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 socketpair \
    splice stat statfs statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee \
    tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 \
    timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime \
    timerfd_settime64 times tkill truncate umask uname unlink unlinkat uretprobe utime utimensat \
    utimensat_time64 utimes vfork vmsplice wait4 waitid write writev";

/// For those who hold the capability; denied to others.
const BY_CAPABILITY: [(Capability, &str); 14] = [
    (
        Capability::SYS_ADMIN,
        "bpf clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr \
         lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl \
         quotactl_fd setdomainname sethostname setns syslog umount2 unshare",
    ),
    (Capability::DAC_READ_SEARCH, "open_by_handle_at"),
    (Capability::SYS_BOOT, "reboot"),
    (Capability::SYS_CHROOT, "chroot"),
    (Capability::SYS_MODULE, "delete_module init_module finit_module"),
    (Capability::SYS_PACCT, "acct"),
    (Capability::SYS_PTRACE, "kcmp pidfd_getfd process_madvise"),
    (Capability::SYS_RAWIO, "iopl ioperm"),
    (Capability::SYS_TIME, "settimeofday clock_settime clock_settime64"),
    (Capability::SYS_TTY_CONFIG, "vhangup"),
    (Capability::SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    (Capability::SYSLOG, "syslog"),
    (Capability::BPF, "bpf"),
    (Capability::PERFMON, "perf_event_open"),
];

/// For nobody.
const DENIED: &str = "_sysctl add_key afs_syscall create_module get_kernel_syms getpmsg io_uring_enter \
    io_uring_register io_uring_setup kexec_file_load kexec_load keyctl migrate_pages move_pages nfsservctl \
    pivot_root putpmsg query_module request_key security swapoff swapon sysfs tuxcall uprobe uselib \
    userfaultfd ustat vserver";

/// The default profile for a program with these capabilities.
pub fn default_profile(capabilities: CapabilitySet) -> LinuxSeccomp {
    let allow = LinuxSeccompAction::ScmpActAllow;
    let (held, missing): (Vec<_>, Vec<_>) =
        BY_CAPABILITY.iter().partition(|(capability, _)| capabilities.contains(*capability));
    // The first rule for a name wins, so what one capability grants another's absence does not deny.
    let mut rules = special(capabilities);
    rules.push(rule(ALLOWED, allow, None, Vec::new()));
    rules.extend(held.iter().map(|(_, names)| rule(names, allow, None, Vec::new())));
    let denied = missing.iter().map(|(_, names)| *names).chain([DENIED]);
    rules.extend(denied.map(|names| deny(names, EPERM, Vec::new())));
    let mut profile = LinuxSeccomp::default();
    profile
        .set_default_action(LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(ENOSYS))
        .set_syscalls(Some(rules));
    profile
}

/// The rules that look at arguments.
fn special(capabilities: CapabilitySet) -> Vec<LinuxSyscall> {
    let allow = LinuxSeccompAction::ScmpActAllow;
    let mut rules = Vec::new();
    for family in [AF_ALG, AF_VSOCK] {
        rules.push(deny("socket", EPERM, vec![masked(0, LOW_HALF, family)]));
    }
    for request in [TIOCSTI, TIOCLINUX] {
        rules.push(deny("ioctl", EPERM, vec![masked(1, LOW_HALF, request)]));
    }
    rules.push(rule("socket ioctl", allow, None, Vec::new()));
    for personality in PERSONALITIES {
        rules.push(rule("personality", allow, None, vec![masked(0, u64::MAX, personality)]));
    }
    rules.push(deny("personality", EPERM, Vec::new()));
    if capabilities.contains(Capability::SYS_ADMIN) {
        rules.push(rule("clone", allow, None, Vec::new()));
    } else {
        rules.push(rule("clone", allow, None, vec![masked(0, NAMESPACES, 0)]));
        rules.push(deny("clone", EPERM, Vec::new()));
        // Its flags are behind a pointer, where no filter can look. The C library falls back to clone.
        rules.push(deny("clone3", ENOSYS, Vec::new()));
    }
    rules
}

fn deny(names: &str, errno: u32, args: Vec<LinuxSeccompArg>) -> LinuxSyscall {
    rule(names, LinuxSeccompAction::ScmpActErrno, Some(errno), args)
}

fn rule(
    names: &str,
    action: LinuxSeccompAction,
    errno: Option<u32>,
    args: Vec<LinuxSeccompArg>,
) -> LinuxSyscall {
    let mut rule = LinuxSyscall::default();
    rule.set_names(names.split_ascii_whitespace().map(str::to_owned).collect())
        .set_action(action)
        .set_errno_ret(errno)
        .set_args((!args.is_empty()).then_some(args));
    rule
}

fn masked(index: usize, mask: u64, value: u64) -> LinuxSeccompArg {
    // Every field of the builder has a default, so building cannot fail.
    LinuxSeccompArgBuilder::default()
        .index(index)
        .value(mask)
        .value_two(value)
        .op(LinuxSeccompOperator::ScmpCmpMaskedEq)
        .build()
        .unwrap_or_default()
}
