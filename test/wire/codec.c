/* SPDX-License-Identifier: Apache-2.0
 *
 * codec.c - the C codec behind a pipe, so that a test can compare it with the TypeScript codec.
 *
 * Reads requests from stdin, writes one answer each to stdout, both of fixed size:
 *   request: u8 what, u8 length, u8 header[104], u8 key[16], u8 source[16], u8 destination[16], u8 ports[4],
 *            u8 protocol, u8 family
 *   answer:  u8 reason (0 accepted), u8 type, flags, hops, key id, u8 encoded length, u16 port, u16 alternative port,
 *            u16 lease, u32 issued, u64 nonce, u64 tag, u64 right tag, u8 address[16], u8 alternative[16],
 *            u8 encoded[64]; numbers in network order, except tags (little-endian, as on the wire)
 * With what = 1 the "header" is a message to be hashed by plain SipHash, and the answer holds the right tag only.
 * The header is copied to the end of a block of its own, so that a sanitizer detects a read beyond it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/tag/header_tag.h"

struct request {
	u8 what, length, header[104], key[16], source[16], destination[16], ports[4], protocol, family;
};

struct answer {
	u8 reason, type, flags, hops, key_id, encoded_length, port[2], alternative_port[2], lease[2], issued[4],
		nonce[8];
	u8 tag[8], right[8], address[16], alternative[16], encoded[64];
};

static u64 hash(const u8 *data, u32 length, const u64 key[2])
{
	struct sh_siphash s;
	u64 tail = 0;
	u32 i;

	sh_siphash_start(&s, key);
	for (i = 0; i + 8 <= length; i += 8)
		sh_siphash_word(&s, sh_header_get64(data + i));
	for (u32 j = length; j-- > i;)
		tail = tail << 8 | data[j];
	return sh_siphash_finish(&s, tail, length);
}

static void answer_header(struct answer *a, const struct request *r, const u8 *p, const u64 key[2])
{
	struct sh_flow flow;
	struct sh_header h;
	u16 lease;
	u32 issued;
	u64 nonce;

	a->reason = (u8)sh_header_decode(&h, p, p + r->length, r->length);
	if (a->reason)
		return;
	memset(&flow, 0, sizeof(flow));
	memcpy(flow.source.b, r->source, 16);
	memcpy(flow.destination.b, r->destination, 16);
	memcpy(&flow.source_port, r->ports, 2);
	memcpy(&flow.destination_port, r->ports + 2, 2);
	flow.protocol = r->protocol;
	flow.family = r->family;
	a->type = h.type;
	a->flags = h.flags;
	a->hops = h.hops;
	a->key_id = h.key_id;
	memcpy(a->port, &h.port, 2);
	memcpy(a->alternative_port, &h.alternative_port, 2);
	lease = sh_htons(h.lease_s);
	memcpy(a->lease, &lease, 2);
	issued = sh_htonl(h.issued);
	memcpy(a->issued, &issued, 4);
	nonce = __builtin_bswap64(h.nonce);
	memcpy(a->nonce, &nonce, 8);
	sh_header_put64(a->tag, h.tag);
	sh_header_put64(a->right, sh_header_tag(p, r->length, &flow, key));
	memcpy(a->address, h.address.b, 16);
	memcpy(a->alternative, h.alternative.b, 16);
	a->encoded_length = (u8)sh_header_encode(a->encoded, &h);
}

int main(void)
{
	static struct request r;
	static struct answer a;

	if (sizeof(r) != 160 || sizeof(a) != 136)
		return 2;
	while (fread(&r, sizeof(r), 1, stdin) == 1) {
		u8 *p = (u8 *)malloc(r.length ? r.length : 1);
		u64 key[2];

		if (!p || r.length > sizeof(r.header))
			return 2;
		memcpy(p, r.header, r.length);
		memset(&a, 0, sizeof(a));
		sh_siphash_key(key, r.key);
		if (r.what == 1)
			sh_header_put64(a.right, hash(p, r.length, key));
		else
			answer_header(&a, &r, p, key);
		fwrite(&a, sizeof(a), 1, stdout);
		free(p);
	}
	return 0;
}
