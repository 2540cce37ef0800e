// SPDX-License-Identifier: Apache-2.0
//
// engine_options.cc - reads the options of both engines, field by field.
// Must never: check more than types and ranges; the engines check the rest.
#include "addon/engine_options.h"

namespace shunt
{

template <typename Kind>
static Kind choice(const Fields &f, const char *name, std::initializer_list<std::pair<const char *, Kind>> kinds,
                   Kind otherwise)
{
	std::string text = f.text(name);
	std::string list;

	if (text.empty())
		return otherwise;
	for (auto &[known, kind] : kinds) {
		if (text == known)
			return kind;
		list += (list.empty() ? "" : ", ") + std::string(known);
	}
	f.complain(name, ("must be one of " + list).c_str());
	return otherwise;
}

static WorkerOptions read_worker(const Fields &f)
{
	WorkerOptions o;

	o.capture.interface = f.text("interface");
	o.file = f.text("file");
	o.capture.snaplen = (u32)f.number("snaplen", 262144, 0);
	o.capture.buffer_bytes = (u32)f.number("bufferBytes", 1u << 30, 0);
	o.capture.busy_poll_us = (u32)f.number("busyPollUs", 1000000, 0);
	o.capture.fanout = f.has("fanout") ? (int)f.number("fanout", 65535) : -1;
	o.capture.any_station = f.flag("anyStation", false);
	o.capture.other_stations = f.flag("otherStations", o.capture.any_station);
	o.capture.sent = f.flag("sent", false);
	o.cpu = f.has("cpu") ? (int)f.number("cpu", 1023) : -1;
	if (o.file.empty() == o.capture.interface.empty())
		f.complain("", "must name either an interface or a file");
	return o;
}

UserEngineOptions read_user_options(const Fields &f)
{
	UserEngineOptions o;

	o.sessions4 = f.number("sessions4", 1ull << 32, o.sessions4);
	o.sessions6 = f.number("sessions6", 1ull << 32, o.sessions6);
	o.fragments = f.number("fragments", 1u << 24, o.fragments);
	o.transmit = choice<TransmitKind>(
		f, "transmit",
		{{"ring", TransmitKind::ring}, {"sendmmsg", TransmitKind::sendmmsg}, {"pcap", TransmitKind::pcap}},
		TransmitKind::sendmmsg);
	o.qdisc_bypass = f.flag("qdiscBypass", false);
	o.output_file = f.text("outputFile");
	o.tun = f.has("tun") ? (int)f.number("tun", 0x7fffffff) : -1;
	f.list("workers", [&](const Napi::Value &value, const std::string &place) {
		o.workers.push_back(read_worker(Fields(value, place)));
	});
	return o;
}

KernelEngineOptions read_kernel_options(const Fields &f)
{
	KernelEngineOptions o;

	o.sessions4 = f.number("sessions4", 1ull << 32, o.sessions4);
	o.sessions6 = f.number("sessions6", 1ull << 32, o.sessions6);
	o.fragments = f.number("fragments", 1u << 24, o.fragments);
	o.mode = choice<XdpMode>(f, "mode", {{"native", XdpMode::native}, {"generic", XdpMode::generic}},
	                         XdpMode::native);
	o.pins = f.text("pins");
	o.fresh = f.flag("fresh", false);
	o.sent = f.flag("sent", false);
	o.object_file = f.text("objectFile");
	f.list("interfaces", [&](const Napi::Value &value, const std::string &place) {
		if (value.IsString())
			o.interfaces.push_back(value.As<Napi::String>());
		else
			Fields::complain_at(place, "must be the name of an interface");
	});
	return o;
}

} // namespace shunt
