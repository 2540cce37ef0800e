// SPDX-License-Identifier: Apache-2.0
//
// run_file.cc - see the header.
#include "engine/run_file.h"

#include "datapath/gateway.h"
#include "datapath/parse/parse.h"
#include "engine/explain.h"

namespace shunt
{

namespace
{

Result<std::unique_ptr<Transmit>> open_output(const std::string &file, const u64 *clock_ns)
{
	if (file.empty())
		return open_null_transmit();
	return open_file_transmit(file, clock_ns);
}

// The flow is the one that the packet program's own parser finds.
void explain_packet(const sh_tables *tables, const Sessions &sessions, const Batch &batch, FileRunResult *result)
{
	const sh_frame &frame = batch.frames[0];
	u8 reason = FileRunResult::NOT_EXPLAINED;
	sh_parsed parsed = {};
	u16 target = 0;

	if (!batch.sent && sh_parse_link(&frame, &parsed) == SH_CONTINUE &&
	    sh_parse_ip(&frame, &parsed) == SH_CONTINUE && sh_parse_transport(&frame, &parsed) == SH_CONTINUE &&
	    parsed.fragmentation != SH_FRAGMENT_LATER && !parsed.icmp_error) {
		sh_gateway_salt(&frame, &parsed);
		Explanation explanation =
			explain(tables, sessions, parsed.flow, batch.time_ns, sh_parsed_continues(&parsed));

		reason = explanation.reason;
		target = explanation.target;
	}
	result->explained_reasons.push_back(reason);
	result->explained_targets.push_back(target);
}

Result<std::vector<std::unique_ptr<TableBlock>>> build_blocks(const FileRun &run, const SessionGeometry &geometry)
{
	std::vector<std::unique_ptr<TableBlock>> blocks;

	for (const FileRun::Step &step : run.steps) {
		auto block = TableBlock::build(step.tables, geometry);

		if (!block.ok())
			return block.status();
		blocks.push_back(block.take());
	}
	return blocks;
}

} // namespace

Result<FileOutputs> open_file_outputs(const FileRun &run, const u64 *clock_ns)
{
	auto out = open_output(run.output, clock_ns);
	if (!out.ok())
		return out.status();
	auto inner = open_output(run.inner, clock_ns);
	if (!inner.ok())
		return inner.status();
	return FileOutputs{out.take(), inner.take()};
}

Result<FileRunResult> run_file(const FileRun &run, Capture *input, FileEngine *engine)
{
	auto built = build_blocks(run, engine->sessions().geometry());
	if (!built.ok())
		return built.status();
	const std::vector<std::unique_ptr<TableBlock>> blocks = built.take();
	auto batch = std::make_unique<Batch>();
	FileRunResult result;
	size_t step = 0, sent = 0;
	u64 now_ns = 0;

	for (u64 index = 0;; index++) {
		Taken taken = input->take(batch.get());

		if (taken == Taken::ended)
			break;
		if (taken != Taken::packets)
			return input->problem();
		for (; step < run.steps.size() && run.steps[step].at <= index; step++)
			if (Status status = engine->publish(blocks[step].get()); !status.ok())
				return status;
		now_ns = batch->time_ns;
		bool egress = sent < run.sent.size() && run.sent[sent] == index;
		if (egress) {
			batch->sent = 1;
			sent++;
		}
		if (run.explain)
			explain_packet(step ? blocks[step - 1]->tables() : nullptr, engine->sessions(), *batch,
			               &result);
		Result<PacketOutcome> outcome = engine->run(batch.get());
		if (!outcome.ok())
			return outcome.status();
		result.reasons.push_back(egress ? (u8)(FileRunResult::SENT + (u8)outcome->sent) : outcome->reason);
		result.targets.push_back(outcome->target);
	}
	u64 from = 0;
	result.statistics = engine->statistics();
	result.sessions =
		list_sessions(engine->sessions(), SessionFilter(), ~0ull, (u32)(now_ns >> SH_TICK_SHIFT), &from);
	return result;
}

} // namespace shunt
