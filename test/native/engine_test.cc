// SPDX-License-Identifier: Apache-2.0
//
// engine_test.cc - from a capture file to an output file, through the packet program; and the swap of tables.
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "engine/explain.h"
#include "fixtures.h"
#include "user/capture.h"
#include "user/file_engine.h"
#include "user/pipeline.h"
#include "user/publication.h"

using namespace shunt;

namespace
{

struct TemporaryFile {
	std::string name;

	TemporaryFile()
	{
		char path[] = "/tmp/shunt-native-test-XXXXXX";
		int fd = mkstemp(path);

		CHECK(fd >= 0);
		close(fd);
		name = path;
	}
	~TemporaryFile() { unlink(name.c_str()); }
};

Result<FileRunResult> run_in_user_space(const FileRun &run)
{
	auto engine = open_user_file_engine(run);
	auto input = open_file_capture(run.input);

	if (!engine.ok())
		return engine.status();
	return input.ok() ? run_file(run, input->get(), engine->get()) : input.status();
}

void write_pcap(const std::string &file, const std::vector<std::vector<u8>> &frames, u64 first_ns, u64 apart_ns)
{
	u64 clock = first_ns;
	auto opened = open_file_transmit(file, &clock);

	CHECK(opened.ok());
	std::unique_ptr<Transmit> out = opened.take();
	for (const std::vector<u8> &frame : frames) {
		u8 *data = const_cast<u8 *>(frame.data());
		u8 reason = 0;

		out->queue({data, data + frame.size(), data}, &reason);
		CHECK_EQ(reason, 0);
		clock += apart_ns;
	}
}

std::vector<std::vector<u8>> read_pcap(const std::string &file, std::vector<u64> *times)
{
	std::vector<std::vector<u8>> frames;
	Batch batch;

	auto capture = open_file_capture(file);
	CHECK(capture.ok());
	while ((*capture)->take(&batch) == Taken::packets) {
		frames.emplace_back(batch.frames[0].data, batch.frames[0].end);
		times->push_back(batch.time_ns);
	}
	return frames;
}

u64 packets(const u64 *worker, u32 reason)
{
	return worker[word::reason_packets(reason)];
}

} // namespace

TEST_CASE("engine: a pcap file in, a pcap file out, every packet counted once")
{
	TemporaryFile input, output, inner;
	FileRun run;
	std::vector<std::vector<u8>> frames;

	for (u16 i = 0; i < 100; i++)
		frames.push_back(udp_frame(v4(198, 51, 100, 1), (u16)(2000 + i % 10), v4(203, 0, 113, 53), 53, i));
	frames.push_back(udp_frame(v4(198, 51, 100, 1), 2000, v4(203, 0, 113, 53), 54, 10));
	frames.push_back(udp_frame(v4(198, 51, 100, 1), 2000, v4(203, 0, 113, 99), 53, 10));
	frames.push_back(std::vector<u8>(10));
	frames.push_back(udp_frame(v4(198, 51, 100, 1), 2000, v4(203, 0, 113, 53), 53, 1470));
	write_pcap(input.name, frames, 1700000000123456789, 1000);

	run.input = input.name;
	run.output = output.name;
	run.inner = inner.name;
	run.steps.push_back({0, spec_of_one_service()});
	Result<FileRunResult> ran = run_in_user_space(run), again = run_in_user_space(run);
	CHECK((ran.ok() && again.ok()));
	const FileRunResult &result = *ran;
	CHECK(result.reasons == again->reasons); // each run starts from nothing

	const u64 *w = result.statistics->worker(0);
	u64 sum = 0, bytes = 0;
	for (u32 r = 0; r < SH_REASON_COUNT; r++) {
		sum += w[word::reason_packets(r)];
		bytes += w[word::reason_bytes(r)];
	}
	CHECK_EQ(w[word::packets_in], frames.size());
	CHECK_EQ(sum, w[word::packets_in]);
	CHECK_EQ(bytes, w[word::bytes_in]);
	CHECK_EQ(packets(w, SH_R_forwarded_new), 10);
	CHECK_EQ(packets(w, SH_R_forwarded), 90);
	CHECK_EQ(packets(w, SH_R_not_service_port), 1);
	CHECK_EQ(packets(w, SH_R_not_service), 1);
	CHECK_EQ(packets(w, SH_R_truncated), 1);
	CHECK_EQ(packets(w, SH_R_fragmented), 1);
	CHECK_EQ(w[word::target_packets(1)] + w[word::target_packets(2)], 101);
	CHECK_EQ(result.sessions.size(), 10);

	std::vector<u64> times;
	std::vector<std::vector<u8>> sent = read_pcap(output.name, &times);
	CHECK_EQ(sent.size(), 102); // and the two fragments of the one that was too big
	CHECK_EQ(times[0], 1700000000123456789);
	CHECK_EQ(times[7], 1700000000123456789 + 7000);
	// The inner packet is untouched, behind its tunnel.
	CHECK(sent[5].size() > frames[5].size());
	CHECK(memcmp(sent[5].data() + sent[5].size() - (frames[5].size() - 14), frames[5].data() + 14,
	             frames[5].size() - 14) == 0);
}

TEST_CASE("engine: before the first tables, packets are counted as such; then tables change between two packets")
{
	TemporaryFile input;
	FileRun run;
	std::vector<std::vector<u8>> frames(6, udp_frame(v4(198, 51, 100, 1), 2000, v4(203, 0, 113, 53), 53, 8));

	write_pcap(input.name, frames, 1000000000, 1000);
	run.input = input.name;
	run.steps.push_back({2, spec_of_one_service()});
	run.steps.push_back({4, spec_of_one_service()});
	for (TableSpec::Target &target : run.steps[1].tables.targets)
		target.epoch++; // both went down and came back: sessions choose anew
	Result<FileRunResult> result = run_in_user_space(run);
	CHECK(result.ok());
	std::vector<u8> expected = {SH_R_table_missing, SH_R_table_missing,   SH_R_forwarded_new,
	                            SH_R_forwarded,     SH_R_forwarded_moved, SH_R_forwarded};
	CHECK(result->reasons == expected);
}

TEST_CASE("engine: what can't be read or written is one sentence")
{
	FileRun run;

	run.input = "/nonexistent/in.pcap";
	Result<FileRunResult> result = run_in_user_space(run);
	CHECK(!result.ok());
	CHECK(result.status().message().find("/nonexistent/in.pcap: No such file") == 0);
	CaptureOptions options;
	options.interface = "no-such-link";
	auto live = open_pcap_capture(options);
	CHECK(!live.ok());
	CHECK(live.status().message() == "there is no interface named no-such-link");
}

TEST_CASE("engine: a partial checksum is finished; a complete one, a missing one and a fragment stay as they are")
{
	const size_t CHECKSUM = sizeof(sh_ethernet) + sizeof(sh_ipv4) + 6;
	std::vector<u8> complete = udp_frame(v4(198, 51, 100, 1), 2000, v4(203, 0, 113, 53), 53, 101);
	std::vector<u8> frame = complete;
	sh_ipv4 *ip = reinterpret_cast<sh_ipv4 *>(frame.data() + sizeof(sh_ethernet));
	u16 pseudo = (u16)~sh_checksum(sh_sum(&ip->source, 2) + sh_htons(SH_UDP) + sh_htons(8 + 101));
	auto set = [&](u16 checksum) { memcpy(frame.data() + CHECKSUM, &checksum, 2); };
	auto finish = [&] { finish_partial_checksum(frame.data(), frame.data() + frame.size()); };

	finish();
	CHECK(frame == complete);
	set(pseudo);
	finish();
	CHECK(frame == complete);
	set(0);
	finish();
	CHECK((frame != complete && frame[CHECKSUM] == 0 && frame[CHECKSUM + 1] == 0));
	set(pseudo);
	std::vector<u8> before = frame;
	finish_partial_checksum(frame.data(), frame.data() + frame.size() - 1); // cut off
	CHECK(frame == before);
	ip->fragment = sh_htons(SH_IPV4_MF);
	before = frame;
	finish();
	CHECK(frame == before);
}

TEST_CASE("engine: the partial checksum of TCP over IPv6 with an extension header is finished")
{
	std::vector<u8> frame(sizeof(sh_ethernet) + sizeof(sh_ipv6) + 8 + sizeof(sh_tcp) + 33);
	u8 *ipv6 = frame.data() + sizeof(sh_ethernet), *tcp = ipv6 + sizeof(sh_ipv6) + 8;
	u16 length = sizeof(sh_tcp) + 33, payload = sh_htons(8 + length);

	frame[12] = 0x86, frame[13] = 0xdd;
	ipv6[0] = 0x60;
	memcpy(ipv6 + 4, &payload, 2);
	ipv6[6] = SH_EXT_DESTINATION;
	for (u32 i = 8; i < 40; i++)
		ipv6[i] = (u8)(i * 7);
	ipv6[40] = SH_TCP;
	for (u32 i = 0; i < length; i++)
		tcp[i] = (u8)(i * 13);
	u64 pseudo = sum_bytes(ipv6 + 8, 32) + sh_htons(SH_TCP) + sh_htons(length);
	u16 partial = (u16)~sh_checksum(pseudo);
	memcpy(tcp + 16, &partial, 2);
	finish_partial_checksum(frame.data(), frame.data() + frame.size());
	CHECK_EQ(sh_checksum(pseudo + sum_bytes(tcp, length)), 0);
}

TEST_CASE("engine: explain says what the next packet meets, and changes nothing")
{
	Sessions sessions;
	CHECK(sessions.allocate(100, 100, 1));
	auto block = build_tables(spec_of_one_service(), sessions.geometry());
	sh_flow flow = {};

	flow.source = v4(198, 51, 100, 1);
	flow.destination = v4(203, 0, 113, 53);
	flow.source_port = sh_htons(2000);
	flow.destination_port = sh_htons(53);
	flow.protocol = SH_UDP;
	flow.family = SH_IPV4;
	Explanation e = explain(block->tables(), sessions, flow, 1000000000);
	CHECK_EQ(e.reason, SH_R_forwarded_new);
	CHECK((e.service == 1 && e.target == e.chosen && e.target && !e.session && e.rows == 2));
	u64 from = 0;
	CHECK(list_sessions(sessions, SessionFilter(), 10, 0, &from).empty());
	flow.destination_port = sh_htons(54);
	CHECK_EQ(explain(block->tables(), sessions, flow, 1000000000).reason, SH_R_not_service_port);
	CHECK_EQ(explain(nullptr, sessions, flow, 1000000000).reason, SH_R_table_missing);
}

TEST_CASE("engine: R18: explain tells what was weighed and lost: what would win if the loads were the other way round")
{
	const u16 targets = 9;
	Sessions sessions;
	TableSpec spec = spec_of_one_service();
	u32 weighed = 0;

	CHECK(sessions.allocate(100, 100, 1));
	for (u16 id = 3; id <= targets; id++)
		spec.targets.push_back(target_spec(id));
	spec.redirections[0] = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4}, SH_SPREAD_BY_FLOW, SH_CHOOSE_LESS_LOADED};
	for (TableSpec::Target &target : spec.targets)
		target.load = target.id;
	auto upwards = build_tables(spec, sessions.geometry());
	for (TableSpec::Target &target : spec.targets)
		target.load = targets - target.id;
	auto downwards = build_tables(spec, sessions.geometry());
	spec.redirections[0].choice = SH_CHOOSE_ROW;
	auto unweighed = build_tables(spec, sessions.geometry());
	CHECK((upwards && downwards && unweighed));

	sh_flow flow = {};
	flow.destination = v4(203, 0, 113, 53);
	flow.source_port = sh_htons(2000);
	flow.destination_port = sh_htons(53);
	flow.protocol = SH_UDP;
	flow.family = SH_IPV4;
	for (u32 client = 0; client < 1000; client++) {
		flow.source = v4(198, 51, (u8)(client >> 8), (u8)client);
		Explanation up = explain(upwards->tables(), sessions, flow, 1000000000);
		Explanation down = explain(downwards->tables(), sessions, flow, 1000000000);

		CHECK_EQ(up.load, up.chosen);
		CHECK_EQ(up.other_load, up.other);
		CHECK_EQ(up.chosen, spec.redirections[0].rows[up.row]);
		CHECK_EQ(up.other, spec.redirections[0].rows[up.other_row]);
		CHECK((up.load <= up.other_load && down.load <= down.other_load));
		if (up.chosen != up.other) {
			weighed++;
			CHECK((up.other_row == down.row && up.row == down.other_row));
		}
		CHECK_EQ(explain(unweighed->tables(), sessions, flow, 1000000000).other, 0);
	}
	CHECK(weighed > 800);
}

TEST_CASE("publication: sets are swapped under readers, and freed when none can be reading")
{
	Publication publication;
	Publication::Reader readers[2];
	std::atomic<bool> done = false;
	auto read = [&](Publication::Reader *reader) {
		u32 last = 0;

		for (u64 i = 0; !done; i++) {
			const sh_tables *tables = reader->enter(publication);

			if (tables) { // the sanitizers see a set that was freed too early
				CHECK(tables->control.epoch >= last);
				last = tables->control.epoch;
				CHECK_EQ(tables->targets[1].port, sh_htons(53));
			}
			if (i % 7 == 0)
				reader->leave();
		}
		reader->leave();
	};

	publication.add_reader(&readers[0]);
	publication.add_reader(&readers[1]);
	std::thread a(read, &readers[0]), b(read, &readers[1]);
	for (u32 epoch = 1; epoch <= 200; epoch++) {
		TableSpec spec = spec_of_one_service();

		spec.epoch = epoch;
		publication.publish(build_tables(spec, SessionGeometry()));
	}
	done = true;
	a.join();
	b.join();
	CHECK_EQ(publication.reclaim(), 0);
}
