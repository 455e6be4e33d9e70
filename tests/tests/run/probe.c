/* What a test's container runs: its first argument says what to do. Prints one fact a line. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static void note(int number) { caught = number; }

static void window(void) {
    struct winsize size = {0};
    ioctl(0, TIOCGWINSZ, &size);
    printf("%dx%d\n", size.ws_col, size.ws_row);
}

/* Waits for any of the signals named by number, each with a handler, and ends with 100 + number. */
static int catch_signals(int count, char **numbers) {
    struct sigaction action = {.sa_handler = note};
    sigset_t taken, before;
    sigemptyset(&taken);
    for (int i = 0; i < count; i++) sigaddset(&taken, atoi(numbers[i]));
    sigprocmask(SIG_BLOCK, &taken, &before);
    for (int i = 0; i < count; i++) sigaction(atoi(numbers[i]), &action, NULL);
    puts("ready");
    while (!caught) sigsuspend(&before);
    printf("caught %d\n", caught);
    return 100 + caught;
}

/* The same by sigwait(3), without any handler. */
static int wait_signal(int number) {
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, number);
    sigprocmask(SIG_BLOCK, &taken, NULL);
    puts("ready");
    sigwait(&taken, &number);
    printf("caught %d\n", number);
    return 100 + number;
}

/* Leaves twenty orphans that end at once, and counts those that nobody reaps. */
static int zombies(void) {
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            if (fork() == 0) _exit(0);
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
    usleep(300000);
    int count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(proc));) {
        char path[300], state = 0;
        if (!isdigit(entry->d_name[0])) continue;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *stat = fopen(path, "r");
        if (stat && fscanf(stat, "%*d (%*[^)]) %c", &state) == 1) count += state == 'Z';
        if (stat) fclose(stat);
    }
    printf("%d\n", count);
    return 0;
}

static int copy_input(void) {
    char buffer[4096];
    for (ssize_t count; (count = read(0, buffer, sizeof buffer)) > 0;)
        if (write(1, buffer, count) != count) return 1;
    return 0;
}

static int write_file(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || write(fd, "written\n", 8) != 8) { puts(strerror(errno)); return 1; }
    return 0;
}

static int read_file(const char *path) {
    char buffer[4096];
    int fd = open(path, O_RDONLY);
    ssize_t count = fd < 0 ? -1 : read(fd, buffer, sizeof buffer);
    if (count < 0) { puts(strerror(errno)); return 1; }
    return fwrite(buffer, 1, count, stdout) != (size_t)count;
}

/* A folder with a file in it, closed to all but user 1234, to whom both are given. */
static int give(const char *folder) {
    if (mkdir(folder, 0700) || chdir(folder) || write_file("file")) return 1;
    return chown("file", 1234, 4321) || chmod("file", 0) || chown(".", 1234, 4321);
}

int main(int count, char **arguments) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *what = count > 1 ? arguments[1] : "";
    const char *value = count > 2 ? arguments[2] : "";
    if (!strcmp(what, "exit")) return atoi(value);
    if (!strcmp(what, "catch")) return catch_signals(count - 2, arguments + 2);
    if (!strcmp(what, "sigwait")) return wait_signal(atoi(value));
    if (!strcmp(what, "zombies")) return zombies();
    if (!strcmp(what, "cat")) return copy_input();
    if (!strcmp(what, "write")) return write_file(value);
    if (!strcmp(what, "read")) return read_file(value);
    if (!strcmp(what, "give")) {
        if (give(value)) return 1;
        if (count < 4) return 0;
        what = arguments[3]; /* and then */
    }
    if (!strcmp(what, "raise")) {
        /* A child's death, as process 1 cannot die of its own signals. */
        pid_t child = fork();
        if (child == 0) { raise(atoi(value)); _exit(0); }
        int status;
        waitpid(child, &status, 0);
        printf("%d\n", WTERMSIG(status));
    } else if (!strcmp(what, "chatter")) {
        while (write(1, "chatter\n", 8) == 8) {}
        return 7;
    } else if (!strcmp(what, "ignore")) {
        signal(atoi(value), SIG_IGN);
        puts("ready");
        for (;;) pause();
    } else if (!strcmp(what, "wait")) {
        puts("ready");
        for (;;) pause();
    } else if (!strcmp(what, "arguments")) {
        for (int i = 2; i < count; i++) printf("[%s]\n", arguments[i]);
    } else if (!strcmp(what, "environment")) {
        for (char **entry = environ; *entry; entry++) puts(*entry);
    } else if (!strcmp(what, "where")) {
        puts(getcwd((char[4096]){0}, 4096));
    } else if (!strcmp(what, "who")) {
        printf("%d:%d pid %d\n", getuid(), getgid(), getpid());
    } else if (!strcmp(what, "host")) {
        char name[65] = {0};
        gethostname(name, sizeof name - 1);
        puts(name);
    } else if (!strcmp(what, "nofile")) {
        struct rlimit limit;
        getrlimit(RLIMIT_NOFILE, &limit);
        printf("%ld:%ld\n", (long)limit.rlim_cur, (long)limit.rlim_max);
    } else if (!strcmp(what, "streams")) {
        char name[64] = {0};
        for (int fd = 0; fd < 3; fd++) {
            char path[32];
            snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
            memset(name, 0, sizeof name);
            if (readlink(path, name, sizeof name - 1) < 0) strcpy(name, "?");
            name[strcspn(name, ":")] = 0;
            printf("%d %s%s\n", fd, name, isatty(fd) ? " terminal" : "");
        }
    } else if (!strcmp(what, "window")) {
        struct sigaction action = {.sa_handler = note};
        sigaction(SIGWINCH, &action, NULL);
        window();
        while (!caught) pause();
        window();
    } else {
        fprintf(stderr, "probe: %s?\n", what);
        return 99;
    }
    return 0;
}
