
/* The floor of `paddle create`, `start` and `delete`.
 *
 *     floor create STATE ROOT FILTER PROGRAM
 *     floor start STATE
 *     floor delete STATE
 *
 * STATE is a folder, not there yet: the first process's number, and a FIFO on which it waits. Groups are of all
 * controllers, as a bundle's are.
 */
#include <poll.h>

static const char *const every[] = { "memory", "pids", "devices", "blkio", "cpu", "cpuacct", "cpuset", "freezer", 0 };

/* Lets `create` go, waits until somebody says so, and starts the program. The FIFO closes with that. */
static void wait_then_execute(int fifo, int ready, char *program) {
    char path[32], byte;
    NEED(write(ready, "G", 1));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fifo);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    NEED(fd);
    NEED(read(fd, &byte, 1));
    execute(program);
}

static int create(int state, char **argv) {
    char number[16], byte;
    int ready[2];
    NEED(mkfifoat(state, "start", 0600));
    int fifo = openat(state, "start", O_PATH | O_CLOEXEC);
    NEED(fifo);
    make_groups();
    NEED(pipe2(ready, O_CLOEXEC));
    pid_t pid = start_child();
    if (pid == 0) {
        prepare(argv[3], "", argv[4], 0);
        wait_then_execute(fifo, ready[1], argv[5]);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        return 125;
    int fd = openat(state, "pid", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    NEED(fd);
    snprintf(number, sizeof number, "%d", pid);
    NEED(write(fd, number, strlen(number)));
    return 0;
}

static int start(int state) {
    int fifo = openat(state, "start", O_WRONLY | O_CLOEXEC);
    NEED(fifo);
    NEED(write(fifo, "S", 1));
    struct pollfd closes = { .fd = fifo };
    NEED(poll(&closes, 1, -1));
    return 0;
}

static int end(int state, const char *path) {
    char number[16] = "";
    int fd = openat(state, "pid", O_RDONLY | O_CLOEXEC);
    NEED(fd);
    NEED(read(fd, number, sizeof number - 1));
    int pidfd = syscall(SYS_pidfd_open, atoi(number), 0);
    if (pidfd >= 0) {
        struct pollfd ends = { .fd = pidfd, .events = POLLIN };
        NEED(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, 0, 0));
        NEED(poll(&ends, 1, -1));
    }
    for (int i = 0; i < count; i++)
        NEED(rmdir(group[i]));
    NEED(unlinkat(state, "start", 0));
    NEED(unlinkat(state, "pid", 0));
    NEED(rmdir(path));
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    const char *path = argv[2], *name = strrchr(path, '/');
    int creates = !strcmp(argv[1], "create");
    if (creates)
        NEED(mkdir(path, 0700));
    int state = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    NEED(state);
    name_groups(name ? name + 1 : path, every);
    if (creates)
        return create(state, argv);
    return strcmp(argv[1], "start") ? end(state, path) : start(state);
}
