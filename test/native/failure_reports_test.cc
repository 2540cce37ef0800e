// SPDX-License-Identifier: Apache-2.0
//
// failure_reports_test.cc - R31: which networks a target's record holds, and when it is free for another target.
#include <doctest/doctest.h>

#include <bit>

#include "datapath/signal/failure_report.h"
#include "engine/failure_reports.h"
#include "engine/session_env.h"
#include "fixtures.h"

using namespace shunt;

namespace
{

struct Reports {
	Reports() : block(build_tables(spec_of_one_service(), SessionGeometry()))
	{
		REQUIRE(sessions.allocate(16, 16, 16));
		env = session_env(sessions, block->tables());
		env.failures = sessions.failures();
	}
	void report(const sh_addr &source, u8 family, const sh_addr &target, u16 service = 1)
	{
		sh_work work = {};

		work.signal.header.address = target;
		work.signal.header.port = sh_htons(53);
		work.passage.parsed.flow.source = source;
		work.passage.parsed.flow.family = family;
		sh_report_failure(&env, &work, service);
	}
	std::unique_ptr<TableBlock> block;
	Sessions sessions;
	sh_env env;
};

sh_addr v6(u8 site, u8 subnet)
{
	sh_addr address = {};

	address.b[0] = 0x20;
	address.b[1] = 0x01;
	address.b[5] = site;
	address.b[7] = subnet;
	return address;
}

} // namespace

TEST_CASE("R31: clients of one network are one voice, those of several are several")
{
	Reports reports;
	const sh_addr target = v4(10, 77, 3, 11);

	for (u8 host = 1; host < 200; host++)
		reports.report(v4(198, 51, 100, host), SH_IPV4, target);
	for (u8 subnet = 0; subnet < 200; subnet++)
		reports.report(v6(1, subnet), SH_IPV6, target);
	std::vector<FailureReport> found = take_failure_reports(reports.sessions);
	REQUIRE_EQ(found.size(), 1);
	CHECK_EQ(found[0].service, 1);
	CHECK_EQ(found[0].port, 53);
	CHECK(sh_addr_equal(&found[0].address, &target));
	CHECK_LE(std::popcount(found[0].networks), 2);
	CHECK(take_failure_reports(reports.sessions).empty());

	for (u8 network = 0; network < 64; network++)
		reports.report(v4(10, 0, network, 1), SH_IPV4, target);
	found = take_failure_reports(reports.sessions);
	REQUIRE_EQ(found.size(), 1);
	CHECK_GT(std::popcount(found[0].networks), 30);
}

TEST_CASE("R31: each target of each service has a record of its own, which is free after a reading without news")
{
	Reports reports;

	reports.report(v4(198, 51, 100, 1), SH_IPV4, v4(10, 77, 3, 11), 1);
	reports.report(v4(198, 51, 100, 1), SH_IPV4, v4(10, 77, 3, 11), 2);
	reports.report(v4(198, 51, 100, 1), SH_IPV4, v4(10, 77, 3, 12), 1);
	CHECK_EQ(take_failure_reports(reports.sessions).size(), 3);
	take_failure_reports(reports.sessions);
	for (u32 i = 0; i < SH_FAILURE_REPORTS; i++)
		CHECK_EQ(reports.sessions.failures()[i].check, 0);
	// More targets than records: each of those that found one is told of as itself.
	for (u32 i = 0; i < 4 * SH_FAILURE_REPORTS; i++)
		reports.report(v4(198, 51, 100, 1), SH_IPV4, v4(10, 1, (u8)(i >> 8), (u8)i));
	std::vector<FailureReport> found = take_failure_reports(reports.sessions);
	CHECK_GT(found.size(), SH_FAILURE_REPORTS / 2);
	for (const FailureReport &one : found)
		CHECK_EQ(std::popcount(one.networks), 1);
}
