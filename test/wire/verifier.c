/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * verifier.c - an XDP program that decodes, verifies and signs a header, for a test to load through the kernel's verifier.
 * It is never attached to anything.
 */
#include "datapath/tag/header_tag.h"

struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

enum { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX };

struct sh_flow test_flow;
u64 test_key[2];

__attribute__((section("xdp"), used)) int codec(struct xdp_md *ctx)
{
	u8 *data = (u8 *)(long)ctx->data;
	u8 *end = (u8 *)(long)ctx->data_end;
	u8 out[SH_HEADER_MAX] __attribute__((aligned(8)));
	struct sh_header header;
	struct sh_flow flow = test_flow;

	if (data + 58 > end)
		return XDP_PASS;
	if (sh_header_decode(&header, data + 58, end, (data[54] & 31) * 4))
		return XDP_DROP;
	if (sh_header_tag_of(&header, &flow, test_key) != header.tag)
		return XDP_DROP;
	header.hops++;
	if (sh_header_seal(out, &header, &flow, test_key) == SH_HEADER_V4 && data + SH_HEADER_V4 <= end)
		__builtin_memcpy(data, out, SH_HEADER_V4);
	return XDP_TX;
}

char _license[] __attribute__((section("license"))) = "GPL";
