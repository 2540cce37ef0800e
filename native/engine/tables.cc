// SPDX-License-Identifier: Apache-2.0
//
// tables.cc - builds the tables with the same hashes that the packet program looks them up by.
#include "engine/tables.h"

#include <algorithm>
#include <functional>
#include <tuple>

#include "datapath/lookup/choose.h"

namespace shunt
{

// Places `count` entries in a table of powers of two, none further than SH_PROBES from home; grows until all fit. Two
// thirds full at most, so that a look-up of what is not there ends soon. Returns no slots when it never fits: equal
// keys more often than there are probes, which the caller has ruled out.
template <typename Slot>
static std::vector<Slot> place(const std::vector<Slot> &entries, const std::function<u32(const Slot &)> &hash,
                               const std::function<bool(const Slot &)> &taken)
{
	size_t slots = 4;

	while (slots * 2 < entries.size() * 3)
		slots *= 2;
	for (; slots <= (1u << 28); slots *= 2) {
		std::vector<Slot> table(slots, Slot{});
		bool all = true;

		for (const Slot &entry : entries) {
			u32 home = hash(entry);
			u32 k = 0;

			while (k < SH_PROBES && taken(table[(home + k) & (slots - 1)]))
				k++;
			if (k == SH_PROBES) {
				all = false;
				break;
			}
			table[(home + k) & (slots - 1)] = entry;
		}
		if (all)
			return table;
	}
	return {};
}

static std::string at(const char *list, size_t i, const char *what)
{
	return std::string(list) + "[" + std::to_string(i) + "] " + what;
}

static std::string check_services(const TableSpec &spec)
{
	std::vector<bool> seen(65536);

	for (size_t i = 0; i < spec.services.size(); i++) {
		const TableSpec::Service &s = spec.services[i];

		if (s.id == 0)
			return at("services", i, "has id 0, which means an empty slot");
		if (seen[s.id])
			return at("services", i, "has an id that another service has");
		seen[s.id] = true;
		if (s.protocol != SH_UDP && s.protocol != SH_TCP)
			return at("services", i, "has a protocol that is neither 6 nor 17");
		if (s.family != SH_IPV4 && s.family != SH_IPV6)
			return at("services", i, "has a family that is neither 4 nor 6");
		if (s.redirection >= spec.redirections.size())
			return at("services", i, "names a redirection that is not there");
		for (size_t j = 0; j < i; j++)
			if (spec.services[j].port == s.port && spec.services[j].protocol == s.protocol &&
			    sh_addr_equal(&spec.services[j].address, &s.address))
				return at("services", i, "has the address, port and protocol of another service");
	}
	for (size_t i = 0; i < spec.direct.size(); i++) {
		const TableSpec::Direct &d = spec.direct[i];

		if (!seen[d.service])
			return at("direct", i, "names a service that is not there");
		if (d.family != SH_IPV4 && d.family != SH_IPV6)
			return at("direct", i, "has a family that is neither 4 nor 6");
	}
	for (size_t i = 0; i < spec.rules.size(); i++) {
		if (!seen[spec.rules[i].service])
			return at("rules", i, "names a service that is not there");
		if (spec.rules[i].length > 128)
			return at("rules", i, "has a prefix longer than 128");
		if (spec.rules[i].redirection >= spec.redirections.size())
			return at("rules", i, "names a redirection that is not there");
	}
	return "";
}

static std::string check_targets(const TableSpec &spec)
{
	std::vector<bool> seen(65536);

	for (size_t i = 0; i < spec.targets.size(); i++) {
		const TableSpec::Target &t = spec.targets[i];

		if (t.id == 0 || t.id == SH_TARGET_LOCAL)
			return at("targets", i, "has a reserved id");
		if (seen[t.id])
			return at("targets", i, "has an id that another target has");
		seen[t.id] = true;
		if (t.family != SH_IPV4 && t.family != SH_IPV6)
			return at("targets", i, "has a family that is neither 4 nor 6");
		if (t.state > SH_DRAINING)
			return at("targets", i, "has an unknown state");
		if (t.answer > SH_ANSWER_RETURN)
			return at("targets", i, "has an unknown answer");
	}
	for (size_t i = 0; i < spec.redirections.size(); i++) {
		if (spec.redirections[i].choice > SH_CHOOSE_LESS_LOADED)
			return at("redirections", i, "has an unknown choice");
		for (u16 row : spec.redirections[i].rows)
			if (!seen[row])
				return at("redirections", i, "has a row that names a target that is not there");
	}
	if (spec.redirections.size() > 65536)
		return "redirections are more than 65536";
	return "";
}

// The tick is a little longer than a millisecond. Half the clock's range at most, or ages would wrap.
static u32 ticks_of(u32 ms)
{
	return static_cast<u32>(std::min<u64>((u64)ms * 1000000 >> SH_TICK_SHIFT, 0x7fffffff));
}

// Units of 1,024 ns between two of so many a second.
static u32 limit_period(u32 per_s)
{
	return per_s ? std::max(1000000000u / 1024 / per_s, 1u) : 0;
}

static sh_service service_entry(const TableSpec::Service &s)
{
	sh_service entry = {};

	entry.address = s.address;
	entry.port = sh_htons(s.port);
	entry.protocol = s.protocol;
	entry.family = s.family;
	entry.id = s.id;
	entry.redirection = s.redirection;
	entry.idle_ticks = ticks_of(s.idle_ms);
	entry.flags = s.invited_only ? SH_SERVICE_INVITED_ONLY : 0;
	entry.idle_sent_ticks = s.idle_sent_ms ? std::max(ticks_of(s.idle_sent_ms), 1u) : 0;
	return entry;
}

// What the backend sends, and the lease that a client is given, may each set a session's time ahead.
static Aging aging_of(const sh_service &service, bool counts_sources, u16 lease_s)
{
	Aging aging = {std::max(service.idle_ticks, 1u), 0, counts_sources};
	u32 longest = std::max(service.idle_sent_ticks, ticks_of(lease_s * 1000u));

	if (longest > service.idle_ticks)
		aging.ahead = longest - service.idle_ticks;
	return aging;
}

// By service id: the longest lease that a client of it may be given.
static std::vector<u16> longest_leases(const TableSpec &spec)
{
	std::vector<u16> of_target(65536), of_redirection, of_service(65536);

	for (const TableSpec::Target &target : spec.targets)
		of_target[target.id] = target.header_flags & SH_F_LEASED ? target.lease_s : 0;
	for (const TableSpec::Redirection &redirection : spec.redirections) {
		u16 longest = 0;

		for (u16 row : redirection.rows)
			longest = std::max(longest, of_target[row]);
		of_redirection.push_back(longest);
	}
	for (const TableSpec::Service &service : spec.services)
		of_service[service.id] = of_redirection[service.redirection];
	for (const TableSpec::Rule &rule : spec.rules)
		of_service[rule.service] = std::max(of_service[rule.service], of_redirection[rule.redirection]);
	return of_service;
}

// The services' own slots, and those of a backend's own addresses, which name the same services. Of two services that
// listen at one place the first has it: a packet does not say which of them its sender meant.
static std::vector<sh_service> service_slots(const TableSpec &spec)
{
	std::vector<sh_service> slots;
	auto taken = [&](const sh_service &slot) {
		return std::any_of(slots.begin(), slots.end(), [&](const sh_service &other) {
			return other.port == slot.port && other.protocol == slot.protocol &&
			       sh_addr_equal(&other.address, &slot.address);
		});
	};

	for (const TableSpec::Service &service : spec.services)
		slots.push_back(service_entry(service));
	for (const TableSpec::Direct &direct : spec.direct) {
		auto is_it = [&](const TableSpec::Service &service) { return service.id == direct.service; };
		sh_service slot = service_entry(*std::find_if(spec.services.begin(), spec.services.end(), is_it));

		slot.address = direct.address;
		slot.port = sh_htons(direct.port);
		slot.family = direct.family;
		if (!taken(slot))
			slots.push_back(slot);
	}
	return slots;
}

static sh_target target_entry(const TableSpec::Target &t)
{
	sh_target entry = {};

	entry.address = t.address;
	entry.source = t.source;
	std::copy(t.next_hop, t.next_hop + 6, entry.next_hop);
	std::copy(t.own_mac, t.own_mac + 6, entry.own_mac);
	entry.port = sh_htons(t.port);
	entry.family = t.family;
	entry.epoch = t.epoch;
	entry.state = t.state;
	entry.flags = t.resolved ? SH_TARGET_RESOLVED : 0;
	entry.mtu = t.mtu;
	entry.ifindex = t.ifindex;
	entry.alternative = t.alternative;
	entry.lease_s = t.lease_s;
	entry.header_flags = t.header_flags;
	entry.load = t.load;
	entry.answer = t.answer;
	return entry;
}

// The list of a service's prefix lengths, longest first.
static std::string add_prefix_lengths(std::vector<sh_service> &services, const std::vector<TableSpec::Rule> &rules)
{
	std::vector<sh_service *> by_id(65536, nullptr);

	for (sh_service &service : services)
		if (!by_id[service.id]) // the service's own slot comes before those of a backend's addresses
			by_id[service.id] = &service;
	for (size_t i = 0; i < rules.size(); i++) {
		sh_service &s = *by_id[rules[i].service];
		u8 *end = s.prefix_lengths + s.prefix_count;

		if (std::find(s.prefix_lengths, end, rules[i].length) != end)
			continue;
		if (s.prefix_count == SH_PREFIX_LENGTHS)
			return at("rules", i, "brings its service to more than 16 different prefix lengths");
		s.prefix_lengths[s.prefix_count++] = rules[i].length;
		std::sort(s.prefix_lengths, s.prefix_lengths + s.prefix_count, std::greater<u8>());
	}
	return "";
}

static std::vector<sh_rule> rule_entries(const std::vector<TableSpec::Rule> &rules, std::string *problem)
{
	std::vector<sh_rule> entries;

	for (const TableSpec::Rule &r : rules) {
		sh_rule entry = {};

		entry.prefix = sh_addr_prefix(&r.prefix, r.length);
		entry.service = r.service;
		entry.redirection = r.redirection;
		entry.length = r.length;
		entries.push_back(entry);
	}
	// Equal keys would crowd a slot's neighbours; the first would win in silence.
	std::vector<const sh_rule *> sorted;
	for (const sh_rule &entry : entries)
		sorted.push_back(&entry);
	auto key = [](const sh_rule *r) { return std::tie(r->service, r->length, r->prefix.d[0], r->prefix.d[1]); };
	std::sort(sorted.begin(), sorted.end(), [&](auto *a, auto *b) { return key(a) < key(b); });
	for (size_t i = 1; i < sorted.size(); i++)
		if (key(sorted[i - 1]) == key(sorted[i]))
			*problem = at("rules", (size_t)(std::max(sorted[i], sorted[i - 1]) - entries.data()),
			              "has the service and prefix of another rule");
	return entries;
}

static std::vector<sh_own> own_entries(const TableSpec &spec)
{
	std::vector<sh_own> entries;
	auto add = [&](const sh_addr &address, u32 kind) {
		for (sh_own &own : entries)
			if (sh_addr_equal(&own.address, &address)) {
				own.kind |= kind;
				return;
			}
		entries.push_back(sh_own{address, kind, {}});
	};

	for (const TableSpec::Service &service : spec.services)
		add(service.address, SH_OWN_SERVICE);
	for (const sh_addr &address : spec.own)
		add(address, SH_OWN_HOST);
	return entries;
}

std::unique_ptr<TableBlock> TableBlock::build(const TableSpec &spec, const SessionGeometry &geometry,
                                              std::string *problem)
{
	*problem = check_services(spec);
	if (problem->empty())
		*problem = check_targets(spec);
	if (!problem->empty())
		return nullptr;

	std::unique_ptr<TableBlock> block(new TableBlock);
	struct sh_control &control = block->tables_.control;

	control.seed[0] = spec.seed[0];
	control.seed[1] = spec.seed[1];
	control.seed_ipv4 = sh_mix(spec.seed[0]);
	control.wall_offset_ns = spec.wall_offset_ns;
	control.epoch = spec.epoch;
	control.roles = spec.roles;
	control.bucket4_mask = geometry.buckets4 - 1;
	control.bucket6_mask = geometry.buckets6 - 1;
	control.fragment_mask = geometry.fragments - 1;
	control.window_s = spec.window_s;
	control.tunnel_port = sh_htons(spec.tunnel_port);
	control.sign_key = spec.sign_key;
	control.max_hops = spec.max_hops;
	control.own_state = spec.own_state;
	control.control_port = sh_htons(spec.control_port);
	control.limit_period = limit_period(spec.limit_source);
	control.limit_tolerance = control.limit_period * (std::max(spec.limit_burst, 1u) - 1);
	control.limit_all_period = limit_period(spec.limit_all);
	control.limit_all_tolerance = 100000; // a tenth of a second's worth at once

	std::vector<sh_service> services = service_slots(spec);
	block->aging_.assign(65536, Aging{});
	std::vector<u16> leases = longest_leases(spec);
	for (const TableSpec::Service &service : spec.services)
		block->aging_[service.id] =
			aging_of(service_entry(service), service.counts_sources, leases[service.id]);
	*problem = add_prefix_lengths(services, spec.rules);
	if (!problem->empty())
		return nullptr;
	block->services_ = place<sh_service>(
		services,
		[&](const sh_service &s) {
			return sh_hash_service(sh_hash_own(&control, &s.address), s.port, s.protocol);
		},
		[](const sh_service &s) { return s.id != 0; });
	control.service_mask = (u32)block->services_.size() - 1;

	std::vector<sh_rule> rules = rule_entries(spec.rules, problem);
	if (!problem->empty())
		return nullptr;
	block->rules_ = place<sh_rule>(
		rules, [&](const sh_rule &r) { return sh_hash_rule(&control, r.service, r.length, &r.prefix); },
		[](const sh_rule &r) { return r.service != 0; });
	control.rule_mask = (u32)block->rules_.size() - 1;

	block->own_ = place<sh_own>(
		own_entries(spec), [&](const sh_own &o) { return (u32)sh_hash_own(&control, &o.address); },
		[](const sh_own &o) { return o.kind != 0; });
	control.own_mask = (u32)block->own_.size() - 1;
	if (block->services_.empty() || block->rules_.empty() || block->own_.empty()) {
		*problem = "the tables do not fit: choose another seed";
		return nullptr;
	}

	for (const TableSpec::Redirection &redirection : spec.redirections) {
		sh_redirection entry = {};

		entry.first_row = (u32)block->rows_.size();
		entry.rows = (u32)redirection.rows.size();
		entry.spread = redirection.spread;
		entry.choice = redirection.choice;
		block->rows_.insert(block->rows_.end(), redirection.rows.begin(), redirection.rows.end());
		block->redirections_.push_back(entry);
	}
	control.redirections = (u32)block->redirections_.size();
	control.rows = (u32)block->rows_.size();

	block->targets_.assign(1, sh_target{});
	for (const TableSpec::Target &target : spec.targets) {
		if (target.id >= block->targets_.size())
			block->targets_.resize(target.id + 1u, sh_target{});
		block->targets_[target.id] = target_entry(target);
		if (target.ifindex &&
		    std::find(block->links_.begin(), block->links_.end(), target.ifindex) == block->links_.end())
			block->links_.push_back(target.ifindex);
	}
	control.targets = (u32)block->targets_.size();

	block->keys_.assign(SH_KEYS, sh_key{});
	for (const TableSpec::Key &key : spec.keys)
		block->keys_[key.id] = sh_key{{key.k[0], key.k[1]}, 1, 0};

	control.sign = block->keys_[spec.sign_key];

	block->tables_.services = block->services_.data();
	block->tables_.rules = block->rules_.data();
	block->tables_.redirections = block->redirections_.data();
	block->tables_.rows = block->rows_.data();
	block->tables_.targets = block->targets_.data();
	block->tables_.own = block->own_.data();
	block->tables_.keys = block->keys_.data();
	return block;
}

} // namespace shunt
