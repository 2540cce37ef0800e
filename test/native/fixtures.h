// SPDX-License-Identifier: Apache-2.0
//
// fixtures.h - tables and frames that several native tests begin with.
//
// Owns: one service, 203.0.113.53 port 53 UDP, with two targets; and UDP frames to it.
#ifndef SHUNT_TEST_FIXTURES_H
#define SHUNT_TEST_FIXTURES_H

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "datapath/parse/checksum.h"
#include "datapath/parse/wire.h"
#include "engine/tables.h"
#include "user/partial_checksum.h"

inline sh_addr v4(u8 a, u8 b, u8 c, u8 d)
{
	return sh_addr_v4(sh_htonl((u32)a << 24 | (u32)b << 16 | (u32)c << 8 | d));
}

inline shunt::TableSpec::Target target_spec(u16 id)
{
	shunt::TableSpec::Target t = {};

	t.id = id;
	t.address = v4(10, 77, 3, (u8)(10 + id));
	t.source = v4(10, 77, 3, 1);
	t.resolved = true;
	t.next_hop[5] = (u8)id;
	t.own_mac[5] = 0xfe;
	t.port = 53;
	t.family = SH_IPV4;
	t.state = SH_ACTIVE;
	t.mtu = 1500;
	t.ifindex = 1;
	return t;
}

inline shunt::TableSpec spec_of_one_service()
{
	shunt::TableSpec spec;

	spec.epoch = 1;
	spec.roles = SH_ROLE_GATEWAY;
	spec.seed[0] = 0x1234;
	spec.seed[1] = 0x5678;
	spec.sign_key = 1;
	spec.keys.push_back({1, {11, 12}});
	spec.services.push_back({.id = 1,
	                         .address = v4(203, 0, 113, 53),
	                         .port = 53,
	                         .protocol = SH_UDP,
	                         .family = SH_IPV4,
	                         .idle_ms = 30000});
	spec.redirections.push_back({{1, 2}, SH_SPREAD_BY_FLOW});
	spec.targets.push_back(target_spec(1));
	spec.targets.push_back(target_spec(2));
	return spec;
}

// Ends the test if the tables are refused.
inline std::unique_ptr<shunt::TableBlock> build_tables(const shunt::TableSpec &spec,
                                                       const shunt::SessionGeometry &geometry)
{
	shunt::Result<std::unique_ptr<shunt::TableBlock>> block = shunt::TableBlock::build(spec, geometry);

	if (!block.ok()) {
		fprintf(stderr, "%s\n", block.status().message().c_str());
		abort();
	}
	return block.take();
}

// Ethernet, IPv4, UDP, `payload` bytes of zeros.
inline std::vector<u8> udp_frame(sh_addr source, u16 source_port, sh_addr destination, u16 destination_port,
                                 u32 payload)
{
	std::vector<u8> frame(sizeof(sh_ethernet) + sizeof(sh_ipv4) + sizeof(sh_udp) + payload);
	sh_ethernet *eth = reinterpret_cast<sh_ethernet *>(frame.data());
	sh_ipv4 *ip = reinterpret_cast<sh_ipv4 *>(eth + 1);
	sh_udp *udp = reinterpret_cast<sh_udp *>(ip + 1);

	eth->type = sh_htons(SH_ETH_IPV4);
	ip->version_ihl = 0x45;
	ip->length = sh_htons(frame.size() - sizeof(*eth));
	ip->ttl = 64;
	ip->protocol = SH_UDP;
	ip->source = source.w[3];
	ip->destination = destination.w[3];
	ip->checksum = sh_checksum(sh_sum(ip, 5));
	udp->source = sh_htons(source_port);
	udp->destination = sh_htons(destination_port);
	udp->length = sh_htons(sizeof(*udp) + payload);
	// The pseudo-header's sum alone, as a sender leaves it to its network card; then finished.
	udp->checksum = (u16)~sh_checksum(sh_sum(&ip->source, 2) + sh_htons(SH_UDP) + udp->length);
	shunt::finish_partial_checksum(frame.data(), frame.data() + frame.size());
	return frame;
}

#endif
