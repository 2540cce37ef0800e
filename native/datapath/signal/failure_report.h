/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * failure_report.h - what clients' failure reports say of targets: for each target a set of the networks that they come from.
 *
 * One network is one bit of 64, by a keyed hash of its prefix: a /24 of IPv4 or a /48 of IPv6, so that one site is one voice
 * however many addresses it has. How many networks are enough is decided in the control plane (src/health/client-reports.ts).
 *
 * Owns: what is noted of a report, and when a record may be taken for another target: once it has been freed.
 * Must never: note a report whose ticket is not verified (reply.h), or change what becomes of its packet.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_FAILURE_REPORT_H
#define SHUNT_DATAPATH_SIGNAL_FAILURE_REPORT_H

#include "datapath/lookup/hash.h"
#include "datapath/lookup/prefix.h"
#include "datapath/platform.h"
#include "datapath/work.h"

#define SH_REPORT_NETWORK4 120 /* of the mapped form: /24 */
#define SH_REPORT_NETWORK6 48

SH_INLINE u64 sh_report_bit(const struct sh_control *control, const struct sh_flow *flow)
{
	struct sh_addr network =
		sh_addr_prefix(&flow->source, flow->family == SH_IPV4 ? SH_REPORT_NETWORK4 : SH_REPORT_NETWORK6);

	return 1ULL << (sh_hash_address(control->seed[1] ^ 0x6e6574776f726bULL, &network) >> 58);
}

/* The failure in work->signal names the target; `service` is the id of the one that it is about. If the record of the target is
 * another's, the report is not noted. */
SH_STAGE_ALONE u32 sh_report_failure(const struct sh_env *env_copy, const struct sh_work *work, u32 service)
{
	const struct sh_header *header;
	const struct sh_flow *flow;
	struct sh_failure_report *report;
	struct sh_env env;
	u64 check, seen, bit;

	if (!env_copy || !work || sh_env_restore(env_copy, &env))
		return 0;
	header = &work->signal.header;
	flow = work->passage.parsed.carrier == SH_CARRIER_CONTROL ? &work->signal.flow : &work->passage.parsed.flow;
	check = sh_mix(sh_hash_address(sh_control(&env)->seed[1], &header->address) ^ header->port ^
	               (u64)service << 16) |
	        1;
	report = sh_failure_report_at(&env, (u32)(check >> 32) & (SH_FAILURE_REPORTS - 1));
	if (!report)
		return 0;
	seen = SH_READ_ONCE(report->check);
	if (seen != check) {
		if (seen || !__sync_bool_compare_and_swap(&report->check, 0, check))
			return 0;
		report->address = header->address;
		report->port = header->port;
		report->service = (u16)service;
	}
	bit = sh_report_bit(sh_control(&env), flow);
	if (!(SH_READ_ONCE(report->networks) & bit))
		__sync_fetch_and_or(&report->networks, bit);
	return 1;
}

#endif
