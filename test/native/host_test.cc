// SPDX-License-Identifier: Apache-2.0
//
// host_test.cc - native/linux: answers of the kernel that lie about their lengths, and what any Linux host must answer.
#include <doctest/doctest.h>

#include <cerrno>
#include <net/if.h>

#include "datapath/types.h"
#include "linux/icmp_errors.h"
#include "linux/interface.h"
#include "linux/link_counters.h"
#include "linux/offload.h"
#include "linux/queue_counters.h"
#include "linux/route.h"

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

struct Walked : NetlinkProgress {
	unsigned messages = 0;
};

// In memory of exactly this size, so that the sanitizer sees a byte read beyond.
Walked walk(const Bytes &bytes, bool dump)
{
	Bytes exact(bytes);
	Walked walked;

	exact.shrink_to_fit();
	NetlinkProgress progress = netlink_walk(
		exact.data(), exact.size(), 7, dump,
		[&](const NetlinkMessage &one) {
			walked.messages++;
			for (AttributeCursor at = one.attributes<rtmsg>(); at.next();)
				for (AttributeCursor inner = at.nested(); inner.next();)
					CHECK(inner.length() <= at.length());
		},
		"test");
	walked.complete = progress.complete;
	walked.interrupted = progress.interrupted;
	walked.status = progress.status;
	return walked;
}

unsigned attributes_in(const Bytes &bytes)
{
	unsigned count = 0;

	for (AttributeCursor at(bytes.data(), bytes.data() + bytes.size()); at.next();)
		count++;
	return count;
}

} // namespace

TEST_CASE("host: a message that claims more than was received, or less than its head, ends the answer")
{
	for (u32 claimed : {0x7fffffffU, 0xffffffffU, 60U, 15U, 1U}) {
		Walked walked = walk(message(RTM_NEWROUTE, 7, 0, Bytes(12), claimed), true);

		CHECK((walked.complete && walked.status.code() == EBADMSG));
		CHECK_EQ(walked.messages, 0);
	}
	CHECK(!walk(Bytes(15), true).complete);
	CHECK(!walk({}, true).complete);
}

TEST_CASE("host: an answer to an older request is skipped, and an error is reported")
{
	Bytes error(4), both = message(RTM_NEWROUTE, 6, 0, Bytes(12));
	int code = -ENETUNREACH;

	memcpy(error.data(), &code, 4);
	Bytes second = message(NLMSG_ERROR, 7, 0, error);
	both.insert(both.end(), second.begin(), second.end());
	Walked walked = walk(both, false);
	CHECK((walked.complete && walked.status.code() == ENETUNREACH));
	CHECK_EQ(walked.messages, 0);
	CHECK(walk(message(NLMSG_ERROR, 7, 0, Bytes(2)), false).status.code() == EBADMSG);
	CHECK(walk(message(RTM_NEWADDR, 7, NLM_F_DUMP_INTR, Bytes(8)), true).interrupted);
}

TEST_CASE("host: an attribute that claims more than is left, or less than its head, ends the walk")
{
	CHECK_EQ(attributes_in(attribute(1, 8, Bytes(4))), 1);
	CHECK_EQ(attributes_in(attribute(1, 5, Bytes(1))), 1); // the last one need not be padded
	CHECK_EQ(attributes_in(attribute(1, 9, Bytes(4))), 0);
	CHECK_EQ(attributes_in(attribute(1, 3, Bytes(4))), 0);
	CHECK_EQ(attributes_in(attribute(1, 0xffff, Bytes(4))), 0);
	CHECK_EQ(attributes_in(attribute(1, 0, Bytes(64))), 0);
	CHECK_EQ(attributes_in(Bytes(3)), 0);
}

TEST_CASE("host: two hundred thousand answers of random bytes do no harm")
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

TEST_CASE("host: loopback is found by name and by index, and is the route to itself")
{
	RouteSocket socket;

	CHECK(socket.open().ok());
	Result<Interface> lo = read_interface("lo");
	CHECK(lo.ok());
	CHECK(socket.addresses(lo->index).ok());
	Result<Interface> same = read_interface(lo->index);
	CHECK(same.ok());
	CHECK((same->name == "lo" && same->mtu == lo->mtu && same->index == lo->index));
	CHECK(read_interface("no-such-link").status().code() == ENODEV);
	CHECK(read_interface("a-name-that-is-far-too-long").status().code() == ENODEV);
	Result<Route> route = socket.route(IpAddress::ipv4(127, 0, 0, 1));
	CHECK(route.ok());
	CHECK((route->kind == RTN_LOCAL && route->interface.index == lo->index && !route->gateway && route->source));
}

TEST_CASE("host: counters of loopback are read through descriptors that stay open, and the speed can be overridden")
{
	Result<LinkCounts> values = LinkCounts();
	LinkCounters lo, told, none;

	CHECK(lo.open("lo", 0).ok());
	for (int i = 0; i < 1000; i++)
		CHECK((values = lo.read()).ok());
	CHECK_EQ((*values)[LINK_RX_BYTES], (*values)[LINK_TX_BYTES]);
	CHECK_EQ(lo.speed_bps(), 0);
	CHECK(told.open("lo", 25000000000ULL).ok());
	CHECK_EQ(told.speed_bps(), 25000000000ULL);
	for (const char *name : {"../../etc", "", ".", "no-such-link"})
		CHECK(none.open(name, 0).code() == ENODEV);
}

TEST_CASE("host: features have the kernel's names, and setting a fixed one fails")
{
	Result<std::vector<Feature>> features = read_features("lo");
	bool seen = false;

	CHECK(features.ok());
	for (const Feature &feature : *features) {
		seen = seen || feature.name == "rx-gro";
		if (feature.name == "rx-lro" && !feature.changeable)
			CHECK(set_feature("lo", "rx-lro", !feature.active).code() == EOPNOTSUPP);
	}
	CHECK(seen);
	CHECK(set_feature("lo", "rx-no-such-feature", true).code() == EOPNOTSUPP);
	CHECK(read_features("no-such-link").status().code() == ENODEV);
}

TEST_CASE("host: the state of loopback is read, and that of an interface that is not open is an error")
{
	LinkCounters lo, none;
	CHECK(lo.open("lo", 0).ok());
	Result<LinkState> state = lo.state();
	CHECK(state.ok());
	CHECK((state->operstate == "unknown" || state->operstate == "down"));
	CHECK_EQ(state->up, state->carrier == 1);
	CHECK((state->duplex.empty() && state->speed_bps == 0));
	CHECK(none.state().status().code() == ENODEV);
}

TEST_CASE("host: names of queue statistics are parsed as common drivers write them")
{
	struct Known {
		const char *name;
		u32 queue;
		int counter;
	} known[] = {
		{"rx_queue_0_packets", 0, QUEUE_RX_PACKETS},
		{"tx_queue_63_bytes", 63, QUEUE_TX_BYTES},
		{"rx_queue_3_drops", 3, QUEUE_RX_DROPS},
		{"tx_queue_1_drops", 1, QUEUE_TX_DROPS},
		{"rx0_packets", 0, QUEUE_RX_PACKETS},
		{"tx12_dropped", 12, QUEUE_TX_DROPS},
		{"rx-5.rx_bytes", 5, QUEUE_RX_BYTES},
		{"tx-5.packets", 5, QUEUE_TX_PACKETS},
		{"[7]: rx_ucast_packets", 7, QUEUE_RX_PACKETS},
		{"[7]: tx_bytes", 7, QUEUE_TX_BYTES},
		{"[2]: rx_discards", 2, QUEUE_RX_DROPS},
		{"queue_4_tx_cnt", 4, QUEUE_TX_PACKETS},
		{"q2_rx_pkt_n", 2, QUEUE_RX_PACKETS},
		{"rvec_1_tx_pkts", 1, QUEUE_TX_PACKETS},
		{"tx_3_pkts", 3, QUEUE_TX_PACKETS},
		{"rx_packets[9]", 9, QUEUE_RX_PACKETS},
	};

	for (const Known &one : known) {
		QueueCounter counter;
		u32 queue;

		CHECK(queue_counter_of(one.name, &queue, &counter));
		CHECK((queue == one.queue && (int)counter == one.counter));
	}
	for (const char *name : {"", "rx_packets", "rx_queue_", "rx_queue_0", "rx_queue_0_", "rx_queue_x_packets",
	                         "rx_pp_alloc_fast", "rx_queue_0_xdp_drops", "rx0_xdp_packets", "tx0_xdp_tx",
	                         "[]: rx_bytes", "packets[1]", "rx_packets[]", "rx_packets[1]x", "[", "]",
	                         "rx_queue_99999999999999_packets", "rx_64_bytes_or_less", "tx_1024_to_1518_bytes_"}) {
		QueueCounter counter;
		u32 queue;

		CHECK(!queue_counter_of(name, &queue, &counter));
	}

	std::vector<QueueRow> rows = queue_rows({{"rx_bytes", 1},
	                                         {"[1]: rx_ucast_packets", 5},
	                                         {"[1]: rx_mcast_packets", 2},
	                                         {"[1]: rx_bcast_packets", 1},
	                                         {"rx_queue_0_xdp_packets", 9},
	                                         {"rx_queue_0_drops", 3}});
	CHECK_EQ(rows.size(), 2);
	CHECK((rows[0].queue == 0 && rows[0].counters[QUEUE_RX_DROPS] == 3 && rows[0].known == 1U << QUEUE_RX_DROPS));
	CHECK((rows[1].queue == 1 && rows[1].counters[QUEUE_RX_PACKETS] == 8 &&
	       rows[1].known == 1U << QUEUE_RX_PACKETS));

	// What the other source knows as well stays as it was.
	QueueRow other = {0, 1U << QUEUE_RX_DROPS | 1U << QUEUE_TX_BYTES, {}}, more = {7, 1U << QUEUE_RX_BYTES, {}};
	other.counters[QUEUE_RX_DROPS] = 100;
	other.counters[QUEUE_TX_BYTES] = 60;
	rows = merge_queue_rows(rows, {more, other});
	CHECK_EQ(rows.size(), 3);
	CHECK((rows[0].counters[QUEUE_RX_DROPS] == 3 && rows[0].counters[QUEUE_TX_BYTES] == 60));
	CHECK((rows[2].queue == 7 && rows[2].known == 1U << QUEUE_RX_BYTES));
}

TEST_CASE("host: every interface of this host reports its queues, or none")
{
	QueueCounters none, lo;
	Result<std::vector<QueueRow>> rows = std::vector<QueueRow>();
	Result<std::vector<RawCounter>> raw = std::vector<RawCounter>();

	CHECK((none.open("no-such-link").code() == ENODEV && none.open("").code() == ENODEV));
	CHECK((lo.open("lo").ok() && (rows = lo.read()).ok() && (raw = lo.raw()).ok()));
	CHECK((rows->empty() && raw->empty()));
	struct if_nameindex *all = if_nameindex();
	for (struct if_nameindex *one = all; one && one->if_name; one++) {
		QueueCounters counters;
		Status status = counters.open(one->if_name);

		if (status.ok())
			status = (raw = counters.raw()).status();
		for (int i = 0; i < 2 && status.ok(); i++)
			status = (rows = counters.read()).status();
		CHECK((status.ok() || status.code() == ENODEV)); // another test may have removed it meanwhile
		printf("  %s: %zu queues, %zu names\n", one->if_name, rows.ok() ? rows->size() : 0,
		       raw.ok() ? raw->size() : 0);
	}
	if_freenameindex(all);
}

TEST_CASE("R31: an ICMP error is read by what it quotes; one that is cut off, or quotes something else, is none")
{
	// IPv4 header, ICMP type 3 code 13, and the quote: 10.77.2.2 -> 10.77.13.2, UDP, to port 6081.
	const Bytes whole = {0x45, 0,  0, 56, 0,  0,  0, 0, 64, 1,  0,    0, 10,   77, 2,    1,   10,   77,
	                     2,    2,  3, 13, 0,  0,  0, 0, 0,  0,  0x45, 0, 1,    0,  0,    0,   0x40, 0,
	                     63,   17, 0, 0,  10, 77, 2, 2, 10, 77, 13,   2, 0xc0, 1,  0x17, 0xc1};
	IcmpError error = {};

	CHECK(parse_icmp_error(AF_INET, whole.data(), whole.size(), &error));
	CHECK_EQ(error.code, 13);
	CHECK(error.source == IpAddress::ipv4(10, 77, 2, 2));
	CHECK(error.destination == IpAddress::ipv4(10, 77, 13, 2));
	CHECK_EQ(error.destination_port, 6081);
	for (size_t length = 0; length < whole.size(); length++) {
		Bytes exact(whole.begin(), whole.begin() + (long)length);
		exact.shrink_to_fit();
		CHECK_FALSE(parse_icmp_error(AF_INET, exact.data(), length, &error));
	}
	auto with = [&](size_t at, u8 value) {
		Bytes changed(whole);
		changed[at] = value;
		return parse_icmp_error(AF_INET, changed.data(), changed.size(), &error);
	};
	CHECK_FALSE(with(20, 11)); // time exceeded
	CHECK_FALSE(with(35, 1));  // a later fragment
	CHECK_FALSE(with(37, 6));  // TCP
	CHECK_FALSE(with(28, 0x4f));
	CHECK_FALSE(with(0, 0x4f));

	Bytes six(8 + 40 + 4);
	six[0] = 1;
	six[8] = 0x60;
	six[8 + 6] = 17;
	six[8 + 24] = 0xfd;
	six[8 + 42] = 0x17;
	six[8 + 43] = 0xc1;
	CHECK(parse_icmp_error(AF_INET6, six.data(), six.size(), &error));
	CHECK_EQ(error.destination_port, 6081);
	CHECK_EQ(error.destination.bytes[0], 0xfd);
	for (size_t length = 0; length < six.size(); length++) {
		Bytes exact(six.begin(), six.begin() + (long)length);
		exact.shrink_to_fit();
		CHECK_FALSE(parse_icmp_error(AF_INET6, exact.data(), length, &error));
	}
}
