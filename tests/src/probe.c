/* What a container's program can see and do, one question per argument. Static and without dependencies, so that a root
 * file system of nothing but this file is enough. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static const char *err(int failed) { return failed ? strerrorname_np(errno) : "ok"; }

static void cat(const char *path) {
    char buffer[65536];
    int fd = open(path, O_RDONLY);
    if (fd < 0) { printf("%s\n", err(1)); return; }
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, n, stdout);
    close(fd);
}

static void list(const char *path) {
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);
    if (n < 0) { printf("%s\n", err(1)); return; }
    for (int i = 0; i < n; i++)
        if (names[i]->d_name[0] != '.' || (names[i]->d_name[1] && names[i]->d_name[1] != '.')) printf("%s ", names[i]->d_name);
    printf("\n");
}

static void status(const char *prefix) {
    char line[512];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, prefix, strlen(prefix))) fputs(line, stdout);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 1; i < argc; i++) {
        char *q = argv[i], *a = strchr(q, '=');
        if (a) *a++ = 0;
        if (!strcmp(q, "echo")) printf("%s\n", a);
        else if (!strcmp(q, "exit")) return atoi(a);
        else if (!strcmp(q, "kill")) raise(atoi(a));
        else if (!strcmp(q, "cat")) cat(a);
        else if (!strcmp(q, "ls")) list(a);
        else if (!strcmp(q, "status")) status(a);
        else if (!strcmp(q, "cwd")) { char b[4096]; printf("%s\n", getcwd(b, sizeof b) ? b : err(1)); }
        else if (!strcmp(q, "ids")) printf("%d %d\n", getuid(), getgid());
        else if (!strcmp(q, "pid")) printf("%d\n", getpid());
        else if (!strcmp(q, "host")) { char b[99]; gethostname(b, sizeof b); printf("%s\n", b); }
        else if (!strcmp(q, "write")) {
            int fd = open(a, O_WRONLY | O_CREAT, 0644);
            printf("%s\n", err(fd < 0 || write(fd, "x", 1) < 0));
        } else if (!strcmp(q, "read")) { char b; int fd = open(a, O_RDONLY); printf("%s\n", err(fd < 0 || read(fd, &b, 1) < 0)); }
        else if (!strcmp(q, "mkdir")) printf("%s\n", err(mkdir(a, 0755)));
        else if (!strcmp(q, "stat")) {
            struct stat s;
            if (lstat(a, &s)) printf("%s\n", err(1));
            else printf("%o %d:%d %d:%d\n", s.st_mode, s.st_uid, s.st_gid, major(s.st_rdev), minor(s.st_rdev));
        } else if (!strcmp(q, "flags")) { struct statvfs s; if (statvfs(a, &s)) printf("%s\n", err(1)); else printf("%s%s%s%s\n", s.f_flag & ST_RDONLY ? "ro" : "rw", s.f_flag & ST_NOSUID ? ",nosuid" : "", s.f_flag & ST_NODEV ? ",nodev" : "", s.f_flag & ST_NOEXEC ? ",noexec" : ""); }
        else if (!strcmp(q, "link")) { char b[4096]; ssize_t n = readlink(a, b, sizeof b - 1); if (n < 0) printf("%s\n", err(1)); else { b[n] = 0; printf("%s\n", b); } }
        else if (!strcmp(q, "mknod")) { /* the host's first disk, or whatever has that number */
            mknod(a, S_IFBLK | 0600, makedev(254, 0));
            int fd = open(a, O_RDONLY);
            printf("%s\n", err(fd < 0));
        } else if (!strcmp(q, "mount")) printf("%s\n", err(mount("none", a, "tmpfs", 0, NULL)));
        else if (!strcmp(q, "umount")) printf("%s\n", err(umount2(a, MNT_DETACH)));
        else if (!strcmp(q, "tiocsti")) printf("%s\n", err(ioctl(0, TIOCSTI, "x")));
        else if (!strcmp(q, "tty")) printf("%s %s\n", isatty(0) && isatty(1) && isatty(2) ? "tty" : "no", ttyname(0) ? ttyname(0) : "-");
        else if (!strcmp(q, "ctty")) { int fd = open("/dev/tty", O_RDWR); printf("%s\n", err(fd < 0)); }
        else if (!strcmp(q, "foreground")) printf("%s\n", tcgetpgrp(0) == getpgrp() ? "yes" : "no");
        else if (!strcmp(q, "dumpable")) printf("%d\n", prctl(PR_GET_DUMPABLE));
        else if (!strcmp(q, "pdeathsig")) { int s = -1; prctl(PR_GET_PDEATHSIG, &s); printf("%d\n", s); }
        else if (!strcmp(q, "fds")) { for (int fd = 0; fd < 4096; fd++) if (fcntl(fd, F_GETFD) >= 0) printf("%d ", fd); printf("\n"); }
        else if (!strcmp(q, "sigpipe")) { struct sigaction s; sigaction(SIGPIPE, NULL, &s); printf("%s\n", s.sa_handler == SIG_DFL ? "default" : "other"); }
        else if (!strcmp(q, "blocked")) { sigset_t s; sigprocmask(0, NULL, &s); int n = 0; for (int k = 1; k < 64; k++) n += sigismember(&s, k) == 1; printf("%d\n", n); }
        else if (!strcmp(q, "orphan")) { /* a grandchild that outlives its parent: who becomes its parent, and is it reaped */
            if (fork() == 0) { if (fork() == 0) { usleep(50000); _exit(0); } _exit(0); }
            wait(NULL); usleep(200000); list("/proc");
        }
        else if (!strcmp(q, "seals")) { int fd = open(a, O_RDONLY | O_CLOEXEC), s = fcntl(fd, F_GET_SEALS); if (s < 0) printf("%s\n", err(1)); else printf("%x\n", s); close(fd); }
        else if (!strcmp(q, "wait")) { int n = 0; while (access(a, F_OK) && n++ < 1000) usleep(10000); printf("%s\n", access(a, F_OK) ? "never" : "there"); }
        else if (!strcmp(q, "bind")) { char *to = strchr(a, ':'); *to++ = 0; printf("%s\n", err(mount(a, to, NULL, MS_BIND, NULL))); }
        else if (!strcmp(q, "remount")) printf("%s\n", err(mount(NULL, a, NULL, MS_REMOUNT | MS_BIND, NULL))); /* clears all flags */
        else if (!strcmp(q, "sleep")) usleep(atoi(a) * 1000);
        else printf("unknown question %s\n", q);
    }
    return 0;
}
