/* SPDX-License-Identifier: MIT */
/* examples/echo_blocking.c - The shortest server: blocking calls, one connection at a time
 *
 *      echo_blocking --dev tap:mr0 --addr 10.77.0.2/24 &
 *      sleep 1                         # it makes mr0
 *      ip addr add 10.77.0.1/24 dev mr0 && ip link set mr0 up
 *      nc 10.77.0.2 7
 *
 * The calls are those of every socket program, with mr_ in front.  While one of
 * them blocks, this thread runs the stack: it needs no other.
 */
#include <millrace/millrace.h>
#include <millrace/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static int fail(const char *what)
{
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        return 1;
}

/* What mr_conf_args() has left over is not of the stack, and this program has no options of its own. */
static int usage(const char *arg)
{
        bool asked = strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;

        if (!asked)
                fprintf(stderr, "%s: no such option; ", arg);
        fprintf(asked ? stdout : stderr, "usage: echo_blocking --dev tap:mr0 --addr 10.77.0.2/24 [--OPTION VALUE]...; "
                "docs/configuration.md lists the options\n");
        return asked ? 0 : 1;
}

static int listen_on(uint16_t port)
{
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
        int fd = mr_socket(AF_INET, SOCK_STREAM, 0);

        if (fd < 0 || mr_bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || mr_listen(fd, 16) < 0)
                return -1;
        return fd;
}

/* Send back what comes until the peer has said all. */
static void echo(int fd)
{
        char buf[16384];
        ssize_t len;

        while ((len = mr_recv(fd, buf, sizeof buf, 0)) > 0) {
                for (ssize_t sent = 0, n; sent < len; sent += n) {
                        n = mr_send(fd, buf + sent, (size_t)(len - sent), MSG_NOSIGNAL);
                        if (n < 0)
                                return;
                }
        }
}

int main(int argc, char **argv)
{
        static struct mr_conf conf;
        char err[256];

        mr_conf_default(&conf);
        bool ok = mr_conf_args(&conf, &argc, argv, err, sizeof err) == 0;
        if (ok && argc > 1)
                return usage(argv[1]);
        if (!ok || mr_start(&conf, err, sizeof err) < 0) {
                fprintf(stderr, "%s\n", err);
                return 1;
        }
        int listener = listen_on(7);
        if (listener < 0)
                return fail("port 7");

        for (;;) {
                struct sockaddr_in peer;
                socklen_t peer_len = sizeof peer;
                char text[INET_ADDRSTRLEN];
                int fd = mr_accept4(listener, (struct sockaddr *)&peer, &peer_len, 0);
                if (fd < 0)
                        return fail("accept");
                printf("%s port %u is here\n", inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text),
                       ntohs(peer.sin_port));
                echo(fd);
                mr_close(fd);
        }
}
