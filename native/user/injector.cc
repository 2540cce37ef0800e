// SPDX-License-Identifier: Apache-2.0
//
// injector.cc - see the header.
#include "user/injector.h"

#include <cstring>
#include <ctime>

#include "datapath/parse/parse.h"
#include "engine/mapping.h"
#include "linux/clock.h"
#include "user/ethernet_interface.h"

namespace shunt
{

namespace
{

constexpr u32 FIRST_PORT = 1024;
constexpr u32 PORTS = 65536 - FIRST_PORT; // of one source address

// Offsets of the fields of a frame that make its flow.
struct Template {
	const std::vector<u8> *frame;
	size_t source;      // the low 32 bits of the source address
	size_t port;        // source port
	size_t ip_checksum; // 0: none (IPv6)
	size_t checksum;    // of UDP or TCP; 0: none (UDP over IPv4 with checksum 0)
};

bool read_template(const std::vector<u8> &frame, Template *t)
{
	// Parsing reads only; sh_frame has no const form.
	u8 *data = const_cast<u8 *>(frame.data());
	sh_frame view = {data, data + frame.size(), data};
	sh_parsed p = {};
	u16 checksum;

	if (sh_parse_link(&view, &p) != SH_CONTINUE || sh_parse_ip(&view, &p) != SH_CONTINUE ||
	    sh_parse_transport(&view, &p) != SH_CONTINUE || p.icmp_error || p.fragmentation == SH_FRAGMENT_LATER)
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

	u64 address = (u64)(u16)~old_source + (u16) ~(old_source >> 16) + (u16)source + (source >> 16);
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

// One burst's frames and what became of each.
struct Burst {
	Mapping memory;
	sh_frame frames[BATCH];
	u8 reasons[BATCH];
};

Status read_templates(const Injection &injection, u32 longest, std::vector<Template> *templates)
{
	if (injection.frames.empty() || (injection.count == 0 && injection.seconds <= 0))
		return Status::error("an injection needs frames, and a bound: count or seconds");
	for (size_t i = 0; i < injection.frames.size(); i++) {
		const std::vector<u8> &frame = injection.frames[i];
		Template t = {&frame, 0, 0, 0, 0};

		if (frame.size() > longest || frame.size() < 14)
			return Status::error("frames[" + std::to_string(i) + "] has " + std::to_string(frame.size()) +
			                     " bytes; the interface takes 14 to " + std::to_string(longest));
		if (injection.flows > 1 && !read_template(frame, &t))
			return Status::error("frames[" + std::to_string(i) +
			                     "] is not a whole UDP or TCP packet, so its flow can't be varied");
		templates->push_back(t);
	}
	return {};
}

// Frames that may be sent now by Injection::pps; 0 after having slept.
u64 allowance(const Injection &injection, u64 began, u64 now, u64 until, u64 sent)
{
	u64 burst = injection.count && injection.count - sent < BATCH ? injection.count - sent : BATCH;

	if (injection.pps <= 0)
		return burst;
	u64 due = (u64)((double)(now - began) * injection.pps / 1e9) + 1;
	if (due > sent)
		return due - sent < burst ? due - sent : burst;
	u64 next = began + (u64)((double)sent * 1e9 / injection.pps);
	sleep_until(next < until ? next : until);
	return 0;
}

} // namespace

Result<InjectionResult> inject(const Injection &injection, const std::atomic<bool> &cancelled)
{
	Result<Interface> interface = read_ethernet_interface(injection.interface);
	std::vector<Template> templates;
	auto burst = std::make_unique<Burst>();
	InjectionResult result;

	if (!interface.ok())
		return interface.status();
	const u32 longest = interface->mtu + 18; // Ethernet with a tag
	if (Status status = read_templates(injection, longest, &templates); !status.ok())
		return status;
	auto opened = open_transmit(injection.transmit, interface->index, injection.qdisc_bypass);
	if (!opened.ok())
		return opened.status();
	std::unique_ptr<Transmit> transmit = opened.take();
	if (!burst->memory.allocate((size_t)longest * BATCH))
		return Status::error("out of memory for the frames of one burst");

	const u64 began = monotonic_ns();
	const u64 until = injection.seconds > 0 ? began + (u64)(injection.seconds * 1e9) : ~0ull;
	u64 now = began;
	u32 frame = 0, flow = 0;
	while ((!injection.count || result.sent < injection.count) && now < until &&
	       !cancelled.load(std::memory_order_relaxed)) {
		u64 count = allowance(injection, began, now, until, result.sent);

		for (u64 i = 0; i < count; i++) {
			const Template &t = templates[frame];
			u8 *data = burst->memory.data() + (size_t)longest * i;

			memcpy(data, t.frame->data(), t.frame->size());
			if (injection.flows > 1) {
				vary(data, t, flow);
				flow = flow + 1 == injection.flows ? 0 : flow + 1;
			}
			burst->frames[i] = {data, data + t.frame->size(), data};
			burst->reasons[i] = SH_R_forwarded;
			frame = frame + 1 == templates.size() ? 0 : frame + 1;
			transmit->queue(burst->frames[i], &burst->reasons[i]);
		}
		transmit->flush();
		for (u64 i = 0; i < count; i++) {
			result.sent += burst->reasons[i] == SH_R_forwarded;
			result.full += burst->reasons[i] == SH_R_transmit_full;
			result.refused += burst->reasons[i] == SH_R_transmit_failed;
		}
		now = monotonic_ns();
		if (result.refused && !result.sent)
			return Status::error("interface " + injection.interface +
			                     " accepts no frames; set it up first");
	}
	result.seconds = (double)(monotonic_ns() - began) / 1e9;
	return result;
}

} // namespace shunt
