// SPDX-License-Identifier: Apache-2.0
//
// ask.cc - asks the kernel once in each of several ways, and times it. One line in, one line of JSON out:
//   filter PORT     our dump: NETLINK_SOCK_DIAG, the kernel filters by port
//   all PORT        the same without a filter: every socket comes, and is counted here
//   proc PORT       /proc/net/tcp, read and counted here
//   ss PORT         ss -Htn with a filter by port; its start is part of it
//   read FILE       a file, to its end, lines counted
//   link NAME       8 counters: by kept descriptors, by opening each file, by /proc/net/dev; ns for all 8
//
// Owns: the clock. Must never: hold an answer from one question to the next.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sstream>
#include <string>

#include "linux/link.h"
#include "linux/tcp_sessions.h"

using namespace shunt;

namespace
{

constexpr int LINK_READS = 20000;

u64 now_ns()
{
	return (u64)std::chrono::steady_clock::now().time_since_epoch().count();
}

std::vector<TcpEndpoint> at(u16 port)
{
	return {{sh_addr{}, port}};
}

bool by_filter(u16 port, u64 *count)
{
	std::vector<u32> counts;

	if (tcp_sessions(at(port), &counts))
		return false;
	*count = counts[0];
	return true;
}

bool without_filter(u16 port, u64 *count)
{
	TcpSessionCounter counter(at(port));
	Netlink netlink;
	bool whole = true;

	*count = 0;
	if (netlink.open(NETLINK_SOCK_DIAG))
		return false;
	for (u8 family : {AF_INET, AF_INET6}) {
		NetlinkRequest request(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
		inet_diag_req_v2 head = {};

		head.sdiag_family = family;
		head.sdiag_protocol = IPPROTO_TCP;
		head.idiag_states = 1 << TCP_ESTABLISHED | 1 << TCP_CLOSE_WAIT | 1 << TCP_FIN_WAIT1;
		request.body(&head, sizeof(head));
		Failure failure = netlink.stream(
			request, "dump", [&] { counter.clear(); },
			[&](const NetlinkMessage &message) { whole = counter.add(message) && whole; });
		if (failure || !whole)
			return false;
		*count += counter.counts()[0];
	}
	return true;
}

// Calls each(line) for every line of what is read until its end.
template <typename Each> bool lines(FILE *file, Each each)
{
	char *line = nullptr;
	size_t room = 0;

	if (!file)
		return false;
	while (getline(&line, &room, file) >= 0)
		each(line);
	free(line);
	return true;
}

// "  12: 0100007F:01BB 0200007F:C350 01 …"
bool by_proc(u16 port, u64 *count)
{
	FILE *file = fopen("/proc/net/tcp", "re");
	bool read = lines(file, [&](const char *line) {
		unsigned number, address, local, state, peer, peer_port;

		*count += sscanf(line, " %u: %x:%x %x:%x %x", &number, &address, &local, &peer, &peer_port, &state) ==
		                  6 &&
		          local == port && state == TCP_ESTABLISHED;
	});

	if (file)
		fclose(file);
	return read;
}

bool by_ss(u16 port, u64 *count)
{
	FILE *ss = popen(("exec ss -Htn state established sport = :" + std::to_string(port)).c_str(), "r");
	bool read = lines(ss, [&](const char *) { ++*count; });

	return ss && pclose(ss) == 0 && read;
}

bool by_reading(const std::string &path, u64 *count)
{
	FILE *file = fopen(path.c_str(), "re");
	bool read = lines(file, [&](const char *) { ++*count; });

	if (file)
		fclose(file);
	return read;
}

bool link_by_opening(const std::string &name, u64 (&out)[LINK_COUNTERS])
{
	LinkCounters counters;

	return !counters.open(name, 0) && !counters.read(out);
}

bool link_by_proc(const std::string &name, u64 (&out)[LINK_COUNTERS])
{
	FILE *file = fopen("/proc/net/dev", "re");
	bool found = false;
	bool read = lines(file, [&](const char *line) {
		const char *colon = strchr(line, ':');
		u64 v[16];

		while (*line == ' ')
			line++;
		if (!colon || name != std::string(line, (size_t)(colon - line)))
			return;
		found = sscanf(colon + 1, "%llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1],
		               &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10], &v[11]) == 12;
		const u64 picked[LINK_COUNTERS] = {v[1], v[0], v[3], v[2], v[9], v[8], v[11], v[10]};
		memcpy(out, picked, sizeof(picked));
	});

	if (file)
		fclose(file);
	return read && found;
}

template <typename Read> double each_of(Read read)
{
	u64 began = now_ns();

	for (int i = 0; i < LINK_READS; i++)
		if (!read())
			return -1;
	return (double)(now_ns() - began) / LINK_READS;
}

void ask_link(const std::string &name)
{
	u64 out[LINK_COUNTERS];
	LinkCounters kept;
	bool open = !kept.open(name, 0);
	double by_kept = open ? each_of([&] { return !kept.read(out); }) : -1;
	double opened = each_of([&] { return link_by_opening(name, out); });
	double proc = each_of([&] { return link_by_proc(name, out); });

	printf("{\"kept\":%.0f,\"opened\":%.0f,\"proc\":%.0f}\n", by_kept, opened, proc);
}

} // namespace

int main()
{
	std::string line, how, what;

	while (std::getline(std::cin, line)) {
		std::istringstream words(line);
		u64 count = 0;

		words >> how >> what;
		u16 port = (u16)atoi(what.c_str());
		if (how == "link") {
			ask_link(what);
			fflush(stdout);
			continue;
		}
		u64 began = now_ns();
		bool done = how == "filter" ? by_filter(port, &count)
		            : how == "all"  ? without_filter(port, &count)
		            : how == "proc" ? by_proc(port, &count)
		            : how == "ss"   ? by_ss(port, &count)
		            : how == "read" ? by_reading(what, &count)
		                            : false;
		printf("{\"ns\":%llu,\"count\":%llu,\"done\":%s}\n", now_ns() - began, count, done ? "true" : "false");
		fflush(stdout);
	}
	return 0;
}
