/* A seccomp agent: `agent SOCKET COUNT`. Takes COUNT listeners, one a connection, and prints what it is told of each. Answers
 * mkdir with ENOANO, and lets everything else go on. Ends when the filters have. */
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int take(int server) {
    char text[65536], space[CMSG_SPACE(sizeof(int))];
    int connection = accept(server, NULL, NULL), listener = -1;
    struct iovec part = {text, sizeof text};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    ssize_t n = recvmsg(connection, &message, 0), more;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (n < 0 || !header || header->cmsg_type != SCM_RIGHTS) { printf("no listener\n"); exit(1); }
    memcpy(&listener, CMSG_DATA(header), sizeof listener);
    while ((more = read(connection, text + n, sizeof text - n)) > 0) n += more;
    printf("%.*s\n", (int)n, text);
    close(connection);
    return listener;
}

/* Whether the filter still has a process. */
static int answer(int listener) {
    struct seccomp_notif asked = {0};
    struct seccomp_notif_resp said = {0};
    struct pollfd polled = {listener, POLLIN, 0};
    poll(&polled, 1, -1);
    if (!(polled.revents & POLLIN)) return 0;
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked)) return errno == ENOENT || errno == EINTR;
    said.id = asked.id;
    if (asked.data.nr == SYS_mkdir) said.error = -ENOANO;
    else said.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &said);
    return 1;
}

int main(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    if (argc < 3) return 2;
    strcpy(address.sun_path, argv[1]);
    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 9)) return 3;
    for (int left = atoi(argv[2]); left > 0; left--) {
        int listener = take(server);
        while (answer(listener)) {}
        close(listener);
    }
    return 0;
}
