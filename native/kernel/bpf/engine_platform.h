/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * platform.h (kernel) - how the packet program reaches its packet, its tables and its clock in XDP.
 *
 * Owns: the BPF maps, struct sh_env and struct sh_frame of this engine, and the accessors that datapath/platform.h lists.
 * Must never: decide anything about a packet.
 *
 * Each table has two sides, entry by entry: the state says which is published, the other is written while it is not read.
 */
#ifndef SHUNT_KERNEL_BPF_ENGINE_PLATFORM_H
#define SHUNT_KERNEL_BPF_ENGINE_PLATFORM_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "kernel/bpf/state.h"

/* Sizes are set by the loader before it creates the maps; these are only what the object file starts from. */
#define SH_MAP(name, entry, entries) \
	struct { \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(max_entries, entries); \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__type(key, u32); \
		__type(value, entry); \
	} name SEC(".maps")

SH_MAP(sh_services, struct sh_service, SH_SIDES);
SH_MAP(sh_rules, struct sh_rule, SH_SIDES);
SH_MAP(sh_redirections, struct sh_redirection, SH_SIDES);
SH_MAP(sh_rows, struct sh_row_line, SH_SIDES);
SH_MAP(sh_targets, struct sh_target, SH_SIDES);
SH_MAP(sh_own, struct sh_own, SH_SIDES);
SH_MAP(sh_keys, struct sh_key, SH_SIDES *SH_KEYS);
SH_MAP(sh_sessions4, struct sh_bucket4, 1);
SH_MAP(sh_sessions6, struct sh_bucket6, 1);
SH_MAP(sh_fragments, struct sh_fragment, 1);
SH_MAP(sh_limits, u32, SH_LIMIT_CELLS);
SH_MAP(sh_tolds, struct sh_pending_redirect, SH_PENDING_REDIRECTS);
SH_MAP(sh_failures, struct sh_failure_report, SH_FAILURE_REPORTS);
SH_MAP(sh_cached_tags, struct sh_cached_tag, SH_CACHED_TAGS);    /* for each processor */
SH_MAP(sh_tag_starts, struct sh_cached_start, SH_CACHED_STARTS); /* for each processor */
SH_MAP(sh_counters, struct sh_counter, SH_COUNTERS(0));          /* for each processor */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64[SH_SCRATCH_BYTES / 8]);
} sh_scratch_map SEC(".maps");

/* Packets for the daemon to fragment: entries exist while a daemon reads them. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} sh_oversized SEC(".maps");

/* A map of its own kind: reached without a look-up. */
struct sh_state sh_state SEC(".data.state") = {.side = SH_NO_SIDE};

struct sh_env {
	u64 now_ns;
	const struct sh_control *control;
	u64 side; /* 64 bits: see sh_env_restore */
	u32 processor;
};

typedef struct xdp_md sh_packet;

struct sh_frame {
	u8 *data;
	u8 *end;
	struct xdp_md *ctx;
};

/* What is read once per packet. */
SH_INLINE void sh_env_start(struct sh_env *env)
{
	u64 side;

	env->now_ns = sh_state.clock.base_ns + bpf_jiffies64() * sh_state.clock.tick_ns;
	env->processor = bpf_get_smp_processor_id();
	env->side = SH_READ_ONCE(sh_state.side);
	side = env->side;
	/* Compared as the compiler likes, and then bounded where the verifier sees it (sh_env_restore). */
	asm volatile("" : "+r"(side));
	env->control = env->side < SH_SIDES ? &sh_state.control[side & (SH_SIDES - 1)] : 0;
}

SH_INLINE u64 sh_now_ns(const struct sh_env *env)
{
	return env->now_ns;
}

SH_INLINE const struct sh_control *sh_control(const struct sh_env *env)
{
	return env->control;
}

/* An env whose pointers the verifier accepts, from a copy in plain memory. Without tables no stage runs that restores one.
 *
 * The side is masked, not compared: the verifier of Linux 6.1 forgets the bounds of a comparison when the register was
 * spilled before it, and keeps those of a value that was bounded as it was spilled. */
SH_INLINE int sh_env_restore(const struct sh_env *env_copy, struct sh_env *env)
{
	env->now_ns = env_copy->now_ns;
	env->side = env_copy->side & (SH_SIDES - 1);
	env->processor = env_copy->processor;
	env->control = &sh_state.control[env->side];
	return 0;
}

/* What stands for an env in a stage that is verified alone and has no copy of one at hand. It has no clock. */
SH_INLINE u64 sh_env_handle(const struct sh_env *env)
{
	return env->side;
}

SH_INLINE void sh_env_of(u64 handle, struct sh_env *env)
{
	env->now_ns = 0;
	env->side = handle & (SH_SIDES - 1);
	env->processor = 0;
	env->control = &sh_state.control[env->side];
}

/* Entry i of a table's published side. The sides of one entry lie side by side, so none needs to know the table's size. */
#define SH_TABLE(function, map, entry, count) \
	SH_INLINE const entry *function(const struct sh_env *env, u32 i) \
	{ \
		u32 index = i * SH_SIDES + (u32)env->side; \
\
		if (!env->control || i >= (count)) \
			return 0; \
		return (const entry *)bpf_map_lookup_elem(&map, &index); \
	}

SH_TABLE(sh_service_slot, sh_services, struct sh_service, env->control->service_mask + 1)
SH_TABLE(sh_rule_slot, sh_rules, struct sh_rule, env->control->rule_mask + 1)
SH_TABLE(sh_own_slot, sh_own, struct sh_own, env->control->own_mask + 1)
SH_TABLE(sh_redirection_at, sh_redirections, struct sh_redirection, env->control->redirections)
SH_TABLE(sh_row_line_at, sh_rows, struct sh_row_line, (env->control->rows + SH_ROWS_A_LINE - 1) / SH_ROWS_A_LINE)
SH_TABLE(sh_target_at, sh_targets, struct sh_target, env->control->targets)
SH_TABLE(sh_key_at, sh_keys, struct sh_key, SH_KEYS)

SH_INLINE const u16 *sh_row_at(const struct sh_env *env, u32 i)
{
	const struct sh_row_line *line = sh_row_line_at(env, i / SH_ROWS_A_LINE);

	return line ? &line->row[i % SH_ROWS_A_LINE] : 0;
}

SH_INLINE struct sh_bucket4 *sh_bucket4_at(const struct sh_env *env, u32 i)
{
	return (struct sh_bucket4 *)bpf_map_lookup_elem(&sh_sessions4, &i);
}

SH_INLINE struct sh_bucket6 *sh_bucket6_at(const struct sh_env *env, u32 i)
{
	return (struct sh_bucket6 *)bpf_map_lookup_elem(&sh_sessions6, &i);
}

SH_INLINE struct sh_fragment *sh_fragment_at(const struct sh_env *env, u32 i)
{
	return (struct sh_fragment *)bpf_map_lookup_elem(&sh_fragments, &i);
}

SH_INLINE u32 *sh_limit_at(const struct sh_env *env, u32 i)
{
	return (u32 *)bpf_map_lookup_elem(&sh_limits, &i);
}

SH_INLINE struct sh_pending_redirect *sh_pending_redirect_at(const struct sh_env *env, u32 i)
{
	return (struct sh_pending_redirect *)bpf_map_lookup_elem(&sh_tolds, &i);
}

SH_INLINE struct sh_failure_report *sh_failure_report_at(const struct sh_env *env, u32 i)
{
	return (struct sh_failure_report *)bpf_map_lookup_elem(&sh_failures, &i);
}

SH_INLINE struct sh_cached_tag *sh_cached_tag_at(const struct sh_env *env, u32 i)
{
	u32 index = env->processor * SH_CACHED_TAGS + i;

	return (struct sh_cached_tag *)bpf_map_lookup_elem(&sh_cached_tags, &index);
}

SH_INLINE struct sh_cached_start *sh_cached_start_at(const struct sh_env *env, u32 i)
{
	u32 index = env->processor * SH_CACHED_STARTS + i;

	return (struct sh_cached_start *)bpf_map_lookup_elem(&sh_tag_starts, &index);
}

SH_INLINE void *sh_scratch(const struct sh_env *env)
{
	u32 zero = 0;

	(void)env;
	return bpf_map_lookup_elem(&sh_scratch_map, &zero);
}

SH_INLINE void sh_frame_reload(struct sh_frame *frame)
{
	frame->data = (u8 *)(long)frame->ctx->data;
	frame->end = (u8 *)(long)frame->ctx->data_end;
}

SH_INLINE u32 sh_ingress(const struct sh_env *env, const struct sh_frame *frame)
{
	(void)env;
	return frame->ctx->ingress_ifindex;
}

SH_INLINE sh_packet *sh_packet_of(const struct sh_frame *frame)
{
	return frame->ctx;
}

SH_INLINE struct sh_frame *sh_frame_of(sh_packet *packet, struct sh_frame *room)
{
	room->ctx = packet;
	sh_frame_reload(room);
	return room;
}

SH_INLINE void sh_frame_refresh(struct sh_frame *frame)
{
	sh_frame_reload(frame);
}

/* The state of the socket that takes a packet of this flow: enum of <linux/bpf.h>, 0: there is none. */
SH_STAGE u32 sh_socket_state(const struct sh_frame *frame, const struct sh_flow *flow)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *socket;
	u32 size, state;

	if (flow->family == 4) {
		tuple.ipv4.saddr = flow->source.w[3];
		tuple.ipv4.daddr = flow->destination.w[3];
		tuple.ipv4.sport = flow->source_port;
		tuple.ipv4.dport = flow->destination_port;
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &flow->source, 16);
		__builtin_memcpy(tuple.ipv6.daddr, &flow->destination, 16);
		tuple.ipv6.sport = flow->source_port;
		tuple.ipv6.dport = flow->destination_port;
		size = sizeof(tuple.ipv6);
	}
	if (flow->protocol == SH_UDP) {
		socket = bpf_sk_lookup_udp(frame->ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
		if (!socket)
			return 0;
		bpf_sk_release(socket);
		return BPF_TCP_CLOSE;
	}
	socket = bpf_skc_lookup_tcp(frame->ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0); /* in TIME_WAIT, too */
	if (!socket)
		return 0;
	state = socket->state;
	bpf_sk_release(socket);
	return state;
}

/* A test has neither a clock nor sockets of its own. */
SH_INLINE int sh_socket_listens(const struct sh_env *env, const struct sh_frame *frame, const struct sh_flow *flow)
{
	(void)env;
	return !sh_state.clock.tick_ns || sh_socket_state(frame, flow);
}

SH_INLINE int sh_socket_connected(const struct sh_env *env, const struct sh_frame *frame, const struct sh_flow *flow)
{
	u32 state;

	(void)env;
	if (!sh_state.clock.tick_ns)
		return 0;
	state = sh_socket_state(frame, flow);
	return state && state != BPF_TCP_LISTEN;
}

/* Bytes of the first buffer. The barrier keeps the compiler from folding the two pointers into other sums, which the
 * verifier would refuse. */
SH_INLINE u32 sh_frame_first(const struct sh_frame *frame)
{
	u64 bytes = (u64)(frame->end - frame->data);

	asm volatile("" : "+r"(bytes));
	return (u32)bytes;
}

/* A jumbo frame may lie in several buffers: data to end is the first, which holds all headers. Drivers begin a second one
 * when the first is full, and none has smaller ones than this. Whether there is a second, only a call into the kernel can
 * tell, which most packets are spared. */
#define SH_SMALLEST_BUFFER 1024

SH_INLINE u32 sh_length(const struct sh_frame *frame)
{
	u32 first = sh_frame_first(frame);

	return SH_LIKELY(first < SH_SMALLEST_BUFFER) ? first : (u32)bpf_xdp_get_buff_len(frame->ctx);
}

SH_INLINE int sh_beyond(const struct sh_frame *frame, u32 offset)
{
	return offset > sh_frame_first(frame) && offset > bpf_xdp_get_buff_len(frame->ctx);
}

SH_INLINE int sh_hand_over(const struct sh_frame *frame, u32 target)
{
	u64 length = bpf_xdp_get_buff_len(frame->ctx);
	struct sh_handed_over head = {target, (u32)length};

	return bpf_perf_event_output(frame->ctx, &sh_oversized, length << 32 | BPF_F_CURRENT_CPU, &head, sizeof(head))
	               ? -1
	               : 0;
}

SH_INLINE int sh_push(struct sh_frame *frame, u32 n)
{
	long failed = bpf_xdp_adjust_head(frame->ctx, -(int)n);

	sh_frame_reload(frame);
	return failed ? -1 : 0;
}

SH_INLINE int sh_pop(struct sh_frame *frame, u32 n)
{
	long failed = bpf_xdp_adjust_head(frame->ctx, (int)n);

	sh_frame_reload(frame);
	return failed ? -1 : 0;
}

SH_INLINE int sh_trim(struct sh_frame *frame, u32 length)
{
	u32 have = sh_length(frame);
	long failed;

	if (SH_LIKELY(have == length))
		return 0;
	if (have < length)
		return -1;
	failed = bpf_xdp_adjust_tail(frame->ctx, (int)length - (int)have);
	sh_frame_reload(frame);
	return failed ? -1 : 0;
}

#endif
