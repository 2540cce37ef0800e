/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * question.h - what a client's packet asks, beside what it is for: docs/protocol.md, 4.2 to 4.4.
 *
 * A client that can redirect itself says so, reports a failure, or probes a target: in a control datagram, which asks and does
 * nothing else; as an option in a datagram's surplus area; or as an option on a SYN.
 *
 * Owns: cookie, ExID and option kinds, and every refusal of these carriers.
 * Must never: believe what is asked (ticket.h does), or have a packet dropped that is the application's: only on the control port
 * is a question that can't be read one that is refused.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_QUESTION_H
#define SHUNT_DATAPATH_SIGNAL_QUESTION_H

#include "datapath/header.h"
#include "datapath/lookup/choose.h"
#include "datapath/parse/parse.h"

enum sh_asks { SH_ASKS_NOTHING, SH_ASKS_CAPABILITY, SH_ASKS_FAILURE, SH_ASKS_PROBE };

/* A control datagram: cookie, header, and the service that it speaks of. */
enum {
	SH_ABOUT_BYTES = 20,
	SH_CONTROL_BYTES = 4 + SH_HEADER_MAX + SH_ABOUT_BYTES, /* one that is to be answered is at least so long */
};

/* RFC 9868 (the surplus area's EXP) and RFC 6994 (TCP's shared experimental option); both with our ExID. */
enum {
	SH_UDP_EXPERIMENT = 127,
	SH_TCP_EXPERIMENT = 254,
	SH_EXID = 0x5352,
	SH_TCP_CAPABILITY = 14, /* bytes of the option */
};

/* Of a surplus area, as it is read: the longest header, and the room that its sender leaves for an answer. */
#define SH_SURPLUS_BYTES 192
/* A client whose surplus area is at least so long is willing to be answered by the gateway itself: the shortest option, and 100 bytes. */
#define SH_WILLING_BYTES (6 + SH_HEADER_V4 + 100)
/* Options that are walked on a SYN. */
#define SH_TCP_OPTIONS 12

struct sh_question {
	struct sh_header header;
	struct sh_flow
		flow; /* of the service that is asked about: of a control datagram not the one that it travels in */
	u8 asks;      /* enum sh_asks */
	u8 reserved;
	u16 keep;     /* bytes of the IP packet without its surplus area */
	u32 sequence; /* of a SYN, as it stands */
};

SH_INLINE void sh_question_kind(struct sh_question *question)
{
	u8 type = question->header.type;

	question->asks = type == SH_T_CAPABILITY ? SH_ASKS_CAPABILITY
	                 : type == SH_T_FAILURE  ? SH_ASKS_FAILURE
	                 : type == SH_T_PROBE    ? SH_ASKS_PROBE
	                                         : SH_ASKS_NOTHING;
}

SH_INLINE void sh_question_about(struct sh_question *question, const u8 *about)
{
	question->flow.protocol = about[0];
	question->flow.destination_port = sh_load16(about + 2);
	question->flow.destination.w[0] = sh_load32(about + 4);
	question->flow.destination.w[1] = sh_load32(about + 8);
	question->flow.destination.w[2] = sh_load32(about + 12);
	question->flow.destination.w[3] = sh_load32(about + 16);
}

/* 4.2. The cookie is there. Returns SH_GO_ON, or why it is refused. */
SH_INLINE u8 sh_question_control(const struct sh_frame *frame, const struct sh_parsed *p, struct sh_question *question)
{
	const struct sh_udp *udp = (const struct sh_udp *)(frame->data + SH_OFFSET(p->l4));
	const u8 *payload = (const u8 *)(udp + 1);
	u32 length;
	int refused;

	if (payload + SH_CONTROL_BYTES > frame->end || sh_ntohs(udp->length) < sizeof(*udp) + SH_CONTROL_BYTES)
		return SH_R_control_bad;
	length = sh_header_length(payload[5]);
	refused = sh_header_decode(&question->header, payload + 4, frame->end, length);
	if (refused)
		return (u8)refused;
	question->flow.source = p->flow.source;
	question->flow.source_port = p->flow.source_port;
	question->flow.family = p->flow.family;
	question->flow.reserved = 0;
	if (length == SH_HEADER_V4)
		sh_question_about(question, payload + 4 + SH_HEADER_V4);
	else if (length == SH_HEADER_V6)
		sh_question_about(question, payload + 4 + SH_HEADER_V6);
	else if (length == SH_HEADER_V4_ALTERNATIVE)
		sh_question_about(question, payload + 4 + SH_HEADER_V4_ALTERNATIVE);
	else
		sh_question_about(question, payload + 4 + SH_HEADER_V6_ALTERNATIVE);
	sh_question_kind(question);
	return question->asks ? SH_GO_ON : (u8)SH_R_header_type;
}

/* 4.3. Is the checksum over the surplus area right, and ours its first option? What is not leaves the datagram as any other. */
SH_INLINE void sh_question_surplus(const struct sh_frame *frame, const struct sh_parsed *p,
                                   struct sh_question *question)
{
	const struct sh_udp *udp = (const struct sh_udp *)(frame->data + SH_OFFSET(p->l4));
	u32 udp_length, begin, length, i;
	const u8 *area;
	u64 sum;

	if ((const u8 *)(udp + 1) > frame->end)
		return;
	udp_length = sh_ntohs(udp->length);
	begin = (u32)p->l4 + udp_length;
	length = (u32)p->l3 + p->ip_length - begin;
	area = frame->data + SH_OFFSET(begin);
	if (length > SH_SURPLUS_BYTES || length < 6 + SH_HEADER_V4 || area + 1 > frame->end)
		return;
	question->keep = (u16)(p->l4 - p->l3 + udp_length);
	sum = sh_htons(length);
	if (udp_length & 1) {
		if (*area)
			return;
		area++;
		length--;
	}
	for (i = 0; i < SH_SURPLUS_BYTES; i += 2) {
		if (i + 1 >= length || area + i + 2 > frame->end)
			break;
		sum += sh_load16(area + i);
	}
	if (length & 1) { /* the last byte is the upper half of a word */
		if (i > SH_SURPLUS_BYTES || area + i + 1 > frame->end)
			return;
		sum += sh_htons((u16)(area[i] << 8));
	}
	if (sh_checksum(sum) || area + 6 + SH_HEADER_V4 > frame->end)
		return;
	if (area[2] != SH_UDP_EXPERIMENT || sh_load16(area + 4) != sh_htons(SH_EXID) || area[3] < 4 ||
	    2u + area[3] > length)
		return;
	if (sh_header_decode(&question->header, area + 6, frame->end, (u32)area[3] - 4) ||
	    question->header.flags & SH_F_PACKET)
		return;
	sh_question_kind(question);
}

/* Is it ours? Then it is read, if it is a capability. */
SH_INLINE int sh_question_syn_option(const struct sh_frame *frame, const u8 *option, struct sh_question *question)
{
	if (option + SH_TCP_CAPABILITY > frame->end || sh_load16(option + 2) != sh_htons(SH_EXID))
		return 0;
	if (option[4] == (SH_HEADER_VERSION << 4 | SH_T_CAPABILITY) && !option[5]) {
		question->header.nonce = __builtin_bswap64(sh_header_get64(option + 6));
		question->asks = SH_ASKS_CAPABILITY;
	}
	return 1;
}

/* 4.4. A capability that is zero but for its nonce. */
SH_INLINE void sh_question_syn(const struct sh_frame *frame, const struct sh_parsed *p, struct sh_question *question)
{
	const struct sh_tcp *tcp = (const struct sh_tcp *)(frame->data + SH_OFFSET(p->l4));
	const u8 *options = (const u8 *)(tcp + 1);
	u32 length, at = 0, i;

	if (options > frame->end)
		return;
	length = ((u32)(tcp->offset >> 4) - 5) * 4 & 63;
	question->sequence = tcp->sequence;
	/* The mask says nothing that is not so: but the BPF verifier then follows each round no more than once. */
	for (i = 0; i < SH_TCP_OPTIONS; i++) {
		const u8 *option = options + at;
		u32 bytes;

		if (at + 2 > length || option + 2 > frame->end || option[0] == 0)
			return;
		bytes = option[0] == 1 ? 1 : option[1];
		if (!bytes || at + bytes > length)
			return;
		if (option[0] == SH_TCP_EXPERIMENT && bytes == SH_TCP_CAPABILITY &&
		    sh_question_syn_option(frame, option, question))
			return;
		at = (at + bytes) & 63;
	}
}

/* Reads what a packet that was parsed asks; `heard` is what is heard here, bits of enum sh_asks. SH_GO_ON, or why a control datagram to
 * the control port is refused. */
SH_STAGE_ALONE u32 sh_question_read(sh_packet *packet, const struct sh_parsed *p, struct sh_question *question,
                                    u32 control_port, u32 heard)
{
	struct sh_frame room, *frame;
	u8 refused;

	if (!packet || !p || !question)
		return SH_R_table_missing;
	frame = sh_frame_of(packet, &room);
	question->asks = SH_ASKS_NOTHING;
	question->header.type = SH_T_CAPABILITY;
	question->header.flags = 0;
	question->header.hops = 0;
	question->keep = p->ip_length;
	if (p->carrier == SH_CARRIER_SYN) {
		sh_question_syn(frame, p, question);
	} else if (p->carrier == SH_CARRIER_SURPLUS) {
		sh_question_surplus(frame, p, question);
	} else {
		refused = sh_question_control(frame, p, question);
		if (refused == SH_GO_ON && !(heard >> (question->asks & 3) & 1))
			refused = SH_R_header_type;
		if (refused != SH_GO_ON && p->flow.destination_port == control_port)
			return refused;
		if (refused != SH_GO_ON)
			question->asks = SH_ASKS_NOTHING;
	}
	if (!(heard >> (question->asks & 3) & 1))
		question->asks = SH_ASKS_NOTHING;
	/* Elsewhere than at the control port only that very service may be asked about: all else there is the application's. At a backend
	 * the port may be another than the service's, and the backend asks whether one listens there. */
	if (p->carrier == SH_CARRIER_CONTROL && p->flow.destination_port != control_port &&
	    question->asks != SH_ASKS_PROBE &&
	    (question->flow.destination_port != p->flow.destination_port || question->flow.protocol != SH_UDP))
		question->asks = SH_ASKS_NOTHING;
	return SH_GO_ON;
}

#endif
