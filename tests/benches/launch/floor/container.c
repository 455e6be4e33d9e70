/* The container of the floor: what the kernel takes for the one that `paddle` starts, asked for by the shortest
 * program that does the same work. No command line to speak of, no image to find, nothing checked. What follows it,
 * run.c or life.c, has the program's own part.
 *
 * The same namespaces by one clone3, the same groups with the same limits, the same mounts, nodes, covered paths and
 * system call filter (instructions as the kernel takes them), the same capabilities.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#define ATTR_RDONLY 1
#define ATTR_NOSUID 2
#define ATTR_NODEV 4
#define ATTR_NOEXEC 8

#define NEED(what) do { if ((long)(what) < 0) { perror(#what); _exit(125); } } while (0)

struct attr { uint64_t set, clear, propagation, userns; };
struct clone_args_v2 { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup; };

#define MOST 8
static const char *groups[MOST];
static char group[MOST][128];
static int tasks[MOST], count, unified = -1;

static void put(const char *folder, const char *name, const char *value) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    NEED(fd);
    NEED(write(fd, value, strlen(value)));
    close(fd);
}

/* A new group of version 1 has neither processors nor memory: it takes its parent's. */
static void inherit(const char *folder, const char *name) {
    char path[256], value[4096];
    snprintf(path, sizeof path, "/sys/fs/cgroup/cpuset/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    NEED(fd);
    long length = read(fd, value, sizeof value - 1);
    NEED(length);
    value[length] = 0;
    close(fd);
    put(folder, name, value);
}

/* Where the groups of that name are: one of version 2, or one of each of the wanted controllers that the host has. */
static void name_groups(const char *name, const char *const *wanted) {
    if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
        unified = 1;
        groups[0] = "";
        snprintf(group[count++], sizeof group[0], "/sys/fs/cgroup/coracle-floor-%s", name);
        return;
    }
    for (; *wanted; wanted++) {
        char path[64];
        struct stat stat;
        snprintf(path, sizeof path, "/sys/fs/cgroup/%s", *wanted);
        if (lstat(path, &stat) == 0 && S_ISDIR(stat.st_mode)) {
            groups[count] = *wanted;
            snprintf(group[count++], sizeof group[0], "%s/coracle-floor-%s", path, name);
        }
    }
}

static void limit(const char *folder, const char *controller) {
    static const char *const rules[] = { "a", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm" };
    if (!strcmp(controller, "memory"))
        put(folder, "memory.limit_in_bytes", "67108864");
    if (!strcmp(controller, "pids"))
        put(folder, "pids.max", "64");
    for (unsigned i = 0; i < sizeof rules / sizeof *rules && !strcmp(controller, "devices"); i++)
        put(folder, i ? "devices.allow" : "devices.deny", rules[i]);
    if (!strcmp(controller, "cpuset")) {
        inherit(folder, "cpuset.cpus");
        inherit(folder, "cpuset.mems");
    }
}

static void make_groups(void) {
    for (int i = 0; i < count; i++) {
        NEED(mkdir(group[i], 0755));
        if (unified >= 0) {
            put(group[i], "memory.max", "67108864");
            put(group[i], "pids.max", "64");
            NEED(unified = open(group[i], O_PATH | O_DIRECTORY | O_CLOEXEC));
            continue;
        }
        limit(group[i], groups[i]);
        char path[256];
        snprintf(path, sizeof path, "%s/tasks", group[i]);
        NEED(tasks[i] = open(path, O_WRONLY | O_CLOEXEC));
    }
}

static int tree(int at, const char *path, int flags) {
    int fd = syscall(SYS_open_tree, at, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
    NEED(fd);
    return fd;
}

static void set(int fd, uint64_t flags) {
    struct attr attr = { .set = flags };
    NEED(syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof attr));
}

static int below(int root, const char *path) {
    struct { uint64_t flags, mode, resolve; } how = { O_PATH | O_CLOEXEC, 0, 0x10 | 0x02 };
    return syscall(SYS_openat2, root, path, &how, sizeof how);
}

static void attach(int fd, int point) {
    NEED(syscall(SYS_move_mount, fd, "", point, "", 0x04 | 0x40));
}

static void attach_at(int fd, int root, const char *path) {
    int point = below(root, path);
    NEED(point);
    attach(fd, point);
    close(point);
}

/* A new instance, not attached yet. An option without a value is a flag. */
static int instance(const char *type, uint64_t flags, const char *const *options) {
    int fs = syscall(SYS_fsopen, type, 1);
    NEED(fs);
    for (; options && options[0]; options += 2)
        NEED(syscall(SYS_fsconfig, fs, options[1] ? 1 : 0, options[0], options[1], 0));
    NEED(syscall(SYS_fsconfig, fs, 6, 0, 0, 0));
    int fd = syscall(SYS_fsmount, fs, 1, flags);
    NEED(fd);
    close(fs);
    return fd;
}

static void fresh(int root, const char *type, const char *path, uint64_t flags, const char *const *options) {
    int fd = instance(type, flags, options);
    attach_at(fd, root, path);
    close(fd);
}

static int overlay(int lower, const char *upper) {
    char value[64], path[512];
    int fs = syscall(SYS_fsopen, "overlay", 1);
    NEED(fs);
    snprintf(value, sizeof value, "/proc/self/fd/%d", lower);
    NEED(syscall(SYS_fsconfig, fs, 1, "lowerdir", value, 0));
    snprintf(path, sizeof path, "%s/upper", upper);
    NEED(syscall(SYS_fsconfig, fs, 1, "upperdir", path, 0));
    snprintf(path, sizeof path, "%s/work", upper);
    NEED(syscall(SYS_fsconfig, fs, 1, "workdir", path, 0));
    NEED(syscall(SYS_fsconfig, fs, 0, "volatile", 0, 0));
    NEED(syscall(SYS_fsconfig, fs, 6, 0, 0, 0));
    int fd = syscall(SYS_fsmount, fs, 1, ATTR_NODEV);
    NEED(fd);
    close(fs);
    return fd;
}

/* The files that are each container's own, in a file system that nobody sees but through them. */
static const char *const own[3] = { "etc/hostname", "etc/hosts", "etc/resolv.conf" };
static int files[3];

static void make_files(int folder) {
    static const char *const text[3] = { "floor\n", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n127.0.0.1\tfloor\n", "" };
    const char *const options[] = { "mode", "755", "size", "4m", 0 };
    int fs = instance("tmpfs", ATTR_NOSUID | ATTR_NODEV, options);
    attach(fs, folder);
    for (int i = 0; i < 3; i++) {
        char name[2] = { '0' + i };
        int fd = openat(fs, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
        NEED(fd);
        NEED(write(fd, text[i], strlen(text[i])));
        files[i] = tree(fs, name, 0);
        close(fd);
    }
    close(fs);
}

static int mount_root(const char *path, const char *upper, int namespaced) {
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), root;
    NEED(folder);
    if (namespaced)
        make_files(folder);
    if (*upper) {
        root = overlay(folder, upper);
    } else {
        root = tree(folder, "", AT_EMPTY_PATH);
        set(root, ATTR_RDONLY | ATTR_NODEV);
    }
    attach(root, folder);
    return root;
}

/* The container's own groups, to be read: in a namespace of groups as a new view, otherwise as binds. */
static void show_groups(int root, int namespaced) {
    const uint64_t flags = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC;
    if (unified >= 0 && namespaced) {
        fresh(root, "cgroup2", "sys/fs/cgroup", flags, 0);
        return;
    }
    const char *const options[] = { "mode", "755", 0 };
    int fs = unified >= 0 ? -1 : instance("tmpfs", ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC, options);
    if (fs >= 0)
        attach_at(fs, root, "sys/fs/cgroup");
    for (int i = 0; i < count; i++) {
        const char *const controller[] = { groups[i], 0, 0 };
        char path[64];
        snprintf(path, sizeof path, "sys/fs/cgroup/%s", groups[i]);
        if (fs >= 0)
            NEED(mkdirat(fs, groups[i], 0755));
        if (namespaced) {
            fresh(root, "cgroup", path, flags, controller);
            continue;
        }
        int bind = tree(AT_FDCWD, group[i], 0);
        set(bind, flags);
        attach_at(bind, root, path);
        close(bind);
    }
    if (fs >= 0)
        set(fs, ATTR_RDONLY);
    close(fs);
}

static void mounts(int root, int namespaced) {
    const char *const dev[] = { "mode", "755", "size", "65536k", 0 };
    const char *const pts[] = { "ptmxmode", "0666", "mode", "0620", "gid", "5", 0 };
    const char *const shm[] = { "mode", "1777", "size", "65536k", 0 };
    fresh(root, "proc", "proc", ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC, 0);
    fresh(root, "tmpfs", "dev", ATTR_NOSUID | ATTR_NODEV, dev);
    int folder = below(root, "dev");
    NEED(folder);
    NEED(mkdirat(folder, "pts", 0755));
    NEED(mkdirat(folder, "mqueue", 0755));
    NEED(mkdirat(folder, "shm", 0755));
    fresh(root, "devpts", "dev/pts", ATTR_NOSUID | ATTR_NOEXEC, pts);
    fresh(root, "mqueue", "dev/mqueue", ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC, 0);
    fresh(root, "tmpfs", "dev/shm", ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC, shm);
    fresh(root, "sysfs", "sys", ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC, 0);
    show_groups(root, namespaced);
    for (int i = 0; i < 3 && files[i]; i++) {
        attach_at(files[i], root, own[i]);
        close(files[i]);
    }
    const char *nodes[] = { "null", "zero", "full", "random", "urandom", "tty" };
    for (unsigned i = 0; i < 6; i++) {
        char path[32];
        snprintf(path, sizeof path, "/dev/%s", nodes[i]);
        int fd = openat(folder, nodes[i], O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644), node = tree(AT_FDCWD, path, 0);
        NEED(fd);
        close(fd);
        attach_at(node, root, path + 1);
        close(node);
    }
    NEED(symlinkat("/proc/self/fd", folder, "fd"));
    NEED(symlinkat("/proc/self/fd/0", folder, "stdin"));
    NEED(symlinkat("/proc/self/fd/1", folder, "stdout"));
    NEED(symlinkat("/proc/self/fd/2", folder, "stderr"));
    NEED(symlinkat("pts/ptmx", folder, "ptmx"));
}

static void cover(int root) {
    const char *hidden[] = { "proc/acpi", "proc/asound", "proc/interrupts", "proc/kcore", "proc/keys", "proc/latency_stats",
        "proc/timer_list", "proc/timer_stats", "proc/sched_debug", "proc/scsi", "sys/firmware", "sys/devices/virtual/powercap" };
    const char *readonly[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger" };
    int fs = syscall(SYS_fsopen, "tmpfs", 1);
    NEED(fs);
    NEED(syscall(SYS_fsconfig, fs, 6, 0, 0, 0));
    int empty = syscall(SYS_fsmount, fs, 1, ATTR_RDONLY), first = 1;
    NEED(empty);
    for (unsigned i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        struct stat stat;
        int point = below(root, hidden[i]);
        if (point < 0)
            continue;
        NEED(fstat(point, &stat));
        int cover = S_ISDIR(stat.st_mode) ? (first ? empty : tree(empty, "", AT_EMPTY_PATH)) : tree(AT_FDCWD, "/dev/null", 0);
        first &= !S_ISDIR(stat.st_mode);
        attach(cover, point);
        close(point);
    }
    for (unsigned i = 0; i < sizeof readonly / sizeof *readonly; i++) {
        int point = below(root, readonly[i]);
        if (point < 0)
            continue;
        int cover = tree(point, "", AT_EMPTY_PATH | 0x8000);
        set(cover, ATTR_RDONLY);
        attach(cover, point);
    }
}

static void loopback(void) {
    struct ifreq request = { .ifr_flags = IFF_UP | IFF_RUNNING };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    NEED(fd);
    strcpy(request.ifr_name, "lo");
    NEED(ioctl(fd, SIOCSIFFLAGS, &request));
    close(fd);
}

static void confine(int instructions) {
    uint64_t kept = 0xa80425fb; /* Docker's fourteen capabilities */
    for (int i = 0; i <= 40; i++)
        if (!(kept >> i & 1))
            NEED(prctl(PR_CAPBSET_DROP, i, 0, 0, 0));
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2] = { { kept, kept, 0 }, { 0, 0, 0 } };
    NEED(syscall(SYS_capset, &header, data));
    NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    static struct sock_filter program[4096];
    long length = read(instructions, program, sizeof program);
    NEED(length);
    struct sock_fprog prog = { length / sizeof *program, program };
    NEED(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
}

/* All that the first process does before its program: as one of `paddle run`, with a namespace of groups and files of its
 * own, or as one of a bundle, without. */
static void prepare(const char *path, const char *upper, const char *filter, int namespaced) {
    for (int i = 0; i < count && unified < 0; i++)
        NEED(write(tasks[i], "0", 1));
    NEED(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    if (namespaced)
        NEED(unshare(CLONE_NEWCGROUP));
    NEED(setsid());
    NEED(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
    umask(0);
    int instructions = open(filter, O_RDONLY);
    NEED(instructions);
    int root = mount_root(path, upper, namespaced);
    mounts(root, namespaced);
    cover(root);
    NEED(sethostname("floor", 5));
    loopback();
    NEED(fchdir(root));
    NEED(syscall(SYS_pivot_root, ".", "."));
    NEED(umount2(".", MNT_DETACH));
    NEED(chdir("/"));
    confine(instructions);
}

static pid_t start_child(void) {
    static int pidfd;
    struct clone_args_v2 args = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_PIDFD,
        .pidfd = (uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    if (unified >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = unified;
    }
    pid_t pid = syscall(SYS_clone3, &args, sizeof args);
    NEED(pid);
    return pid;
}

static void execute(char *program) {
    char *arguments[] = { program, 0 }, *environment[] = { "PATH=/bin", 0 };
    NEED(syscall(SYS_close_range, 3, ~0U, 4));
    NEED(execve(program, arguments, environment));
}
