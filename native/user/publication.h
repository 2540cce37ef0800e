// SPDX-License-Identifier: Apache-2.0
//
// publication.h - the swap of a whole set of tables under running workers.
//
// Owns: the set in force, sets that a worker may still be reading, and the rule by which they are freed: a worker
// announces, between two batches, the generation it has seen; an old set is freed when all have seen a later one.
// Must never: make a worker wait.
#ifndef SHUNT_USER_PUBLICATION_H
#define SHUNT_USER_PUBLICATION_H

#include <atomic>
#include <memory>
#include <vector>

#include "engine/tables.h"

namespace shunt
{

class Publication
{
public:
	// One per worker, on a cache line of its own.
	class Reader
	{
	public:
		// The set to use for the next batch. What an earlier call returned must not be used any more.
		const sh_tables *enter(const Publication &publication)
		{
			// seq_cst: the announcement must be seen before the set is read, or publish() could free it in between.
			seen_.store(publication.generation_.load(std::memory_order_acquire), std::memory_order_seq_cst);
			const TableBlock *block = publication.current_.load(std::memory_order_seq_cst);
			return block ? block->tables() : nullptr;
		}
		// This worker holds no set, until it enters again.
		void leave() { seen_.store(~0ull, std::memory_order_release); }

	private:
		friend class Publication;
		alignas(64) std::atomic<u64> seen_ = ~0ull;
	};

	~Publication() { delete current_.load(); }
	// Everything but enter() and leave() is called by the control thread alone.
	void add_reader(Reader *reader) { readers_.push_back(reader); }
	void publish(std::unique_ptr<TableBlock> block)
	{
		const TableBlock *old = current_.exchange(block.release(), std::memory_order_seq_cst);
		u64 generation = generation_.fetch_add(1, std::memory_order_seq_cst) + 1;

		if (old)
			retired_.push_back({generation, std::unique_ptr<const TableBlock>(old)});
		reclaim();
	}
	// Frees the sets that no worker can be reading any more; returns how many are left.
	size_t reclaim()
	{
		u64 oldest = ~0ull;

		for (Reader *reader : readers_) {
			u64 seen = reader->seen_.load(std::memory_order_seq_cst);
			oldest = seen < oldest ? seen : oldest;
		}
		std::erase_if(retired_, [&](const Retired &r) { return r.generation <= oldest; });
		return retired_.size();
	}
	const TableBlock *current() const { return current_.load(std::memory_order_acquire); }

private:
	struct Retired {
		u64 generation; // from which on no reader can meet it
		std::unique_ptr<const TableBlock> block;
	};

	std::atomic<const TableBlock *> current_ = nullptr;
	std::atomic<u64> generation_ = 1;
	std::vector<Reader *> readers_;
	std::vector<Retired> retired_;
};

} // namespace shunt

#endif
