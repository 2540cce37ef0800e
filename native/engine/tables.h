// SPDX-License-Identifier: Apache-2.0
//
// tables.h (engine) - from a plain description of a set of tables (table_spec.h) to the block that the packet program reads.
//
// Owns: the block, and the layout of its tables.
// Must never: change a block once it is built; a change is a new block with epoch + 1.
#ifndef SHUNT_ENGINE_TABLES_H
#define SHUNT_ENGINE_TABLES_H

#include <memory>
#include <vector>

#include "engine/service_aging.h"
#include "engine/table_spec.h"
#include "linux/status.h"

namespace shunt
{

// Buckets of the session tables that belong to a set of tables. Each a power of two.
struct SessionGeometry {
	u32 buckets4 = 1;
	u32 buckets6 = 1;
	u32 fragments = 1;

	bool operator==(const SessionGeometry &) const = default;
};

class TableBlock
{
public:
	// Fails if the description contradicts itself (table_check.h).
	static Result<std::unique_ptr<TableBlock>> build(const TableSpec &spec, const SessionGeometry &geometry);

	TableBlock(const TableBlock &) = delete;
	const sh_tables *tables() const { return &tables_; }
	// By service id, 65536 entries.
	const std::vector<Aging> &aging() const { return aging_; }
	// Interface indices of the links that targets are reached by, each once.
	const std::vector<u32> &links() const { return links_; }

private:
	TableBlock() = default;
	Status build_hash_tables(const TableSpec &spec);
	void build_arrays(const TableSpec &spec);

	sh_tables tables_ = {};
	std::vector<sh_service> services_;
	std::vector<sh_rule> rules_;
	std::vector<sh_redirection> redirections_;
	std::vector<u16> rows_;
	std::vector<sh_target> targets_;
	std::vector<sh_own> own_;
	std::vector<sh_key> keys_;
	std::vector<Aging> aging_;
	std::vector<u32> links_;
};

} // namespace shunt

#endif
