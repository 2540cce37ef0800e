/* SPDX-License-Identifier: Apache-2.0
 *
 * sockets.c - holds what the kernel shall count, until its input ends.
 * Usage: sockets tcp PORT CONNECTIONS [PORT CONNECTIONS …]   both ends of so many connections to each port of loopback
 *        sockets udp PORT                                    one socket that takes datagrams and reads none of them
 *
 * Owns: descriptors, and the processes that share them; says "ready", and how many connections there are. Must never: leave the namespace's loopback.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_on(unsigned port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 16) < 0 ? -1 : fd;
}

/* A local port is used once for each destination, so there are several. */
static int connect_one(int listener, unsigned port, unsigned i)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(0x7f000001 + i / 20000);
	return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && accept(listener, NULL, NULL) >= 0;
}

/* One process may have fewer descriptors than are wanted: children share them, one after the other, and stay. */
static int hold_some(int listener, unsigned port, unsigned from, unsigned count)
{
	int told[2];
	char done = 0;
	pid_t child;

	if (pipe(told) < 0 || (child = fork()) < 0)
		return 0;
	if (child == 0) {
		unsigned i = from;

		while (i < from + count && connect_one(listener, port, i))
			i++;
		if (i < from + count)
			perror("connect");
		done = i == from + count;
		if (write(told[1], &done, 1) == 1 && done)
			while (getchar() != EOF)
				;
		_exit(!done);
	}
	close(told[1]);
	if (read(told[0], &done, 1) != 1)
		done = 0;
	close(told[0]);
	return done;
}

static int hold_tcp(int count, char **arguments)
{
	struct rlimit limit;
	unsigned held = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	unsigned each = limit.rlim_cur > 100000 ? 50000 : ((unsigned)limit.rlim_cur - 64) / 2;
	for (int i = 0; i + 1 < count; i += 2) {
		unsigned port = (unsigned)atoi(arguments[i]), wanted = (unsigned)atoi(arguments[i + 1]);
		int listener = listen_on(port);

		if (listener < 0) {
			perror("listen");
			return 1;
		}
		for (unsigned from = 0; from < wanted; from += each) {
			unsigned some = wanted - from < each ? wanted - from : each;

			if (!hold_some(listener, port, from, some))
				return 1;
			held += some;
		}
		close(listener);
	}
	printf("ready %u\n", held);
	return 0;
}

static int hold_udp(unsigned port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), least = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		perror("bind");
		return 1;
	}
	puts("ready 1");
	return 0;
}

int main(int argc, char **argv)
{
	int failed = argc > 2 && strcmp(argv[1], "tcp") == 0   ? hold_tcp(argc - 2, argv + 2)
	             : argc > 2 && strcmp(argv[1], "udp") == 0 ? hold_udp((unsigned)atoi(argv[2]))
	                                                       : 2;

	fflush(stdout);
	while (!failed && getchar() != EOF)
		;
	return failed;
}
