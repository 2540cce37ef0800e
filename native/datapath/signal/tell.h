/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * tell.h - a backend tells a client, in the reply that it sends anyway, where to go from now on: docs/protocol.md, 4.3 and section 7.
 *
 * The gateway's header said that the client is to redirect itself (R), and carried the nonce that the client gave. That is kept for the
 * reply, which takes it along: once.
 *
 * Owns: the table of what is to be told, and the bytes of the option.
 * Must never: tell more bytes than the client asked in, or tell anything of TCP: there the SYN decides.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_TELL_H
#define SHUNT_DATAPATH_SIGNAL_TELL_H

#include "datapath/work.h"

/* In front of the header: OCS, kind, length, ExID. */
enum { SH_OPTION_HEAD = 6 };

SH_INLINE struct sh_told *sh_told_of(const struct sh_env *env, u64 hash)
{
	return sh_told_at(env, (u32)(hash >> 40) % SH_TOLD);
}

/* A datagram came through the tunnel. `hash` is its session's; `surplus` says how many bytes the client's own option took. */
SH_INLINE void sh_told_remember(const struct sh_env *env, u64 hash, const struct sh_header *header, u32 surplus,
                                u32 length)
{
	struct sh_told *told = sh_told_of(env, hash);

	if (!told)
		return;
	told->check = 0; /* whoever reads it meanwhile finds nothing */
	told->nonce = header->nonce;
	told->address = header->address;
	told->port = header->port;
	told->lease_s = header->lease_s;
	told->flags = header->flags & (SH_F_REDIRECT | SH_F_TERMS | SH_F_FAILURE | SH_F_IPV6);
	told->surplus = (u8)(surplus < 255 ? surplus : 255);
	told->length = (u16)length;
	told->tick = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT);
	SH_WRITE_ONCE(told->check, hash ^ header->nonce);
}

/* What is to be told in a reply of this session goes into work->header, signed, and is told no more. 0: nothing. */
SH_INLINE int sh_told_take(const struct sh_env *env, struct sh_work *work)
{
	const struct sh_control *control = sh_control(env);
	u32 now = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT);
	struct sh_told *told = sh_told_of(env, work->key.hash);
	struct sh_header *header = &work->header;
	u64 check;

	if (!told || !control || !control->sign.valid)
		return 0;
	check = SH_READ_FIRST(told->check);
	if (!check || check != (work->key.hash ^ told->nonce))
		return 0;
	header->address = told->address;
	header->alternative.d[0] = header->alternative.d[1] = 0;
	header->nonce = told->nonce;
	header->issued = sh_now_s(env, control);
	header->port = told->port;
	header->alternative_port = 0;
	header->lease_s = told->lease_s;
	header->type = SH_T_REDIRECT;
	header->flags = told->flags;
	header->hops = 0;
	header->key_id = control->sign_key;
	work->surplus = told->surplus;
	work->asked_length = told->length;
	if (!__sync_bool_compare_and_swap(&told->check, check, 0))
		return 0; /* another reply has just told it */
	return now - told->tick <= (u32)((u64)control->window_s * 1000000000 >> SH_TICK_SHIFT);
}

/* The option, as it stands behind a datagram of even (`odd` 0) or odd length, in work->answer from its second word on but two bytes: so that
 * the header in it is aligned. Without the pad byte. Returns its bytes, or 0: the client has not asked in so many. */
SH_STAGE_ALONE u32 sh_tell_option(const struct sh_env *handed, struct sh_work *work, u32 odd)
{
	u32 *word, i, length;
	struct sh_env env;
	u64 sum;
	u8 *at;

	if (!handed || !work || sh_env_again(handed, &env))
		return 0;
	word = work->answer.word;
	for (i = 0; i < SH_ANSWER_WORDS; i++)
		word[i] = 0;
	at = (u8 *)word + 2;
	work->header.tag = sh_header_tag_of(&work->header, &work->passage.parsed.flow, sh_control(&env)->sign.k);
	at[2] = SH_UDP_EXPERIMENT;
	at[4] = SH_EXID >> 8;
	at[5] = SH_EXID & 0xff;
	if (work->header.flags & SH_F_IPV6)
		length = sh_header_encode_as(at + SH_OPTION_HEAD, &work->header, SH_F_IPV6);
	else
		length = sh_header_encode_as(at + SH_OPTION_HEAD, &work->header, 0);
	at[3] = (u8)(4 + length);
	length += SH_OPTION_HEAD;
	sum = sh_htons(length + odd);
	for (i = 0; i < 14; i++)
		sum += word[i];
	*(u16 *)at = sh_checksum(sum);
	return length + odd <= work->surplus ? length : 0;
}

#endif
