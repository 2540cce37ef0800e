// SPDX-License-Identifier: Apache-2.0
//
// tables_test.cc - every table that is built is found by the packet program's own look-ups, and chosen from as it says.
#include <doctest/doctest.h>

#include "datapath/lookup/choose.h"
#include "fixtures.h"

using namespace shunt;

TEST_CASE("tables: a thousand services are each found, and what is no service is not")
{
	TableSpec spec = spec_of_one_service();
	for (u16 i = 2; i <= 1000; i++)
		spec.services.push_back({.id = i,
		                         .address = v4(198, 51, (u8)(i >> 8), (u8)i),
		                         .port = (u16)(i * 7),
		                         .protocol = SH_TCP,
		                         .family = SH_IPV4,
		                         .idle_ms = 1000});
	auto block = build_tables(spec, SessionGeometry());
	CHECK(block);
	sh_env env = {};
	env.tables = block->tables();
	const struct sh_control *control = sh_control(&env);
	for (const TableSpec::Service &s : spec.services) {
		u64 own_hash = sh_hash_own(control, &s.address);
		const sh_service *found =
			sh_service_find(&env, control, own_hash, &s.address, sh_htons(s.port), s.protocol);

		CHECK((found && found->id == s.id));
		CHECK(!sh_service_find(&env, control, own_hash, &s.address, sh_htons((u16)(s.port + 1)), s.protocol));
		CHECK_EQ(sh_own_find(&env, control, &s.address, own_hash), SH_OWN_SERVICE);
	}
	sh_addr other = v4(192, 0, 2, 1);
	CHECK_EQ(sh_own_find(&env, control, &other, sh_hash_own(control, &other)), 0);
}

// To the service of spec_of_one_service.
static sh_flow flow_from(sh_addr source, u16 port)
{
	sh_flow flow = {};

	flow.source = source;
	flow.source_port = sh_htons(port);
	flow.destination = v4(203, 0, 113, 53);
	flow.destination_port = sh_htons(53);
	flow.protocol = SH_UDP;
	flow.family = SH_IPV4;
	return flow;
}

static const sh_service *service_of(const sh_env *env, const sh_flow &flow)
{
	return sh_service_find(env, sh_control(env), sh_hash_own(sh_control(env), &flow.destination), &flow.destination,
	                       flow.destination_port, flow.protocol);
}

TEST_CASE("tables: R2: the longest prefix decides, down to one address")
{
	TableSpec spec = spec_of_one_service();
	spec.redirections.push_back({{1}, SH_SPREAD_BY_FLOW});
	spec.redirections.push_back({{2}, SH_SPREAD_BY_FLOW});
	spec.rules.push_back({1, v4(198, 51, 100, 0), 120, 1});
	spec.rules.push_back({1, v4(198, 51, 100, 7), 128, 2});
	auto block = build_tables(spec, SessionGeometry());
	CHECK(block);
	sh_env env = {};
	env.tables = block->tables();
	sh_flow flow = flow_from(v4(0, 0, 0, 0), 0);
	const sh_service *service = service_of(&env, flow);
	CHECK((service && service->prefix_count == 2));

	sh_choice choice = {};
	flow.source = v4(198, 51, 100, 7);
	sh_choose(&env, service, &flow, &choice);
	CHECK_EQ(choice.target, 2);
	CHECK_EQ(choice.prefix_length, 128);
	flow.source = v4(198, 51, 100, 8);
	sh_choose(&env, service, &flow, &choice);
	CHECK_EQ(choice.target, 1);
	flow.source = v4(192, 0, 2, 8);
	sh_choose(&env, service, &flow, &choice);
	CHECK((!choice.by_rule && choice.redirection == 0));
}

// How many of so many clients choose target 1, and how many 2.
static std::vector<u32> chosen_by(const TableSpec &spec, u32 clients)
{
	std::vector<u32> counts(3);
	auto block = build_tables(spec, SessionGeometry());

	CHECK(block);
	sh_env env = {};
	env.tables = block->tables();
	for (u32 i = 0; i < clients; i++) {
		sh_flow flow = flow_from(v4(198, 51, (u8)(i >> 8), (u8)i), (u16)(1024 + i));
		sh_choice choice = {};

		sh_choose(&env, service_of(&env, flow), &flow, &choice);
		counts[choice.target]++;
		CHECK_EQ(spec.redirections[0].rows[choice.row], choice.target);
	}
	return counts;
}

TEST_CASE("tables: R18: of two rows, the less loaded target; both rows are one target's for a quarter of all clients")
{
	TableSpec spec = spec_of_one_service();
	const u32 clients = 20000, quarter = clients / 4;
	auto near = [](u32 count, u32 wanted) { return count > wanted - wanted / 20 && count < wanted + wanted / 20; };

	spec.targets[0].load = 300;
	spec.targets[1].load = 299;
	CHECK(near(chosen_by(spec, clients)[1], 2 * quarter)); // by the row alone, loads are nothing
	spec.redirections[0].choice = SH_CHOOSE_LESS_LOADED;
	CHECK(near(chosen_by(spec, clients)[1], quarter));
	CHECK(near(chosen_by(spec, clients)[2], 3 * quarter));
	spec.targets[1].load = 65535;
	CHECK(near(chosen_by(spec, clients)[1], 3 * quarter));
}

TEST_CASE("tables: R18: equal loads leave every client the row that it had without them")
{
	TableSpec plain = spec_of_one_service();
	plain.redirections[0].rows = {1, 2, 2, 1, 1, 1, 2, 1, 2};
	TableSpec equal = plain;
	equal.redirections[0].choice = SH_CHOOSE_LESS_LOADED;
	equal.targets[0].load = equal.targets[1].load = 7;
	CHECK(chosen_by(plain, 5000) == chosen_by(equal, 5000));
}

TEST_CASE("tables: the two rows of a flow are independent, by flow and by source alone")
{
	TableSpec spec = spec_of_one_service();
	const u32 cells = 16, flows = cells * cells * 100;
	auto block = build_tables(spec, SessionGeometry());
	sh_env env = {};

	env.tables = block->tables();
	for (u8 spread : {SH_SPREAD_BY_FLOW, SH_SPREAD_BY_SOURCE}) {
		std::vector<u32> seen(cells * cells);
		double chi = 0;

		for (u32 i = 0; i < flows; i++) {
			sh_flow flow = flow_from(v4(198, (u8)(i >> 16), (u8)(i >> 8), (u8)i), 4000);
			u64 hash = sh_hash_spread(sh_control(&env), &flow, spread);

			seen[sh_row_of((u32)hash, cells) * cells + sh_row_of((u32)(hash >> 32), cells)]++;
		}
		for (u32 count : seen)
			chi += ((double)count - 100) * ((double)count - 100) / 100;
		CHECK(chi < 255 + 5 * 22.6); // 255 degrees of freedom, whose standard deviation is 22.6
	}
}

TEST_CASE("tables: contradictions are refused with their place")
{
	std::string problem;
	auto refused = [&](auto change, const char *what) {
		TableSpec spec = spec_of_one_service();

		change(spec);
		Status status = TableBlock::build(spec, SessionGeometry()).status();
		CHECK(!status.ok());
		std::string problem = status.message();
		if (problem.find(what) == std::string::npos)
			fprintf(stderr, "got: %s\n", problem.c_str());
		CHECK(problem.find(what) != std::string::npos);
	};

	refused([](TableSpec &s) { s.services[0].id = 0; }, "services[0] has id 0");
	refused([](TableSpec &s) { s.services.push_back(s.services[0]); }, "services[1] has an id that another");
	refused([](TableSpec &s) { s.services.push_back(s.services[0]), s.services[1].id = 2; },
	        "services[1] has the address, port and protocol");
	refused([](TableSpec &s) { s.services[0].redirection = 1; }, "services[0] names a redirection");
	refused([](TableSpec &s) { s.services[0].protocol = 1; }, "services[0] has a protocol");
	refused([](TableSpec &s) { s.rules.push_back({9, v4(1, 1, 1, 1), 128, 0}); }, "rules[0] names a service");
	refused(
		[](TableSpec &s) {
			s.rules.assign(2, {1, v4(1, 1, 1, 1), 128, 0});
		},
		"rules[1] has the service and prefix");
	refused([](TableSpec &s) { s.redirections[0].rows.push_back(3); }, "redirections[0] has a row");
	refused([](TableSpec &s) { s.redirections[0].choice = 2; }, "redirections[0] has an unknown choice");
	refused([](TableSpec &s) { s.targets[1].id = 1; }, "targets[1] has an id that another");
	refused([](TableSpec &s) { s.targets[0].id = SH_TARGET_LOCAL; }, "targets[0] has a reserved id");
	refused(
		[](TableSpec &s) {
			for (u8 i = 0; i < 17; i++)
				s.rules.push_back({1, v4(10, 0, 0, 0), (u8)(104 + i), 0});
		},
		"rules[16] brings its service to more than 16");
}
