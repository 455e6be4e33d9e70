/* Opens what its arguments name, and prints what is loaded then. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>

/* Of a library that opens for others. */
__attribute__((weak)) void *open_for_me(const char *name);

static int print(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size, (void)data;
    puts(info->dlpi_name);
    return 0;
}

int main(int count, char **arguments) {
    for (int i = 1; i < count; i++) {
        void *opened = open_for_me ? open_for_me(arguments[i]) : dlopen(arguments[i], RTLD_NOW);
        if (!opened) fprintf(stderr, "%s\n", dlerror());
    }
    return dl_iterate_phdr(print, NULL);
}
