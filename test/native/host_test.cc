// SPDX-License-Identifier: Apache-2.0
//
// host_test.cc - native/host: answers of the kernel that lie about their lengths, and what any Linux host must answer.
#include "check.h"

#include <cerrno>

#include "host/link.h"
#include "host/offload.h"
#include "host/route.h"

using namespace shunt;

namespace
{

using Bytes = std::vector<unsigned char>;

Bytes message(u16 type, u32 sequence, u16 flags, const Bytes &body, u32 claimed = 0)
{
	nlmsghdr head = {claimed ? claimed : (u32)(NLMSG_HDRLEN + body.size()), type, flags, sequence, 0};
	Bytes out((unsigned char *)&head, (unsigned char *)(&head + 1));

	out.insert(out.end(), body.begin(), body.end());
	return out;
}

Bytes attribute(u16 type, u16 claimed, const Bytes &data)
{
	rtattr head = {claimed, type};
	Bytes out((unsigned char *)&head, (unsigned char *)(&head + 1));

	out.insert(out.end(), data.begin(), data.end());
	return out;
}

struct Walked {
	bool complete, interrupted = false;
	unsigned messages = 0;
	Failure failure;
};

// In memory of exactly this size, so that the sanitizer sees a byte read beyond.
Walked walk(const Bytes &bytes, bool dump)
{
	Bytes exact(bytes);
	Walked walked;

	exact.shrink_to_fit();
	walked.complete = netlink_walk(
		exact.data(), exact.size(), 7, dump, &walked.interrupted,
		[&](const NetlinkMessage &one) {
			walked.messages++;
			for (AttributeCursor at = one.attributes<rtmsg>(); at.next();)
				for (AttributeCursor inner = at.nested(); inner.next();)
					CHECK(inner.length() <= at.length());
		},
		&walked.failure, "test");
	return walked;
}

unsigned attributes_in(const Bytes &bytes)
{
	unsigned count = 0;

	for (AttributeCursor at(bytes.data(), bytes.data() + bytes.size()); at.next();)
		count++;
	return count;
}

sh_addr ipv4(u8 a, u8 b, u8 c, u8 d)
{
	sh_addr address = {};

	address.b[10] = address.b[11] = 0xff;
	address.b[12] = a, address.b[13] = b, address.b[14] = c, address.b[15] = d;
	return address;
}

} // namespace

TEST("host: a message that claims more than was received, or less than its head, ends the answer")
{
	for (u32 claimed : {0x7fffffffU, 0xffffffffU, 60U, 15U, 1U}) {
		Walked walked = walk(message(RTM_NEWROUTE, 7, 0, Bytes(12), claimed), true);

		CHECK(walked.complete && walked.failure.code == EBADMSG);
		CHECK_EQUAL(walked.messages, 0);
	}
	CHECK(!walk(Bytes(15), true).complete);
	CHECK(!walk({}, true).complete);
}

TEST("host: an answer to an older question is passed over, and an error is told")
{
	Bytes error(4), both = message(RTM_NEWROUTE, 6, 0, Bytes(12));
	int code = -ENETUNREACH;

	memcpy(error.data(), &code, 4);
	Bytes second = message(NLMSG_ERROR, 7, 0, error);
	both.insert(both.end(), second.begin(), second.end());
	Walked walked = walk(both, false);
	CHECK(walked.complete && walked.failure.code == ENETUNREACH);
	CHECK_EQUAL(walked.messages, 0);
	CHECK(walk(message(NLMSG_ERROR, 7, 0, Bytes(2)), false).failure.code == EBADMSG);
	CHECK(walk(message(RTM_NEWADDR, 7, NLM_F_DUMP_INTR, Bytes(8)), true).interrupted);
}

TEST("host: an attribute that claims more than is left, or less than its head, ends the walk")
{
	CHECK_EQUAL(attributes_in(attribute(1, 8, Bytes(4))), 1);
	CHECK_EQUAL(attributes_in(attribute(1, 5, Bytes(1))), 1); // the last one need not be padded
	CHECK_EQUAL(attributes_in(attribute(1, 9, Bytes(4))), 0);
	CHECK_EQUAL(attributes_in(attribute(1, 3, Bytes(4))), 0);
	CHECK_EQUAL(attributes_in(attribute(1, 0xffff, Bytes(4))), 0);
	CHECK_EQUAL(attributes_in(attribute(1, 0, Bytes(64))), 0);
	CHECK_EQUAL(attributes_in(Bytes(3)), 0);
}

TEST("host: two hundred thousand answers of random bytes harm nobody")
{
	u64 random = 0x9e3779b97f4a7c15ULL;

	for (unsigned i = 0; i < 200000; i++) {
		Bytes bytes = message(RTM_NEWROUTE, 7, 0, Bytes(12 + i % 96));

		for (size_t at = i % 3 ? NLMSG_HDRLEN : 0; at < bytes.size(); at++) {
			random = random * 6364136223846793005ULL + 1442695040888963407ULL;
			// Small numbers, so that lengths are often plausible.
			bytes[at] = (unsigned char)((random >> 60) & 1 ? random >> 32 : (random >> 32) & 15);
		}
		walk(bytes, i & 1);
	}
}

TEST("host: loopback is known by name and by index, and is the way to itself")
{
	HostRoute way;
	HostLink lo, same;
	Route route;

	CHECK(!route.open());
	CHECK(!route.link("lo", true, &lo));
	CHECK(!route.link(lo.ifindex, false, &same));
	CHECK(same.name == "lo" && same.mtu == lo.mtu && same.ifindex == lo.ifindex);
	CHECK(route.link("no-such-link", false, &same).code == ENODEV);
	CHECK(route.link("a-name-that-is-far-too-long", false, &same).code == ENODEV);
	CHECK(!route.route(ipv4(127, 0, 0, 1), &way));
	CHECK(way.kind == RTN_LOCAL && way.ifindex == lo.ifindex && !way.has_gateway && way.has_source);
}

TEST("host: counters of loopback are read through descriptors that stay open, and the speed can be told")
{
	u64 values[LINK_COUNTERS];
	LinkCounters lo, told, none;

	CHECK(!lo.open("lo", 0));
	for (int i = 0; i < 1000; i++)
		CHECK(!lo.read(values));
	CHECK_EQUAL(values[LINK_RX_BYTES], values[LINK_TX_BYTES]);
	CHECK_EQUAL(lo.speed_bps(), 0);
	CHECK(!told.open("lo", 25000000000ULL));
	CHECK_EQUAL(told.speed_bps(), 25000000000ULL);
	for (const char *name : {"../../etc", "", ".", "no-such-link"})
		CHECK(none.open(name, 0).code == ENODEV);
}

TEST("host: features go by the kernel's names, and a fixed one is not claimed to be set")
{
	std::vector<Feature> features;
	bool seen = false;

	CHECK(!Offload().read("lo", &features));
	for (const Feature &feature : features) {
		seen = seen || feature.name == "rx-gro";
		if (feature.name == "rx-lro" && !feature.changeable)
			CHECK(Offload().set("lo", "rx-lro", !feature.active).code == EOPNOTSUPP);
	}
	CHECK(seen);
	CHECK(Offload().set("lo", "rx-no-such-feature", true).code == EOPNOTSUPP);
	CHECK(Offload().read("no-such-link", &features).code == ENODEV);
}
