/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * udp_option.h - a redirection header as an option in a datagram's surplus area (docs/protocol.md, 4.3; RFC 9868).
 *
 * Owns: the bytes of the option, read from a client's datagram and composed for a backend's reply.
 * Must never: have a datagram dropped (an option that can't be read is ignored), or compose an option that is longer than the
 * surplus area of the request.
 */
#ifndef SHUNT_DATAPATH_CARRIER_UDP_OPTION_H
#define SHUNT_DATAPATH_CARRIER_UDP_OPTION_H

#include "datapath/work.h"

/* RFC 9868, the experimental option (EXP). */
enum {
	SH_UDP_EXPERIMENT = 127,
	SH_UDP_OPTION_HEAD = 6, /* before the header: OCS, kind, length, ExID */
};

/* Of a surplus area, as it is read: the longest header, and the room that its sender leaves for an answer. */
#define SH_SURPLUS_BYTES 192
/* A client whose surplus area is at least so long is willing to be answered by the gateway itself: the shortest option, and 100 bytes. */
#define SH_RETRY_SURPLUS_BYTES (6 + SH_HEADER_V4 + 100)
/* Options that are walked on a SYN. */
#define SH_TCP_OPTIONS 12

/* 4.3. Is the checksum over the surplus area right, and ours its first option? What is not leaves the datagram as any other. */
SH_INLINE void sh_udp_option_read(const struct sh_frame *frame, const struct sh_parsed *p, struct sh_signal *signal)
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
	signal->keep = (u16)(p->l4 - p->l3 + udp_length);
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
	if (sh_header_decode(&signal->header, area + 6, frame->end, (u32)area[3] - 4) ||
	    signal->header.flags & SH_F_PACKET)
		return;
	sh_signal_set_kind(signal);
}

/* The option, as it stands behind a datagram of even (`odd` 0) or odd length, in work->reply from its second word on but two bytes: so that
 * the header in it is aligned. Without the pad byte. Returns its bytes, or 0: the client has not asked in so many. */
SH_STAGE_ALONE u32 sh_udp_option_compose(const struct sh_env *env_copy, struct sh_work *work, u32 odd)
{
	u32 *word, i, length;
	struct sh_env env;
	u64 sum;
	u8 *at;

	if (!env_copy || !work || sh_env_restore(env_copy, &env))
		return 0;
	word = work->reply.word;
	for (i = 0; i < SH_CONTROL_WORDS; i++)
		word[i] = 0;
	at = (u8 *)word + 2;
	work->header.tag = sh_header_tag_of(&work->header, &work->passage.parsed.flow, sh_control(&env)->sign.k);
	at[2] = SH_UDP_EXPERIMENT;
	at[4] = SH_EXID >> 8;
	at[5] = SH_EXID & 0xff;
	if (work->header.flags & SH_F_IPV6)
		length = sh_header_encode_as(at + SH_UDP_OPTION_HEAD, &work->header, SH_F_IPV6);
	else
		length = sh_header_encode_as(at + SH_UDP_OPTION_HEAD, &work->header, 0);
	at[3] = (u8)(4 + length);
	length += SH_UDP_OPTION_HEAD;
	sum = sh_htons(length + odd);
	for (i = 0; i < 14; i++)
		sum += word[i];
	*(u16 *)at = sh_checksum(sum);
	return length + odd <= work->request_surplus ? length : 0;
}

#endif
