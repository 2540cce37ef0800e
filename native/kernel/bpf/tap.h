/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * tap.h - what a capture does before and after the packet program: keep, choose, and send up.
 *
 * Owns: the choice of packets by flow and reason, the cap, and one record for each packet.
 * Must never: change a packet, or what the packet program does with it.
 *
 * The including file first defines how the packet is reached: the type sh_tap_packet, sh_tap_load(packet, offset, to, bytes),
 * which is 0 when it could copy, sh_tap_length(packet), the bytes on the wire, and sh_tap_passage(), the packet program's.
 */
#ifndef SHUNT_KERNEL_BPF_TAP_H
#define SHUNT_KERNEL_BPF_TAP_H

#include "kernel/bpf/dump.h"

/* Set before the program is loaded, so that the verifier removes the filters that are not in use. */
const volatile struct sh_dump_wanted sh_dump_wanted SEC(".rodata.wanted") = {.before = SH_DUMP_MOST};

/* The earliest moment at which the next packet is in time: one word for all processors, so that the cap is one cap. */
u64 sh_dump_due_ns SEC(".data.due");

enum sh_tap_state {
	SH_TAP_NONE,
	SH_TAP_SKIPPED, /* beyond the cap: only counted */
	SH_TAP_KEPT,
};

/* From before to after: the same processor, and no other packet between them. */
struct sh_tap_slot {
	u64 starved_jiffy; /* in which the cap was last met */
	u64 state;
	struct sh_dump_record record;
	u8 bytes[2 * SH_DUMP_MOST];
	enum sh_reason reason[0]; /* no memory: the loader compares its numbers with the packet program's */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct sh_tap_slot);
} sh_tap_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct sh_dump_counts);
} sh_dump_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} sh_dump_ring SEC(".maps");

SH_INLINE struct sh_tap_slot *sh_tap_slot(void)
{
	const u32 zero = 0;

	return bpf_map_lookup_elem(&sh_tap_slots, &zero);
}

/* Copies the packet's head. Returns how many bytes. */
SH_INLINE u32 sh_tap_keep(sh_tap_packet *packet, u32 length, void *to, u32 wanted)
{
	u32 last = (length < wanted ? length : wanted) -
	           1; /* of none it is out of bounds, as older verifiers understand, too */

	asm volatile("" : "+r"(last)); /* so that the bounds are not folded into others that the verifier can't see */
	if (last >= SH_DUMP_MOST || sh_tap_load(packet, 0, to, last + 1))
		return 0;
	return last + 1;
}

SH_INLINE void sh_tap_before(sh_tap_packet *packet, u32 ifindex, u32 queue)
{
	struct sh_tap_slot *slot = sh_tap_slot();
	struct sh_passage *passage = sh_tap_passage();
	struct sh_dump_counts *counts;
	const u32 zero = 0;

	counts = bpf_map_lookup_elem(&sh_dump_counts, &zero);
	if (!slot || !counts || !passage)
		return;
	slot->state = SH_TAP_NONE;
	if (sh_dump_wanted.ifindex && ifindex != sh_dump_wanted.ifindex)
		return;
	counts->seen++;
	/* What the packet program does not come to find out shall not be an earlier packet's. */
	__builtin_memset(passage, 0, sizeof(*passage));
	slot->state = SH_TAP_SKIPPED;
	if (slot->starved_jiffy == bpf_jiffies64())
		return;
	slot->state = SH_TAP_KEPT;
	slot->record.ingress = ifindex;
	slot->record.queue = queue;
	slot->record.before_bytes = sh_tap_length(packet);
	slot->record.before_kept =
		(u16)sh_tap_keep(packet, slot->record.before_bytes, slot->bytes, sh_dump_wanted.before);
}

/* Packets of no service leave before their ports are parsed; the capture shows the ports too. */
SH_INLINE void sh_tap_ports(sh_tap_packet *packet, const struct sh_parsed *p, struct sh_flow *flow)
{
	be16 ports[2];

	if (flow->protocol || !flow->family)
		return;
	flow->protocol = p->protocol;
	if ((p->protocol != SH_UDP && p->protocol != SH_TCP) || p->fragmentation == SH_FRAGMENT_LATER ||
	    sh_tap_load(packet, p->l4, ports, sizeof(ports)))
		return;
	flow->source_port = ports[0];
	flow->destination_port = ports[1];
}

SH_INLINE int sh_tap_prefix(const struct sh_addr *address, const volatile struct sh_addr *prefix,
                            const volatile struct sh_addr *mask)
{
	return (address->d[0] & mask->d[0]) == prefix->d[0] && (address->d[1] & mask->d[1]) == prefix->d[1];
}

SH_INLINE int sh_tap_matches(const struct sh_flow *flow, u8 reason)
{
	const volatile struct sh_dump_wanted *w = &sh_dump_wanted;

	if (!(w->reasons[reason / 64 % SH_DUMP_REASON_WORDS] >> reason % 64 & 1))
		return 0;
	if (w->protocol && w->protocol != flow->protocol)
		return 0;
	if ((w->source_port && w->source_port != flow->source_port) ||
	    (w->destination_port && w->destination_port != flow->destination_port))
		return 0;
	return sh_tap_prefix(&flow->source, &w->source, &w->source_mask) &&
	       sh_tap_prefix(&flow->destination, &w->destination, &w->destination_mask);
}

/* Is there room under the cap at this moment? Takes it. */
SH_INLINE int sh_tap_in_time(u64 now_ns)
{
	u32 tries;

	if (!sh_dump_wanted.interval_ns)
		return 1;
	for (tries = 0; tries < 4; tries++) {
		u64 due = SH_READ_ONCE(sh_dump_due_ns);
		u64 from = due > now_ns ? due : now_ns;

		if (from - now_ns > sh_dump_wanted.burst_ns)
			return 0;
		if (__sync_val_compare_and_swap(&sh_dump_due_ns, due, from + sh_dump_wanted.interval_ns) == due)
			return 1;
	}
	return 0; /* so many at once that one may be missing */
}

SH_INLINE void sh_tap_after(sh_tap_packet *packet, int action)
{
	struct sh_tap_slot *slot = sh_tap_slot();
	const struct sh_passage *passage = sh_tap_passage();
	const struct sh_parsed *parsed;
	struct sh_dump_counts *counts;
	struct sh_dump_record *record;
	const u32 zero = 0;
	u32 before, after = 0;
	u64 state;

	counts = bpf_map_lookup_elem(&sh_dump_counts, &zero);
	if (!slot || !counts || !passage)
		return;
	state = slot->state;
	slot->state = SH_TAP_NONE; /* should nothing come before, nothing is found after */
	if (state == SH_TAP_NONE)
		return;

	record = &slot->record;
	parsed = passage->inner.flow.family ? &passage->inner : &passage->parsed;
	record->flow = parsed->flow;
	sh_tap_ports(packet, parsed, &record->flow);
	record->reason = passage->result.reason;
	if (!sh_tap_matches(&record->flow, record->reason))
		return;
	counts->matched++;
	record->now_ns = bpf_ktime_get_ns();
	if (state == SH_TAP_SKIPPED || !sh_tap_in_time(record->now_ns)) {
		/* Until the clock has moved, no further packet is copied for nothing. */
		slot->starved_jiffy = bpf_jiffies64();
		counts->suppressed++;
		return;
	}

	record->action = (u32)action;
	record->target = passage->result.target;
	record->service = passage->result.service;
	record->egress = 0;
	record->after_bytes = 0;
	before = record->before_kept;
	if (before > SH_DUMP_MOST)
		return;
	if (action == XDP_PASS || action == XDP_TX || action == XDP_REDIRECT) {
		record->egress = action == XDP_REDIRECT ? passage->result.ifindex : record->ingress;
		record->after_bytes = sh_tap_length(packet);
		after = sh_tap_keep(packet, record->after_bytes, slot->bytes + before, sh_dump_wanted.after);
	}
	record->after_kept = (u16)after;
	if (bpf_ringbuf_output(&sh_dump_ring, record, sizeof(*record) + before + after, 0))
		counts->lost++;
}

#endif
