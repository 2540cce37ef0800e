/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * platform.h (kernel) - how the packet program reaches its packet, its tables and its clock in XDP.
 *
 * Owns: the BPF maps, struct sh_env and struct sh_frame of this engine, and the accessors that packet/platform.h lists.
 * Must never: decide anything about a packet.
 *
 * Each table has two sides. The control block says which is published; the other is written while nobody reads it.
 */
#ifndef SHUNT_BPF_PLATFORM_H
#define SHUNT_BPF_PLATFORM_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "../packet/session_layout.h"
#include "../packet/tables.h"
#include "../packet/types.h"

/* Sizes are set by the loader before it creates the maps; these are only what the object file starts from. */
#define SH_MAP(name, kind, entry, entries) \
	struct { \
		__uint(type, kind); \
		__uint(max_entries, entries); \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__type(key, u32); \
		__type(value, entry); \
	} name SEC(".maps")

SH_MAP(sh_map_control, BPF_MAP_TYPE_ARRAY, struct sh_control, 2);
SH_MAP(sh_map_services, BPF_MAP_TYPE_ARRAY, struct sh_service, 2);
SH_MAP(sh_map_rules, BPF_MAP_TYPE_ARRAY, struct sh_rule, 2);
SH_MAP(sh_map_redirections, BPF_MAP_TYPE_ARRAY, struct sh_redirection, 2);
SH_MAP(sh_map_rows, BPF_MAP_TYPE_ARRAY, u16, 2);
SH_MAP(sh_map_targets, BPF_MAP_TYPE_ARRAY, struct sh_target, 2);
SH_MAP(sh_map_own, BPF_MAP_TYPE_ARRAY, struct sh_own, 2);
SH_MAP(sh_map_keys, BPF_MAP_TYPE_ARRAY, struct sh_key, 2 * SH_KEYS);
SH_MAP(sh_map_sessions4, BPF_MAP_TYPE_ARRAY, struct sh_bucket4, 1);
SH_MAP(sh_map_sessions6, BPF_MAP_TYPE_ARRAY, struct sh_bucket6, 1);
SH_MAP(sh_map_fragments, BPF_MAP_TYPE_ARRAY, struct sh_fragment, 1);

/* Which side is published: 0 or 1, and 2 before the first. One word, so that a swap is one store. */
SH_MAP(sh_map_side, BPF_MAP_TYPE_ARRAY, u32, 1);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64[SH_SCRATCH_BYTES / 8]);
} sh_map_scratch SEC(".maps");

struct sh_env {
	u64 now_ns;
	const struct sh_control *control;
	u32 side;
};

struct sh_frame {
	u8 *data;
	u8 *end;
	struct xdp_md *ctx;
};

SH_INLINE u64 sh_now_ns(const struct sh_env *env)
{
	return env->now_ns;
}

SH_INLINE const struct sh_control *sh_control(const struct sh_env *env)
{
	return env->control;
}

/* An env whose pointers the verifier believes, from one that came as plain memory. 0, or -1 without tables. */
SH_INLINE int sh_env_again(const struct sh_env *handed, struct sh_env *env)
{
	env->now_ns = handed->now_ns;
	env->side = handed->side;
	env->control = bpf_map_lookup_elem(&sh_map_control, &env->side);
	return env->control ? 0 : -1;
}

/* Entry i of a table's published side. Sides lie one after the other; `count` is the published size of one. */
#define SH_SIDE(env, i, count) ((env)->side ? (i) + (count) : (i))

#define SH_TABLE(function, map, entry, count) \
	SH_INLINE const entry *function(const struct sh_env *env, u32 i) \
	{ \
		u32 index; \
\
		if (!env->control || i >= (count)) \
			return 0; \
		index = SH_SIDE(env, i, count); \
		return (const entry *)bpf_map_lookup_elem(&map, &index); \
	}

SH_TABLE(sh_service_slot, sh_map_services, struct sh_service, env->control->service_mask + 1)
SH_TABLE(sh_rule_slot, sh_map_rules, struct sh_rule, env->control->rule_mask + 1)
SH_TABLE(sh_own_slot, sh_map_own, struct sh_own, env->control->own_mask + 1)
SH_TABLE(sh_redirection_at, sh_map_redirections, struct sh_redirection, env->control->redirections)
SH_TABLE(sh_row_at, sh_map_rows, u16, env->control->rows)
SH_TABLE(sh_target_at, sh_map_targets, struct sh_target, env->control->targets)
SH_TABLE(sh_key_at, sh_map_keys, struct sh_key, SH_KEYS)

SH_INLINE struct sh_bucket4 *sh_bucket4_at(const struct sh_env *env, u32 i)
{
	return (struct sh_bucket4 *)bpf_map_lookup_elem(&sh_map_sessions4, &i);
}

SH_INLINE struct sh_bucket6 *sh_bucket6_at(const struct sh_env *env, u32 i)
{
	return (struct sh_bucket6 *)bpf_map_lookup_elem(&sh_map_sessions6, &i);
}

SH_INLINE struct sh_fragment *sh_fragment_at(const struct sh_env *env, u32 i)
{
	return (struct sh_fragment *)bpf_map_lookup_elem(&sh_map_fragments, &i);
}

SH_INLINE void *sh_scratch(const struct sh_env *env)
{
	u32 zero = 0;

	(void)env;
	return bpf_map_lookup_elem(&sh_map_scratch, &zero);
}

SH_INLINE void sh_frame_reload(struct sh_frame *frame)
{
	frame->data = (u8 *)(long)frame->ctx->data;
	frame->end = (u8 *)(long)frame->ctx->data_end;
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
	u32 have = (u32)(frame->end - frame->data);
	long failed = 0;

	if (have < length)
		return -1;
	if (have > length)
		failed = bpf_xdp_adjust_tail(frame->ctx, (int)length - (int)have);
	sh_frame_reload(frame);
	return failed ? -1 : 0;
}

#endif
