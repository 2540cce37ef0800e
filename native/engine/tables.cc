// SPDX-License-Identifier: Apache-2.0
//
// tables.cc - see the header.
#include "engine/tables.h"

#include <algorithm>

#include "datapath/lookup/choose.h"
#include "engine/hash_table.h"
#include "engine/table_check.h"
#include "engine/table_entries.h"

namespace shunt
{

// By the hashes that the packet program looks them up by; the seeds in tables_.control are set.
Status TableBlock::build_hash_tables(const TableSpec &spec)
{
	struct sh_control &control = tables_.control;

	services_ = build_hash_table<sh_service>(
		service_entries(spec),
		[&](const sh_service &s) {
			return sh_hash_service(sh_hash_own(&control, &s.address), s.port, s.protocol);
		},
		[](const sh_service &s) { return s.id != 0; });
	rules_ = build_hash_table<sh_rule>(
		rule_entries(spec),
		[&](const sh_rule &r) { return sh_hash_rule(&control, r.service, r.length, &r.prefix); },
		[](const sh_rule &r) { return r.service != 0; });
	own_ = build_hash_table<sh_own>(
		own_entries(spec), [&](const sh_own &o) { return (u32)sh_hash_own(&control, &o.address); },
		[](const sh_own &o) { return o.kind != 0; });
	if (services_.empty() || rules_.empty() || own_.empty())
		return Status::error("a hash table of services, rules or addresses would need more than 2^28 slots; "
		                     "change the cluster's seed");
	control.service_mask = (u32)services_.size() - 1;
	control.rule_mask = (u32)rules_.size() - 1;
	control.own_mask = (u32)own_.size() - 1;
	return Status();
}

void TableBlock::build_arrays(const TableSpec &spec)
{
	struct sh_control &control = tables_.control;

	for (const TableSpec::Redirection &redirection : spec.redirections) {
		sh_redirection entry = redirection_record(redirection);

		entry.first_row = (u32)rows_.size();
		entry.rows = (u32)redirection.rows.size();
		rows_.insert(rows_.end(), redirection.rows.begin(), redirection.rows.end());
		redirections_.push_back(entry);
	}
	control.redirections = (u32)redirections_.size();
	control.rows = (u32)rows_.size();

	targets_.assign(1, sh_target{});
	for (const TableSpec::Target &target : spec.targets) {
		if (target.id >= targets_.size())
			targets_.resize(target.id + 1u, sh_target{});
		targets_[target.id] = target_record(target);
		if (target.ifindex && std::find(links_.begin(), links_.end(), target.ifindex) == links_.end())
			links_.push_back(target.ifindex);
	}
	control.targets = (u32)targets_.size();

	keys_.assign(SH_KEYS, sh_key{});
	for (const TableSpec::Key &key : spec.keys) {
		keys_[key.id] = key_record(key);
		keys_[key.id].valid = 1;
	}
	control.sign = keys_[spec.sign_key];
}

Result<std::unique_ptr<TableBlock>> TableBlock::build(const TableSpec &spec, const SessionGeometry &geometry)
{
	if (Status status = check_tables(spec); !status.ok())
		return status;

	std::unique_ptr<TableBlock> block(new TableBlock);
	sh_tables &tables = block->tables_;

	tables.control = control_entry(spec);
	tables.control.bucket4_mask = geometry.buckets4 - 1;
	tables.control.bucket6_mask = geometry.buckets6 - 1;
	tables.control.fragment_mask = geometry.fragments - 1;
	if (Status status = block->build_hash_tables(spec); !status.ok())
		return status;
	block->build_arrays(spec);
	block->aging_ = service_aging(spec);

	tables.services = block->services_.data();
	tables.rules = block->rules_.data();
	tables.redirections = block->redirections_.data();
	tables.rows = block->rows_.data();
	tables.targets = block->targets_.data();
	tables.own = block->own_.data();
	tables.keys = block->keys_.data();
	return Result<std::unique_ptr<TableBlock>>(std::move(block));
}

} // namespace shunt
