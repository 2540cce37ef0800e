/* SPDX-License-Identifier: Apache-2.0
 *
 * katran.c - loads katran's balancer program from an object file of its own and sets it up for one service, to be measured.
 *
 *   katran OBJECT PIN ADDRESS:PORT TARGETS LRU
 *
 * OBJECT is balancer.bpf.c as its project builds it (bench/README.md says how). The program serves UDP at ADDRESS:PORT with
 * TARGETS (up to 250) at 10.77.3.1 and on, by a ring of 65,537, over LRU sessions a processor, and is pinned at PIN.
 *
 * Owns: what the maps of that object are filled with. Nothing here is katran's: names and layouts of maps were read in it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

enum { RING = 65537 };

struct vip_key {
	__u32 address[4];
	__u16 port;
	__u8 protocol;
};
struct vip_value {
	__u32 flags, number;
};
struct real {
	__u32 address[4];
	__u8 flags;
};

static void fail(const char *what)
{
	fprintf(stderr, "katran: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void set(struct bpf_object *object, const char *map, const void *key, const void *value)
{
	int fd = bpf_object__find_map_fd_by_name(object, map);

	if (fd < 0 || bpf_map_update_elem(fd, key, value, BPF_ANY))
		fail(map);
}

static void make_sessions(struct bpf_object *object, unsigned key_bytes, unsigned value_bytes, unsigned entries)
{
	for (int processor = 0; processor < libbpf_num_possible_cpus(); processor++) {
		int fd = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "sessions", key_bytes, value_bytes, entries, NULL);

		if (fd < 0)
			fail("the session table");
		set(object, "lru_mapping", &processor, &fd);
		close(fd);
	}
}

/* A ring in which every target has its share. Which of them a row names has no influence on a packet's cost. */
static void fill_ring(struct bpf_object *object, unsigned targets)
{
	int fd = bpf_object__find_map_fd_by_name(object, "ch_rings");

	for (__u32 row = 0; row < RING; row++) {
		__u32 target = 1 + (__u32)(row * 2654435761u >> 8) % targets;

		if (bpf_map_update_elem(fd, &row, &target, BPF_ANY))
			fail("ch_rings");
	}
}

int main(int argc, char **argv)
{
	struct vip_key vip = {.protocol = IPPROTO_UDP};
	struct vip_value service = {0, 0};
	char *colon = argc == 6 ? strrchr(argv[3], ':') : NULL;
	unsigned targets = argc == 6 ? atoi(argv[4]) : 0;
	unsigned key_bytes, value_bytes;
	struct bpf_program *program;
	struct bpf_object *object;
	struct bpf_map *sessions;
	__u32 zero = 0;

	if (!colon || !targets || targets > 250) {
		fprintf(stderr, "usage: katran OBJECT PIN ADDRESS:PORT TARGETS LRU\n");
		return 2;
	}
	*colon = 0;
	vip.address[0] = inet_addr(argv[3]);
	vip.port = htons((__u16)atoi(colon + 1));
	object = bpf_object__open_file(argv[1], NULL);
	if (!object)
		fail(argv[1]);
	program = bpf_object__find_program_by_name(object, "balancer_ingress");
	if (!program)
		fail("balancer_ingress");
	/* As the wrapper that jumps to it. */
	bpf_program__set_flags(program, bpf_program__flags(program) | BPF_F_XDP_HAS_FRAGS);
	sessions = bpf_object__find_map_by_name(object, "lru_mapping");
	sessions = sessions ? bpf_map__inner_map(sessions) : NULL; /* a template, gone once it is loaded */
	if (!sessions)
		fail("lru_mapping");
	key_bytes = bpf_map__key_size(sessions);
	value_bytes = bpf_map__value_size(sessions);
	if (bpf_object__load(object))
		fail("it can't be loaded");
	make_sessions(object, key_bytes, value_bytes, (unsigned)atoi(argv[5]));
	fill_ring(object, targets);
	for (__u32 i = 1; i <= targets; i++) {
		struct real real = {{htonl(0x0a4d0300 + i)}, 0};

		set(object, "reals", &i, &real);
	}
	set(object, "vip_map", &vip, &service);
	set(object, "ctl_array", &zero, "\2\273\0\0\0\4\0");
	unlink(argv[2]);
	if (bpf_program__pin(program, argv[2]))
		fail(argv[2]);
	return 0;
}
