/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * pass.bpf.c - the least XDP program: every packet goes on as if it were not there.
 *
 * For the far end of a veth pair: a veth takes frames that an XDP program sends only while its other end has one, too
 * (scripts/lab).
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int shunt_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
