// SPDX-License-Identifier: Apache-2.0
//
// crowd.h - thousands of clients, and which targets each of them may ever be sent to.
//
// Owns: the promise that a stress test checks: clients come in groups, rules give each group two targets of its own and one
// that all have in common, and the tables change from one to the next. A packet that goes to another group's target has met
// a record that is not its own.
#ifndef SHUNT_TEST_CROWD_H
#define SHUNT_TEST_CROWD_H

#include "fixtures.h"

struct Crowd {
	static constexpr u16 GROUPS = 32, COMMON = 2 * GROUPS + 1, SERVICE4 = 1, SERVICE6 = 2;

	struct Packet {
		std::vector<u8> frame;
		u16 group;
	};
	std::vector<Packet> packets;

	// Of every eight clients, two come by IPv6, and one sends datagrams in two fragments.
	explicit Crowd(u32 clients)
	{
		for (u32 i = 0; i < clients; i++) {
			sh_addr source = source_of(i);
			u16 port = (u16)(1024 + i / GROUPS % 4), group = group_of(source);

			if (i / GROUPS % 4 == 0) {
				packets.push_back({udp6_frame(source, port), group});
				continue;
			}
			std::vector<u8> frame = udp_frame(source, port, service4(), 53, 16);
			if (i / GROUPS % 8 == 1) {
				packets.push_back({fragment(frame, i, 0x2000), group});
				packets.push_back({fragment(frame, i, 0x0003), group});
			} else {
				packets.push_back({frame, group});
			}
		}
	}

	static sh_addr service4() { return v4(203, 0, 113, 53); }
	static sh_addr service6() { return v6(0xffff, 53); }
	static bool may_have(u16 group, u16 target) { return target == COMMON || (target - 1) / 2 == group; }
	// By the addresses that source_of makes.
	static u16 group_of(const sh_addr &source)
	{
		return source.d[0] ? (u16)(source.b[4] << 8 | source.b[5]) : source.b[13];
	}

	// One of the three sets of tables; each switch moves the epochs of the targets that are left.
	static shunt::TableSpec tables(u32 epoch, u32 idle_ms)
	{
		shunt::TableSpec spec = spec_of_one_service();
		u16 which = epoch % 3;

		spec.epoch = epoch;
		spec.services = {{.id = SERVICE4,
		                  .address = service4(),
		                  .port = 53,
		                  .protocol = SH_UDP,
		                  .family = SH_IPV4,
		                  .redirection = GROUPS,
		                  .idle_ms = idle_ms},
		                 {.id = SERVICE6,
		                  .address = service6(),
		                  .port = 53,
		                  .protocol = SH_UDP,
		                  .family = SH_IPV6,
		                  .redirection = GROUPS,
		                  .idle_ms = idle_ms}};
		spec.redirections.clear();
		spec.targets.clear();
		for (u16 group = 0; group < GROUPS; group++) {
			spec.rules.push_back({SERVICE4, v4(10, (u8)group, 0, 0), 112, group});
			spec.rules.push_back({SERVICE6, v6(group, 0), 48, group});
			spec.redirections.push_back(
				{{which == 2 ? COMMON : (u16)(1 + 2 * group + which)}, SH_SPREAD_BY_FLOW});
		}
		for (u16 id = 1; id <= COMMON; id++) {
			u32 used_in = id == COMMON ? 2 : (id - 1) % 2;

			spec.targets.push_back(target_spec(id));
			spec.targets.back().address = v4(10, 77, 4, (u8)id);
			spec.targets.back().epoch = (u8)((epoch + 2 - used_in) / 3);
		}
		spec.redirections.push_back({{}, SH_SPREAD_BY_FLOW}); // for a source that no rule names
		return spec;
	}

	// The target that an encapsulated frame goes to.
	static u16 target_of(const u8 *frame) { return frame[33]; }

private:
	static sh_addr v6(u16 group, u32 host)
	{
		sh_addr a = {};

		a.w[0] = sh_htonl(0x20010db8);
		a.w[1] = sh_htonl((u32)group << 16);
		a.w[3] = sh_htonl(host);
		return a;
	}

	static sh_addr source_of(u32 i)
	{
		u16 group = i % GROUPS;

		return i / GROUPS % 4 ? v4(10, (u8)group, (u8)(i / GROUPS >> 8), (u8)(i / GROUPS)) : v6(group, i);
	}

	static std::vector<u8> fragment(std::vector<u8> frame, u32 id, u16 offset)
	{
		sh_ipv4 *ip = reinterpret_cast<sh_ipv4 *>(frame.data() + sizeof(sh_ethernet));

		ip->id = sh_htons((u16)id);
		ip->fragment = sh_htons(offset);
		ip->checksum = 0;
		ip->checksum = sh_checksum(sh_sum(ip, 5));
		return frame;
	}

	static std::vector<u8> udp6_frame(const sh_addr &source, u16 port)
	{
		std::vector<u8> frame(sizeof(sh_ethernet) + sizeof(sh_ipv6) + sizeof(sh_udp) + 16);
		sh_ethernet *eth = reinterpret_cast<sh_ethernet *>(frame.data());
		sh_ipv6 *ip = reinterpret_cast<sh_ipv6 *>(eth + 1);
		sh_udp *udp = reinterpret_cast<sh_udp *>(ip + 1);
		sh_addr destination = service6();

		eth->type = sh_htons(SH_ETH_IPV6);
		ip->version_class_label = sh_htonl(6u << 28);
		ip->length = sh_htons(sizeof(*udp) + 16);
		ip->next = SH_UDP;
		ip->hops = 64;
		memcpy(&ip->source, &source, sizeof(source));
		memcpy(&ip->destination, &destination, sizeof(destination));
		udp->source = sh_htons(port);
		udp->destination = sh_htons(53);
		udp->length = ip->length;
		return frame;
	}
};

#endif
