
/* The floor of `paddle run`.
 *
 *     floor ROOT FILTER UPPER PROGRAM
 *
 * UPPER "" is a read-only root, otherwise the folder, not there yet, of a writable layer.
 */

/* The writable layer: three folders, and what overlayfs leaves in them. */
static void make_layer(const char *upper) {
    static const char *const made[] = { "", "/upper", "/work" };
    char path[512];
    for (int i = 0; i < 3 && *upper; i++) {
        snprintf(path, sizeof path, "%s%s", upper, made[i]);
        NEED(mkdir(path, 0755));
    }
}

static void remove_layer(const char *upper) {
    static const char *const left[] = { "/work/work/incompat/volatile/dirty", "/work/work/incompat/volatile", "/work/work/incompat", "/work/work", "/work", "/upper", "" };
    char path[512];
    for (int i = 0; i < 7 && *upper; i++) {
        snprintf(path, sizeof path, "%s%s", upper, left[i]);
        NEED(remove(path));
    }
}

int main(int argc, char **argv) {
    static const char *const limited[] = { "memory", "pids", "devices", 0 };
    if (argc != 5)
        return 2;
    char name[16];
    snprintf(name, sizeof name, "%d", getpid());
    name_groups(name, limited);
    make_groups();
    make_layer(argv[3]);
    pid_t pid = start_child();
    if (pid == 0) {
        prepare(argv[1], argv[3], argv[2], 1);
        execute(argv[4]);
    }
    int status;
    NEED(waitpid(pid, &status, 0));
    for (int i = 0; i < count; i++)
        NEED(rmdir(group[i]));
    remove_layer(argv[3]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
