/* What libseccomp makes of a profile. Lines on standard input:
 *
 *   default ACTION            first; actions as the library numbers them
 *   arch NUMBER               one that is judged besides the machine's own
 *   rule ACTION NAME [INDEX OPERATOR A B]...
 *
 * The program of classic BPF goes to standard output. */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void need(int answer, const char *what) {
    if (answer < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(-answer));
        exit(1);
    }
}

int main(void) {
    char line[4096];
    scmp_filter_ctx context = NULL;
    while (fgets(line, sizeof line, stdin)) {
        char *word = strtok(line, " \n");
        if (!word) continue;
        unsigned number = strtoul(strtok(NULL, " \n"), NULL, 0);
        if (!strcmp(word, "default")) {
            context = seccomp_init(number);
        } else if (!strcmp(word, "arch")) {
            int answer = seccomp_arch_add(context, number);
            if (answer != -EEXIST) need(answer, "arch");
        } else {
            char *name = strtok(NULL, " \n");
            int call = seccomp_syscall_resolve_name(name);
            struct scmp_arg_cmp tests[6];
            unsigned count = 0;
            for (char *index; (index = strtok(NULL, " \n")); count++) {
                tests[count].arg = atoi(index);
                tests[count].op = atoi(strtok(NULL, " \n"));
                tests[count].datum_a = strtoull(strtok(NULL, " \n"), NULL, 0);
                tests[count].datum_b = strtoull(strtok(NULL, " \n"), NULL, 0);
            }
            if (call == __NR_SCMP_ERROR) continue;
            need(seccomp_rule_add_array(context, number, call, count, tests), name);
        }
    }
    need(seccomp_export_bpf(context, 1), "export");
    return 0;
}
