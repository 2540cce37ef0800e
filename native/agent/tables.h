/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * tables.h - the host agent's BPF maps, and the events that it sends to the daemon.
 *
 * Owns: the maps of services, flows, SYNs, counters and the heartbeat; the ring of events.
 * Must never: redirect a packet; outgoing.h and incoming.h do.
 */
#ifndef SHUNT_AGENT_TABLES_H
#define SHUNT_AGENT_TABLES_H

#include "agent/maps.h"
#include "agent/packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC); /* so that an entry that is being read is not written again meanwhile */
	__uint(max_entries, AG_SERVICES);
	__type(key, struct ag_service_key);
	__type(value, struct ag_service);
} ag_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, AG_FLOWS);
	__type(key, struct sh_flow);
	__type(value, struct ag_flow);
} ag_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, AG_FLOWS);
	__type(key, struct sh_flow);
	__type(value, struct ag_origin);
} ag_origins SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, AG_SYNS);
	__type(key, struct sh_flow);
	__type(value, struct ag_syn);
} ag_syns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AG_SERVICES);
	__type(key, u32);
	__type(value, struct ag_counts);
} ag_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AG_SERVICES);
	__type(key, u32);
	__type(value, struct ag_bound);
} ag_bindings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ag_state);
} ag_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, AG_RING_BYTES);
} ag_ring SEC(".maps");

/* The index of the last of `bytes` bytes, to be compared with a buffer's size: the verifier of Linux 6.1 then knows that
 * last + 1 is neither 0 nor too large. The barrier keeps clang from undoing this. */
SH_INLINE u32 ag_last_byte(u32 bytes)
{
	u32 last = bytes - 1;

	asm volatile("" : "+r"(last));
	return last;
}

SH_INLINE void ag_count(u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

/* Reserves an event, to be filled and submitted. `syn` is the SYN that is to be sent again; 0: none. */
SH_INLINE struct ag_event *ag_event(u32 kind, u32 index, const struct sh_addr *target, be16 port,
                                    const struct ag_syn *syn)
{
	struct ag_event *event = bpf_ringbuf_reserve(&ag_ring, sizeof(*event), 0);

	if (!event)
		return 0;
	__builtin_memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->index = index;
	event->port = port;
	if (target)
		event->target = *target;
	if (syn)
		event->syn = *syn;
	return event;
}

SH_INLINE void ag_submit(u32 kind, u32 index, const struct sh_addr *target, be16 port, const struct ag_syn *syn)
{
	struct ag_event *event = ag_event(kind, index, target, port, syn);

	if (event)
		bpf_ringbuf_submit(event, 0);
}

/* Names the datagrams that a redirect may move: those of the source, unless the flow's path is decided. */
SH_INLINE void ag_name_source(struct ag_event *event, const struct sh_flow *flow)
{
	event->source = flow->source;
	event->source_port = flow->source_port;
}

SH_INLINE int ag_alive(u64 now)
{
	u32 zero = 0;
	struct ag_state *state = bpf_map_lookup_elem(&ag_states, &zero);

	return state && now < state->heartbeat_ns + AG_PATIENCE_NS;
}

#endif
