/* SPDX-License-Identifier: Apache-2.0
 *
 * run.c - the host agent's two tc programs by BPF_PROG_TEST_RUN, each packet another flow's (wrapper.bpf.c).
 *
 *   run WRAPPER.o AGENT.o ROUNDS REPEAT PROCESSOR
 *
 * Loads the programs, fills their maps (a UDP and a TCP service, bound and not, with their flows), and runs every case in
 * ROUNDS rounds, in the order A B … B A, beside a program that does nothing. Prints a line of JSON for each:
 * {"case", "round", "ns", "empty", "action"}, nanoseconds a packet with the wrapper.
 *
 * Owns: the cases. Must never: attach a program, or measure a case whose program gives another verdict than is expected.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>

#include "agent/maps.h"

enum { LENGTH = 80, HEAD = 56, FLOWS = 16384 };

struct plan {
	unsigned long long next, mask, step;
	unsigned int port_at, unused;
	unsigned char head[HEAD];
};

/* Where a packet comes from or goes to, beside the client's end. */
enum peer { OTHER, BOUND, UNBOUND, TARGET };

struct measured {
	const char *name;
	int in; /* ingress */
	int tcp;
	enum peer peer;
	unsigned flows;
	unsigned action;
};

static const struct measured CASES[] = {
	{"egress: an address of no service", 0, 0, OTHER, FLOWS, TC_ACT_UNSPEC},
	{"egress: UDP, no binding", 0, 0, UNBOUND, FLOWS, TC_ACT_UNSPEC},
	{"egress: UDP, redirected, 1 flow", 0, 0, BOUND, 1, TC_ACT_REDIRECT},
	{"egress: UDP, redirected, 16k flows", 0, 0, BOUND, FLOWS, TC_ACT_REDIRECT},
	{"egress: TCP, a connection at the gateway", 0, 1, UNBOUND, FLOWS, TC_ACT_UNSPEC},
	{"egress: TCP, redirected, 1 flow", 0, 1, BOUND, 1, TC_ACT_REDIRECT},
	{"egress: TCP, redirected, 16k flows", 0, 1, BOUND, FLOWS, TC_ACT_REDIRECT},
	{"ingress: UDP of no service", 1, 0, OTHER, FLOWS, TC_ACT_UNSPEC},
	{"ingress: UDP from the gateway", 1, 0, UNBOUND, FLOWS, TC_ACT_UNSPEC},
	{"ingress: UDP from a target, 1 flow", 1, 0, TARGET, 1, TC_ACT_UNSPEC},
	{"ingress: UDP from a target, 16k flows", 1, 0, TARGET, FLOWS, TC_ACT_UNSPEC},
	{"ingress: TCP of no service", 1, 1, OTHER, FLOWS, TC_ACT_UNSPEC},
	{"ingress: TCP from a target, 1 flow", 1, 1, TARGET, 1, TC_ACT_UNSPEC},
	{"ingress: TCP from a target, 16k flows", 1, 1, TARGET, FLOWS, TC_ACT_UNSPEC},
};
enum { COUNT = sizeof(CASES) / sizeof(CASES[0]) };

static const char *const CLIENT = "198.51.100.7";
static const char *const PEERS[] = {"192.0.2.1", "203.0.113.53", "203.0.113.54", "10.77.11.2"};
static const unsigned short PORT = 53;

static struct bpf_object *wrapper, *agent;

static void fail(const char *what)
{
	fprintf(stderr, "run: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int map(struct bpf_object *object, const char *name)
{
	return bpf_object__find_map_fd_by_name(object, name);
}

static int program(struct bpf_object *object, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(object, name));
}

static void put(const char *name, const void *key, const void *value)
{
	if (bpf_map_update_elem(map(agent, name), key, value, BPF_ANY))
		fail(name);
}

static struct sh_addr address(const char *text)
{
	return sh_addr_v4(inet_addr(text));
}

static void beat(void)
{
	struct timespec now;
	u32 zero = 0;

	clock_gettime(CLOCK_BOOTTIME, &now);
	struct ag_state state = {.heartbeat_ns = (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec};
	put("ag_states", &zero, &state);
}

/* Two services of each protocol, one bound and one not; and what the programs know of their flows. */
static void fill(void)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		u8 protocol = tcp ? SH_TCP : SH_UDP;

		for (int bound = 0; bound < 2; bound++) {
			struct ag_service_key key = {.address = address(PEERS[bound ? BOUND : UNBOUND]),
			                             .port = htons(PORT),
			                             .protocol = protocol};
			u32 index = (u32)(tcp * 2 + bound);
			struct ag_service service = {.index = index};
			struct ag_bound target = {0};

			if (bound) {
				service.target = target.target = address(PEERS[TARGET]);
				service.port = target.port = htons(PORT);
				service.source = address(CLIENT);
				service.until_ns = ~0ull;
				service.bound = 1;
			}
			put("ag_bindings", &index, &target);
			put("ag_services", &key, &service);
		}
		for (unsigned i = 0; i < FLOWS; i++) {
			struct sh_flow flow = {.source = address(CLIENT),
			                       .source_port = htons((u16)(0x4000 | i)),
			                       .destination = address(PEERS[BOUND]),
			                       .destination_port = htons(PORT),
			                       .protocol = protocol,
			                       .family = SH_IPV4};
			struct ag_flow path = {.target = address(PEERS[TARGET]),
			                       .index = (u32)(tcp * 2 + 1),
			                       .port = htons(PORT),
			                       .answered = 1};
			struct ag_origin origin = {
				.service = address(PEERS[BOUND]), .index = (u32)(tcp * 2 + 1), .port = htons(PORT)};

			if (tcp)
				put("ag_flows", &flow, &path);
			flow.destination = address(PEERS[TARGET]);
			put("ag_origins", &flow, &origin);
		}
	}
}

static void make_head(struct plan *plan, const struct measured *one)
{
	unsigned char *p = plan->head;
	unsigned int client = inet_addr(CLIENT), peer = inet_addr(PEERS[one->peer]), sum = 0;

	memset(p, 0, HEAD);
	memcpy(p, "\2\0\0\0\0\2\2\0\0\0\0\1\10\0", 14);
	memcpy(p + 14, "\x45\0\0\x42\0\0\x40\0\x40\0\0\0", 12); /* 66 bytes, DF, TTL 64 */
	p[23] = one->tcp ? 6 : 17;
	memcpy(p + (one->in ? 30 : 26), &client, 4);
	memcpy(p + (one->in ? 26 : 30), &peer, 4);
	p[one->in ? 35 : 37] = (unsigned char)PORT;
	if (one->tcp)
		memcpy(p + 46, "\x50\x10\xff\xff\x12\x34", 6); /* ACK, a checksum */
	else
		memcpy(p + 38, "\0\x2e\x12\x34", 4); /* 46 bytes, a checksum */
	for (int i = 14; i < 34; i += 2)
		sum += p[i] | p[i + 1] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	memcpy(p + 24, &sum, 2);
	plan->port_at = one->in ? 36 : 34;
	plan->mask = one->flows - 1;
	plan->step = one->flows > 1 ? 0x9e3779b97f4a7c15ull : 1;
}

/* Nanoseconds a packet. */
static unsigned measure(struct plan *plan, int subject, int repeat, unsigned *action)
{
	unsigned char packet[LENGTH] = {0};
	u32 zero = 0;

	memcpy(packet, plan->head, HEAD); /* its Ethernet type is read before the wrapper runs */
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet), .repeat = repeat);
	if (bpf_map_update_elem(map(wrapper, "subject"), &zero, &subject, BPF_ANY))
		fail("the subject can't be jumped to");
	beat();
	if (bpf_prog_test_run_opts(program(wrapper, "next_packet"), &options))
		fail("BPF_PROG_TEST_RUN");
	*action = options.retval;
	return options.duration;
}

int main(int argc, char **argv)
{
	cpu_set_t set;

	if (argc < 6) {
		fprintf(stderr, "usage: run WRAPPER.o AGENT.o ROUNDS REPEAT PROCESSOR\n");
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET(atoi(argv[5]), &set);
	sched_setaffinity(0, sizeof(set), &set);
	wrapper = bpf_object__open_file(argv[1], NULL);
	if (!wrapper || bpf_object__load(wrapper))
		fail(argv[1]);
	agent = bpf_object__open_file(argv[2], NULL);
	if (!agent || bpf_object__load(agent))
		fail(argv[2]);
	struct plan *plan = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, map(wrapper, ".data.plan"), 0);
	if (plan == MAP_FAILED)
		fail("plan");
	fill();
	int rounds = atoi(argv[3]), repeat = atoi(argv[4]);
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < COUNT; i++) {
			const struct measured *one = &CASES[round % 2 ? COUNT - 1 - i : i];
			int subject = program(agent, one->in ? "shunt_in" : "shunt_out");
			unsigned action, none, nanoseconds, empty;

			make_head(plan, one);
			measure(plan, subject, FLOWS * 2, &action); /* warms up */
			if (round % 2)
				empty = measure(plan, program(wrapper, "empty"), repeat, &none);
			nanoseconds = measure(plan, subject, repeat, &action);
			if (!(round % 2))
				empty = measure(plan, program(wrapper, "empty"), repeat, &none);
			if (action != one->action) {
				fprintf(stderr, "run: %s: verdict %d, expected %d\n", one->name, (int)action,
				        (int)one->action);
				return 1;
			}
			printf("{\"case\": \"%s\", \"round\": %d, \"ns\": %u, \"empty\": %u}\n", one->name, round,
			       nanoseconds, empty);
		}
	return 0;
}
