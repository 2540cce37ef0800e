// SPDX-License-Identifier: Apache-2.0
//
// injector.cc - see the header.
#include "engine/injector.h"

#include <cstring>
#include <ctime>

#include "engine/link.h"
#include "engine/pipeline.h"
#include "engine/send_ring.h"
#include "packet/parse.h"

namespace shunt
{

namespace
{

constexpr u32 SLOTS = 1024;
constexpr u32 FIRST_PORT = 1024;
constexpr u32 PORTS = 65536 - FIRST_PORT; // of one source address

// Where the fields that make a flow stand in a frame.
struct Template {
	const std::vector<u8> *frame;
	size_t source;       // the low 32 bits of the source address
	size_t port;         // source port
	size_t ip_checksum;  // 0: none (IPv6)
	size_t checksum;     // of UDP or TCP; 0: none (UDP over IPv4 with checksum 0)
};

bool read_template(const std::vector<u8> &frame, Template *t)
{
	// Parsing reads only; sh_frame has no const form.
	u8 *data = const_cast<u8 *>(frame.data());
	sh_frame view = {data, data + frame.size(), data};
	sh_parsed p = {};
	u16 checksum;

	if (sh_parse_link(&view, &p) != SH_GO_ON || sh_parse_ip(&view, &p) != SH_GO_ON ||
	    sh_parse_transport(&view, &p) != SH_GO_ON || p.icmp_error || p.fragmentation == SH_FRAGMENT_LATER)
		return false;
	bool v4 = p.flow.family == SH_IPV4;
	t->frame = &frame;
	t->source = p.l3 + (v4 ? 12u : 8u + 12u);
	t->ip_checksum = v4 ? p.l3 + 10u : 0;
	t->port = p.l4;
	t->checksum = p.l4 + (p.protocol == SH_UDP ? 6u : 16u);
	if (t->checksum + 2 > frame.size())
		return false;
	memcpy(&checksum, data + t->checksum, 2);
	if (p.protocol == SH_UDP && checksum == 0)
		t->checksum = 0;
	return true;
}

// RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
void update(u8 *field, u64 difference, bool udp_like)
{
	u16 checksum;

	memcpy(&checksum, field, 2);
	checksum = sh_checksum((u64)(u16)~checksum + difference);
	if (udp_like && checksum == 0)
		checksum = 0xffff;
	memcpy(field, &checksum, 2);
}

void vary(u8 *out, const Template &t, u32 flow)
{
	be32 old_source, source;
	be16 old_port, port;

	memcpy(&old_source, out + t.source, 4);
	memcpy(&old_port, out + t.port, 2);
	u32 base = sh_ntohs(old_port) < FIRST_PORT ? 0 : sh_ntohs(old_port) - FIRST_PORT;
	port = sh_htons(FIRST_PORT + (base + flow) % PORTS);
	source = sh_htonl(sh_ntohl(old_source) + flow / PORTS);
	memcpy(out + t.source, &source, 4);
	memcpy(out + t.port, &port, 2);

	u64 address = (u64)(u16)~old_source + (u16)~(old_source >> 16) + (u16)source + (source >> 16);
	if (t.ip_checksum)
		update(out + t.ip_checksum, address, false);
	if (t.checksum)
		update(out + t.checksum, address + (u16)~old_port + port, true);
}

void sleep_until(u64 ns)
{
	struct timespec until = {static_cast<time_t>(ns / 1000000000), static_cast<long>(ns % 1000000000)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

} // namespace

bool inject(const Injection &injection, const std::atomic<bool> &cancelled, InjectionResult *result,
	    std::string *problem)
{
	std::vector<Template> templates;
	SendRing ring;
	Link link;

	if (!read_link(injection.interface, &link, problem) ||
	    !ring.open(link.ifindex, injection.qdisc_bypass, SLOTS, problem))
		return false;
	if (injection.frames.empty() || (injection.count == 0 && injection.seconds <= 0)) {
		*problem = "an injection needs frames, and a bound by count or by time";
		return false;
	}
	for (size_t i = 0; i < injection.frames.size(); i++) {
		Template t = {&injection.frames[i], 0, 0, 0, 0};

		if (injection.frames[i].size() > ring.slot_bytes() || injection.frames[i].size() < 14 ||
		    (injection.flows > 1 && !read_template(injection.frames[i], &t))) {
			*problem = "frames[" + std::to_string(i) + "] is too long or too short, or is not UDP or TCP and can't be varied";
			return false;
		}
		templates.push_back(t);
	}

	const u64 began = monotonic_ns();
	const u64 until = injection.seconds > 0 ? began + (u64)(injection.seconds * 1e9) : ~0ull;
	const u64 bound = injection.count ? injection.count : ~0ull;
	u64 sent = 0, now = began;
	u32 frame = 0, flow = 0;
	while (sent < bound && now < until && !cancelled.load(std::memory_order_relaxed)) {
		u64 burst = bound - sent < BATCH ? bound - sent : BATCH;

		if (injection.pps > 0) {
			u64 due = (u64)((double)(now - began) * injection.pps / 1e9) + 1;

			if (due <= sent) {
				u64 next = began + (u64)((double)sent * 1e9 / injection.pps);

				sleep_until(next < until ? next : until);
				now = monotonic_ns();
				continue;
			}
			burst = due - sent < burst ? due - sent : burst;
		}
		for (u64 i = 0; i < burst; i++) {
			u8 *slot = ring.slot();

			if (!slot) {
				ring.kick();
				ring.wait(1);
				break;
			}
			const Template &t = templates[frame];
			memcpy(slot, t.frame->data(), t.frame->size());
			if (injection.flows > 1) {
				vary(slot, t, flow);
				flow = flow + 1 == injection.flows ? 0 : flow + 1;
			}
			ring.commit(static_cast<u32>(t.frame->size()));
			frame = frame + 1 == templates.size() ? 0 : frame + 1;
			sent++;
		}
		ring.kick();
		now = monotonic_ns();
	}
	for (int tries = 0; tries < 1000 && !ring.drained(); tries++) {
		ring.kick();
		ring.wait(1);
	}
	result->sent = sent;
	result->refused = ring.refused();
	result->seconds = (double)(monotonic_ns() - began) / 1e9;
	return true;
}

} // namespace shunt
