/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz.c - libFuzzer on the redirection header's decoder and tag. Beside "no bad access", it holds that what is
 * accepted encodes to the very same bytes, and that the decoder keeps its word about flags, hops and ports.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/tag/header_tag.h"

#define HOLD(x) \
	do { \
		if (!(x)) \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct sh_flow flow = {.family = SH_IPV4, .protocol = SH_UDP};
	const u64 key[2] = {1, 2};
	u8 again[SH_HEADER_MAX];
	struct sh_header h;
	u32 length;
	u8 terms;

	if (size > 255)
		return 0;
	/* The carrier may say more than there is, or less: the packet's end must hold in any case. */
	if (size > 0)
		sh_header_decode(&h, data, data + size, data[size - 1]);
	if (sh_header_decode(&h, data, data + size, (u32)size))
		return 0;

	HOLD(size == sh_header_length(h.flags));
	terms = h.flags & SH_F_TERMS;
	HOLD(!(terms & (terms - 1)));
	HOLD(h.hops <= SH_HEADER_HOPS);
	HOLD(h.port || h.type == SH_T_CAPABILITY);
	length = sh_header_encode(again, &h);
	HOLD(length == size && !memcmp(again, data, size));

	memcpy(flow.source.b, data, 16);
	HOLD(sh_header_tag(data, length, &flow, key) == sh_header_tag_of(&h, &flow, key));
	flow.family = SH_IPV6;
	HOLD(sh_header_tag(data, length, &flow, key) == sh_header_tag_of(&h, &flow, key));
	sh_header_seal(again, &h, &flow, key);
	HOLD(!sh_header_decode(&h, again, again + length, length) && h.tag == sh_header_tag_of(&h, &flow, key));
	return 0;
}
