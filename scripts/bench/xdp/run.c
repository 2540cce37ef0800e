/* SPDX-License-Identifier: Apache-2.0
 *
 * run.c - runs a pinned XDP program over many packets by BPF_PROG_TEST_RUN, each packet another flow (wrapper.bpf.c).
 *
 *   run WRAPPER.o SUBJECT DESTINATION:PORT FLOWS FIRST REPEAT [PROCESSOR [INTERFACE]]
 *
 * SUBJECT is a pinned program, or `bare` or `push`. FLOWS is a power of two, or 0: every packet is a new flow. FIRST is the
 * number of the first packet. With INTERFACE, frames are live: they come in by it, and where the subject says so they leave
 * (Linux 5.18). Prints {"ns": per packet, "action": of the last one}.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

struct plan {
	unsigned long long next, mask, step;
	unsigned int ip_sum, source;
	unsigned char head[48];
};

static void fail(const char *what)
{
	fprintf(stderr, "run: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void make_head(struct plan *plan, unsigned int destination, unsigned short port)
{
	unsigned char *p = plan->head;
	unsigned int sum = 0;

	memcpy(p, "\2\0\0\0\0\2\2\0\0\0\0\1\10\0", 14);
	memcpy(p + 14, "\x45\0\0\x2e\0\0\x40\0\x40\x11\0\0", 12); /* 46 bytes, DF, TTL 64, UDP */
	memcpy(p + 30, &destination, 4);
	p[36] = (unsigned char)(port >> 8);
	p[37] = (unsigned char)port;
	p[39] = 26; /* UDP length; no checksum */
	for (int i = 14; i < 34; i += 2)
		sum += p[i] | p[i + 1] << 8;
	plan->ip_sum = sum;
}

int main(int argc, char **argv)
{
	struct plan *plan;
	unsigned char packet[60] = {0};
	char *colon;
	__u32 zero = 0;
	int subject;

	if (argc < 7 || !(colon = strrchr(argv[3], ':'))) {
		fprintf(stderr,
		        "usage: run WRAPPER.o SUBJECT DESTINATION:PORT FLOWS FIRST REPEAT [PROCESSOR [INTERFACE]]\n");
		return 2;
	}
	*colon = 0;
	if (argc > 7) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(atoi(argv[7]), &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
	if (!object || bpf_object__load(object))
		fail(argv[1]);
	if (!strcmp(argv[2], "bare") || !strcmp(argv[2], "push"))
		subject = bpf_program__fd(
			bpf_object__find_program_by_name(object, argv[2][0] == 'b' ? "bare_tx" : "push_tx"));
	else
		subject = bpf_obj_get(argv[2]);
	if (subject < 0)
		fail(argv[2]);
	if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "subject"), &zero, &subject, BPF_ANY))
		fail("the subject can't be jumped to");
	plan = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
	            bpf_object__find_map_fd_by_name(object, ".data.plan"), 0);
	if (plan == MAP_FAILED)
		fail("plan");
	unsigned long long flows = strtoull(argv[4], NULL, 0);
	make_head(plan, inet_addr(argv[3]), (unsigned short)atoi(colon + 1));
	plan->mask = flows ? flows - 1 : ~0ull;
	plan->step = flows > 1 ? 0x9e3779b97f4a7c15ull : 1;
	plan->source = 0x0a000000; /* 10.0.0.0 */
	plan->next = strtoull(argv[5], NULL, 0);
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet),
	            .repeat = atoi(argv[6]));
	struct xdp_md context = {.data_end = sizeof(packet)};
	struct timespec begin, end;
	if (argc > 8) {
		context.ingress_ifindex = if_nametoindex(argv[8]);
		options.ctx_in = &context;
		options.ctx_size_in = sizeof(context);
		options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
		options.batch_size = 64;
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (bpf_prog_test_run_opts(bpf_program__fd(bpf_object__find_program_by_name(object, "next_packet")), &options))
		fail("BPF_PROG_TEST_RUN");
	clock_gettime(CLOCK_MONOTONIC, &end);
	double whole =
		((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) / options.repeat;
	printf("{\"ns\": %.1f, \"action\": %u}\n", argc > 8 ? whole : options.duration, options.retval);
	return 0;
}
