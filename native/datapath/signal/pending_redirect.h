/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * pending_redirect.h - redirects that wait on a backend for its next reply to the client (docs/protocol.md, 4.3, section 7).
 *
 * The gateway's header says that the client is to redirect itself (R), and carries the nonce that the client gave. Both are
 * stored for the reply, which carries the redirect: once.
 *
 * Owns: the table of pending redirects.
 * Must never: store one for TCP: there the SYN decides.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_PENDING_REDIRECT_H
#define SHUNT_DATAPATH_SIGNAL_PENDING_REDIRECT_H

#include "datapath/work.h"

SH_INLINE struct sh_pending_redirect *sh_pending_redirect_of(const struct sh_env *env, u64 hash)
{
	return sh_pending_redirect_at(env, (u32)(hash >> 40) % SH_PENDING_REDIRECTS);
}

/* A datagram came through the tunnel. `hash` is its session's; `surplus` says how many bytes the client's own option took. */
SH_INLINE void sh_pending_redirect_store(const struct sh_env *env, u64 hash, const struct sh_header *header,
                                         u32 surplus, u32 length)
{
	struct sh_pending_redirect *pending = sh_pending_redirect_of(env, hash);

	if (!pending)
		return;
	pending->check = 0; /* a concurrent reader finds nothing */
	pending->nonce = header->nonce;
	pending->address = header->address;
	pending->port = header->port;
	pending->lease_s = header->lease_s;
	pending->flags = header->flags & (SH_F_REDIRECT | SH_F_TERMS | SH_F_FAILURE | SH_F_IPV6);
	pending->surplus = (u8)(surplus < 255 ? surplus : 255);
	pending->length = (u16)length;
	pending->tick = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT);
	SH_WRITE_ONCE(pending->check, hash ^ header->nonce);
}

/* What is to be told in a reply of this session goes into work->header, signed, and is told no more. 0: nothing. */
SH_INLINE int sh_pending_redirect_take(const struct sh_env *env, struct sh_work *work)
{
	const struct sh_control *control = sh_control(env);
	u32 now = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT);
	struct sh_pending_redirect *pending = sh_pending_redirect_of(env, work->key.hash);
	struct sh_header *header = &work->header;
	u64 check;

	if (!pending || !control || !control->sign.valid)
		return 0;
	check = SH_READ_FIRST(pending->check);
	if (!check || check != (work->key.hash ^ pending->nonce))
		return 0;
	header->address = pending->address;
	header->alternative.d[0] = header->alternative.d[1] = 0;
	header->nonce = pending->nonce;
	header->issued = sh_now_s(env, control);
	header->port = pending->port;
	header->alternative_port = 0;
	header->lease_s = pending->lease_s;
	header->type = SH_T_REDIRECT;
	header->flags = pending->flags;
	header->hops = 0;
	header->key_id = control->sign_key;
	work->request_surplus = pending->surplus;
	work->request_length = pending->length;
	if (!__sync_bool_compare_and_swap(&pending->check, check, 0))
		return 0; /* another reply has taken it */
	return now - pending->tick <= (u32)((u64)control->window_s * 1000000000 >> SH_TICK_SHIFT);
}

#endif
