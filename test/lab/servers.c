// SPDX-License-Identifier: Apache-2.0
//
// servers.c - UDP echo servers as C programs have them, on the wildcard address, for server-programs.test.ts.
//
//   servers <4|6> <port> sendto      one socket, recvfrom and sendto
//   servers <4|6> <port> connect     the socket that received is connected to its client, and another one listens (iperf3)
//   servers <4|6> <port> each        a connected socket for each client beside the one that listens (DTLS servers)
//
// 6 is one dual-stack socket at [::]. A known client's datagram at a socket that listens is not answered: only its
// connected socket may receive it.

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MOST_CLIENTS = 64 };

typedef struct sockaddr_in6 Address; // the larger of both

static int listening(int family, int port)
{
	int fd = socket(family, SOCK_DGRAM, 0), one = 1;
	struct sockaddr_in wildcard4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	Address wildcard6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int bound = -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (family == AF_INET)
		bound = bind(fd, (struct sockaddr *)&wildcard4, sizeof wildcard4);
	else
		bound = bind(fd, (struct sockaddr *)&wildcard6, sizeof wildcard6);
	if (fd < 0 || bound != 0)
		exit((perror("bind"), 1));
	return fd;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int family = argv[1][0] == '6' ? AF_INET6 : AF_INET, port = atoi(argv[2]), count = 0;
	const char *kind = argv[3];
	char data[2048];
	Address clients[MOST_CLIENTS];
	struct pollfd sockets[1 + MOST_CLIENTS] = {{listening(family, port), POLLIN, 0}}; // the first one listens

	puts("ready");
	fflush(stdout);
	while (poll(sockets, 1 + count, -1) > 0) {
		for (int i = 1; i <= count; i++) {
			if (!sockets[i].revents)
				continue;
			ssize_t size = recv(sockets[i].fd, data, sizeof data, 0);
			if (size >= 0)
				send(sockets[i].fd, data, size, 0);
		}
		if (!sockets[0].revents)
			continue;
		Address from = {0};
		socklen_t length = sizeof from;
		ssize_t size = recvfrom(sockets[0].fd, data, sizeof data, 0, (struct sockaddr *)&from, &length);
		if (size < 0)
			continue;
		if (!strcmp(kind, "sendto")) {
			sendto(sockets[0].fd, data, size, 0, (struct sockaddr *)&from, length);
			continue;
		}
		int known = count == MOST_CLIENTS;
		for (int i = 0; i < count && !known; i++)
			known = !memcmp(&clients[i], &from, sizeof from);
		if (known)
			continue;
		int another = listening(family, port);
		int own = !strcmp(kind, "connect") ? sockets[0].fd : another;
		sockets[0].fd = own == another ? sockets[0].fd : another;
		if (connect(own, (struct sockaddr *)&from, length) != 0)
			exit((perror("connect"), 1));
		clients[count++] = from;
		sockets[count] = (struct pollfd){own, POLLIN, 0};
		send(own, data, size, 0);
	}
}
