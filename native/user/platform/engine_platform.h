/* SPDX-License-Identifier: Apache-2.0
 *
 * platform.h (user space) - how the packet program reaches its packet, its tables and its clock in user space.
 *
 * Owns: struct sh_env and struct sh_frame of this engine, and the accessors that datapath/platform.h lists.
 * Must never: decide anything about a packet.
 */
#ifndef SHUNT_USER_PLATFORM_ENGINE_PLATFORM_H
#define SHUNT_USER_PLATFORM_ENGINE_PLATFORM_H

#include "datapath/session/layout.h"
#include "datapath/tables.h"
#include "datapath/tag/tag_cache.h"
#include "datapath/types.h"

/* ThreadSanitizer does not know that a volatile access of an aligned word is whole. */
#ifdef __SANITIZE_THREAD__
#undef SH_READ_ONCE
#undef SH_WRITE_ONCE
#define SH_READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define SH_WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#endif

/* One published set of tables, as arrays. Immutable once published. */
struct sh_tables {
	struct sh_control control;
	const struct sh_service *services;
	const struct sh_rule *rules;
	const struct sh_redirection *redirections;
	const u16 *rows;
	const struct sh_target *targets;
	const struct sh_own *own;
	const struct sh_key *keys;
};

struct sh_tag_cache {
	struct sh_cached_tag tags[SH_CACHED_TAGS];
	struct sh_cached_start starts[SH_CACHED_STARTS];
};

struct sh_env {
	u64 now_ns;
	const struct sh_tables *tables; /* NULL before the first set is published */
	struct sh_bucket4 *bucket4;     /* shared by all workers */
	struct sh_bucket6 *bucket6;
	struct sh_fragment *fragments;
	u32 *limits;                        /* SH_LIMIT_CELLS; NULL: nothing is limited */
	struct sh_pending_redirect *told;   /* SH_PENDING_REDIRECTS; NULL: no pending redirects */
	struct sh_failure_report *failures; /* SH_FAILURE_REPORTS; NULL: none is noted */
	/* Does a socket of this host's take it, or, `connected`, is there a TCP connection? NULL: not queried. */
	int (*served)(const struct sh_flow *flow, int connected);
	u64 *scratch;              /* SH_SCRATCH_BYTES, this worker's own */
	struct sh_tag_cache *kept; /* this worker's own; NULL: nothing is kept */
	u32 ifindex;               /* of the interface that the packets come from */
};

/* A packet within its buffer: floor <= data <= end. */
struct sh_frame {
	u8 *data;
	u8 *end;
	u8 *floor; /* lowest address that sh_push may grow to */
};

SH_INLINE u64 sh_now_ns(const struct sh_env *env)
{
	return env->now_ns;
}

SH_INLINE const struct sh_control *sh_control(const struct sh_env *env)
{
	return env->tables ? &env->tables->control : (const struct sh_control *)0;
}

SH_INLINE int sh_env_restore(const struct sh_env *handed, struct sh_env *env)
{
	*env = *handed;
	return env->tables ? 0 : -1;
}

SH_INLINE u64 sh_env_handle(const struct sh_env *env)
{
	return (u64)(unsigned long)env;
}

SH_INLINE void sh_env_of(u64 handle, struct sh_env *env)
{
	*env = *(const struct sh_env *)(unsigned long)handle;
}

SH_INLINE const struct sh_service *sh_service_slot(const struct sh_env *env, u32 i)
{
	return &env->tables->services[i];
}
SH_INLINE const struct sh_rule *sh_rule_slot(const struct sh_env *env, u32 i)
{
	return &env->tables->rules[i];
}
SH_INLINE const struct sh_own *sh_own_slot(const struct sh_env *env, u32 i)
{
	return &env->tables->own[i];
}
SH_INLINE const struct sh_key *sh_key_at(const struct sh_env *env, u8 id)
{
	return &env->tables->keys[id];
}

SH_INLINE const struct sh_redirection *sh_redirection_at(const struct sh_env *env, u32 i)
{
	return i < env->tables->control.redirections ? &env->tables->redirections[i] : (const struct sh_redirection *)0;
}

SH_INLINE const u16 *sh_row_at(const struct sh_env *env, u32 i)
{
	return i < env->tables->control.rows ? &env->tables->rows[i] : (const u16 *)0;
}

SH_INLINE const struct sh_target *sh_target_at(const struct sh_env *env, u32 i)
{
	return i < env->tables->control.targets ? &env->tables->targets[i] : (const struct sh_target *)0;
}

SH_INLINE struct sh_bucket4 *sh_bucket4_at(const struct sh_env *env, u32 i)
{
	return &env->bucket4[i];
}
SH_INLINE struct sh_bucket6 *sh_bucket6_at(const struct sh_env *env, u32 i)
{
	return &env->bucket6[i];
}
SH_INLINE struct sh_fragment *sh_fragment_at(const struct sh_env *env, u32 i)
{
	return &env->fragments[i];
}

SH_INLINE u32 *sh_limit_at(const struct sh_env *env, u32 i)
{
	return env->limits ? &env->limits[i] : (u32 *)0;
}
SH_INLINE struct sh_pending_redirect *sh_pending_redirect_at(const struct sh_env *env, u32 i)
{
	return env->told ? &env->told[i] : (struct sh_pending_redirect *)0;
}
SH_INLINE struct sh_failure_report *sh_failure_report_at(const struct sh_env *env, u32 i)
{
	return env->failures ? &env->failures[i] : (struct sh_failure_report *)0;
}

SH_INLINE void *sh_scratch(const struct sh_env *env)
{
	return env->scratch;
}

SH_INLINE struct sh_cached_tag *sh_cached_tag_at(const struct sh_env *env, u32 i)
{
	return env->kept ? &env->kept->tags[i] : (struct sh_cached_tag *)0;
}

SH_INLINE struct sh_cached_start *sh_cached_start_at(const struct sh_env *env, u32 i)
{
	return env->kept ? &env->kept->starts[i] : (struct sh_cached_start *)0;
}

SH_INLINE u32 sh_ingress(const struct sh_env *env, const struct sh_frame *frame)
{
	(void)frame;
	return env->ifindex;
}

/* Here a stage of its own works on the very frame of its caller. */
typedef struct sh_frame sh_packet;

SH_INLINE sh_packet *sh_packet_of(const struct sh_frame *frame)
{
	return (sh_packet *)frame;
}
SH_INLINE struct sh_frame *sh_frame_of(sh_packet *packet, struct sh_frame *room)
{
	return (void)room, packet;
}
SH_INLINE void sh_frame_refresh(struct sh_frame *frame)
{
	(void)frame;
}

SH_INLINE int sh_socket_listens(const struct sh_env *env, const struct sh_frame *frame, const struct sh_flow *flow)
{
	(void)frame;
	return !env->served || env->served(flow, 0);
}

SH_INLINE int sh_socket_connected(const struct sh_env *env, const struct sh_frame *frame, const struct sh_flow *flow)
{
	(void)frame;
	return env->served && env->served(flow, 1);
}

SH_INLINE u32 sh_length(const struct sh_frame *frame)
{
	return (u32)(frame->end - frame->data);
}
SH_INLINE int sh_beyond(const struct sh_frame *frame, u32 offset)
{
	return offset > (u64)(frame->end - frame->data);
}

SH_INLINE int sh_hand_over(const struct sh_frame *frame, u32 target)
{
	(void)frame, (void)target;
	return 0;
}

SH_INLINE int sh_push(struct sh_frame *frame, u32 n)
{
	if ((u64)(frame->data - frame->floor) < n)
		return -1;
	frame->data -= n;
	return 0;
}

SH_INLINE int sh_pop(struct sh_frame *frame, u32 n)
{
	if ((u64)(frame->end - frame->data) < n)
		return -1;
	frame->data += n;
	return 0;
}

SH_INLINE int sh_trim(struct sh_frame *frame, u32 length)
{
	if ((u64)(frame->end - frame->data) < length)
		return -1;
	frame->end = frame->data + length;
	return 0;
}

#endif
