/* SPDX-License-Identifier: Apache-2.0
 *
 * carriers.c - the packet program's carriers behind a pipe, so that a test can compare them with the shared vectors.
 *
 * Reads requests from stdin, writes one answer each to stdout, both of fixed size:
 *   request: u8 what, u8 0, u16 packet bytes, u16 extra bytes, u8 packet[600], u8 extra[128]
 *     what = 1: which signal does a server hear?
 *     what = 2: a packet of the tunnel; extra: the key
 *     what = 3, 4, 5: the answer to this packet, by control datagram, with the packet returned, or by reset; extra: its payload
 *     what = 6: the rank of a target after a failure; extra: u64 secret (little-endian), client[16], target[16], u16 port
 *   answer: u8 reason (255: none), u8 type, u8 tag is right, u8 flow block's bytes, u16 answer's bytes, u16 port, u8 protocol,
 *           u8 0[7], u64 nonce, u64 rank, u8 address[16], u8 flow block[40], u8 answer[600]; in network order
 * A packet stands at the end of a block of its own, so that a sanitizer detects a read beyond it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/carrier/geneve_decap.h"
#include "datapath/carrier/tcp_reset.h"
#include "datapath/signal/read.h"

enum { HEADROOM = 256, LINK = 14, PACKET = 600, EXTRA = 128, CONTROL_PORT = 3575 };

struct request {
	u8 what, reserved, packet_bytes[2], extra_bytes[2], packet[PACKET], extra[EXTRA];
};

struct answer {
	u8 reason, type, right, flow_bytes, answer_bytes[2], port[2], protocol, reserved[7], nonce[8], rank[8],
		address[16];
	u8 flow[40], answer[PACKET];
};

static u32 get16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static void put64(u8 *p, u64 x)
{
	for (u32 i = 0; i < 8; i++)
		p[i] = (u8)(x >> (56 - 8 * i));
}

static void signal_of(struct answer *a, struct sh_frame *frame, const struct sh_parsed *p)
{
	const u32 all = 1u << SH_SIGNAL_CAPABILITY | 1u << SH_SIGNAL_FAILURE | 1u << SH_SIGNAL_PROBE;
	struct sh_signal signal;
	const struct sh_flow *flow = p->carrier == SH_CARRIER_CONTROL ? &signal.flow : &p->flow;

	memset(&signal, 0, sizeof(signal));
	if (!p->carrier)
		return;
	a->reason = (u8)sh_signal_read(sh_packet_of(frame), p, &signal, sh_htons(CONTROL_PORT), all);
	if (a->reason != SH_CONTINUE || !signal.kind)
		return;
	a->type = signal.header.type;
	put64(a->nonce, signal.header.nonce);
	memcpy(a->address, &flow->destination, 16);
	memcpy(a->port, &flow->destination_port, 2);
	a->protocol = flow->protocol;
}

static void flow_block(struct answer *a, const struct sh_flow *flow)
{
	u32 skip = flow->family == SH_IPV4 ? 12 : 0, bytes = 16 - skip;

	memcpy(a->flow, flow->source.b + skip, bytes);
	memcpy(a->flow + bytes, flow->destination.b + skip, bytes);
	memcpy(a->flow + 2 * bytes, &flow->source_port, 2);
	memcpy(a->flow + 2 * bytes + 2, &flow->destination_port, 2);
	a->flow[2 * bytes + 4] = flow->protocol;
	a->flow_bytes = (u8)(2 * bytes + 8);
}

static void tunnel_of(struct answer *a, const struct sh_frame *frame, const struct sh_parsed *p, const u8 *secret)
{
	struct sh_header header;
	struct sh_parsed inner;
	u64 key[2];

	memset(&inner, 0, sizeof(inner));
	key[0] = sh_header_get64(secret);
	key[1] = sh_header_get64(secret + 8);
	a->reason = sh_decap_headers(frame, p, &header, &inner);
	if (a->reason != SH_CONTINUE)
		return;
	if (sh_parse_ip(frame, &inner) != SH_CONTINUE || sh_parse_transport(frame, &inner) != SH_CONTINUE) {
		a->reason = SH_R_inner_bad;
		return;
	}
	sh_parsed_tag_flow(&inner);
	flow_block(a, &inner.flow);
	a->right = sh_header_tag_of(&header, &inner.flow, key) == header.tag;
}

static void answer_of(struct answer *a, struct sh_frame *frame, const struct sh_parsed *p, const struct request *r)
{
	struct sh_control_payload payload;
	struct sh_signal signal;
	int failed;

	memset(&signal, 0, sizeof(signal));
	memset(&payload, 0, sizeof(payload));
	payload.length = get16(r->extra_bytes);
	memcpy(payload.word, r->extra, payload.length);
	sh_signal_read(sh_packet_of(frame), p, &signal, sh_htons(CONTROL_PORT), 1u << SH_SIGNAL_CAPABILITY);
	failed = r->what == 3   ? sh_control_reply(frame, p, &payload)
	         : r->what == 4 ? sh_control_return(frame, p, &payload, signal.keep)
	                        : sh_tcp_reset(frame, p, &payload, signal.sequence);
	if (failed || frame->end - frame->data > LINK + PACKET)
		return;
	failed = (int)(frame->end - frame->data - LINK);
	a->answer_bytes[0] = (u8)(failed >> 8);
	a->answer_bytes[1] = (u8)failed;
	memcpy(a->answer, frame->data + LINK, (u32)failed);
}

static void rank_of(struct answer *a, const u8 *extra)
{
	struct sh_control control;
	struct sh_addr source, target;
	be16 port;

	memset(&control, 0, sizeof(control));
	control.seed[1] = sh_header_get64(extra);
	memcpy(&source, extra + 8, 16);
	memcpy(&target, extra + 24, 16);
	memcpy(&port, extra + 40, 2);
	put64(a->rank, sh_other_rank(&control, &source, &target, port));
}

static void answer_request(struct answer *a, const struct request *r)
{
	u32 length = get16(r->packet_bytes);
	u8 *block = (u8 *)malloc(HEADROOM + LINK + length);
	struct sh_frame frame;
	struct sh_parsed p;

	if (!block || length > PACKET)
		exit(2);
	memset(block, 0, HEADROOM + LINK);
	memcpy(block + HEADROOM + LINK, r->packet, length);
	memset(&frame, 0, sizeof(frame));
	frame.floor = block;
	frame.data = block + HEADROOM;
	frame.end = frame.data + LINK + length;
	frame.data[12] = length && r->packet[0] >> 4 == 6 ? 0x86 : 0x08;
	frame.data[13] = length && r->packet[0] >> 4 == 6 ? 0xdd : 0x00;
	memset(&p, 0, sizeof(p));
	a->reason = SH_CONTINUE;
	if (r->what == 6) {
		rank_of(a, r->extra);
	} else if (sh_parse_link(&frame, &p) != SH_CONTINUE || sh_parse_ip(&frame, &p) != SH_CONTINUE) {
		a->reason = SH_R_truncated;
	} else if (r->what == 2) {
		tunnel_of(a, &frame, &p, r->extra);
	} else if (sh_parse_transport(&frame, &p) != SH_CONTINUE) {
		a->reason = SH_R_bad_transport;
	} else if (r->what == 1) {
		signal_of(a, &frame, &p);
	} else {
		answer_of(a, &frame, &p, r);
	}
	free(block);
}

int main(void)
{
	struct request r;

	while (fread(&r, sizeof(r), 1, stdin) == 1) {
		struct answer a;

		memset(&a, 0, sizeof(a));
		answer_request(&a, &r);
		if (fwrite(&a, sizeof(a), 1, stdout) != 1)
			return 1;
	}
	return 0;
}
