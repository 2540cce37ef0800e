// SPDX-License-Identifier: Apache-2.0
//
// engine.h - a packet engine as the control plane drives it, in user space or in the kernel.
//
// Owns: what both engines share: the session table, its aging and its counts, and the explanation of a flow. The user-space
// engine (user/user_engine.h) runs the packet program in threads of its own, the kernel's (kernel/kernel_engine.h) in XDP.
// All calls but prepare() come from one thread (JavaScript's).
// Must never: be called per packet.
#ifndef SHUNT_ENGINE_ENGINE_H
#define SHUNT_ENGINE_ENGINE_H

#include "engine/explain.h"
#include "engine/statistics.h"
#include "linux/clock.h"
#include "linux/status.h"

namespace shunt
{

// A set of tables that is complete and not yet in force; an engine adds what else it has made ready.
struct PreparedTables {
	virtual ~PreparedTables() = default;

	std::unique_ptr<TableBlock> block;
};

class Engine
{
public:
	virtual ~Engine() = default;

	// Makes a set of tables ready to be put in force. May be called in another thread, while calls go on in the first; but
	// what it returns must be committed or dropped before the next.
	virtual Result<std::unique_ptr<PreparedTables>> prepare(const TableSpec &spec) = 0;
	// Puts a whole set of tables in force between two packets. If it fails, the old tables stay in force. `warnings` are
	// sentences for the operator: links that can't be opened, say.
	virtual Status commit(std::unique_ptr<PreparedTables> tables, std::vector<std::string> *warnings) = 0;
	// Both.
	Status publish(const TableSpec &spec, std::vector<std::string> *warnings)
	{
		auto prepared = prepare(spec);

		return prepared.ok() ? commit(prepared.take(), warnings) : prepared.status();
	}
	// Begins to process packets.
	virtual Status start() = 0;
	virtual void stop() = 0;
	// The set in force; NULL before the first.
	virtual const TableBlock *current() const = 0;
	// Sets that a packet may still be using.
	virtual size_t retired_tables() { return 0; }

	const Sessions &sessions() const { return sessions_; }
	const std::shared_ptr<Statistics> &statistics() const { return statistics_; }
	const sh_tables *tables() const { return current() ? current()->tables() : nullptr; }

	static u32 now_tick() { return (u32)(monotonic_ns() >> SH_TICK_SHIFT); }

	// Ages `count` buckets from `from` on, by the idle times of the set in force.
	SweepResult sweep_slice(u64 from, u64 count)
	{
		retired_tables();
		if (!current())
			return SweepResult{};
		if (from == 0)
			counting_ = SessionCounts();
		SweepResult result = sweep(sessions_, from, count, now_tick(), *current(), &counting_);
		if (result.next == 0)
			std::swap(counts_, counting_);
		return result;
	}
	// Of the last complete pass.
	const SessionCounts &counts() const { return counts_; }

protected:
	Sessions sessions_;
	std::shared_ptr<Statistics> statistics_ = std::make_shared<Statistics>();

private:
	SessionCounts counting_; // of the pass in progress
	SessionCounts counts_;
};

} // namespace shunt

#endif
