// SPDX-License-Identifier: Apache-2.0
//
// table.cc - one round of our session table, or of a std::unordered_map, with so many sessions; prints one line of JSON.
// Usage: table shunt4|shunt6|unordered_map SESSIONS [full]
//
// Both find before they insert, as a packet does; both have their room before the first session comes; both are asked in
// an order without pattern. The map's values have the same eight bytes, its hash is ours.
//
// Owns: one table at a time, in this process. Must never: time a page's first touch.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <memory>
#include <string>
#include <unordered_map>

#include "datapath/session/insert.h"
#include "engine/sessions.h"

using namespace shunt;

namespace
{

constexpr u32 NOW = 1000;
constexpr u64 LOOKS = 2000000;
constexpr u64 SLICE = 4096; // buckets

u64 now_ns()
{
	return (u64)std::chrono::steady_clock::now().time_since_epoch().count();
}

struct Figures {
	u64 bytes = 0;
	u64 evicted = 0;       // by the insertions
	u64 full_sessions = 0; // that went in before the first was evicted; 0: not looked for
	u64 missing = 0;       // look-ups that found nothing
	double insert = 0, hit = 0, first_sweep = 0, sweep = 0;
	u64 counted = 0;
};

// The i-th look-up's session, the same for all subjects.
u64 some(u64 i, u64 sessions)
{
	return sh_mix(i + 0x9e3779b97f4a7c15ULL) % sessions;
}

TableSpec spec()
{
	TableSpec spec;
	TableSpec::Target target = {};

	target.id = 1;
	target.address = target.source = sh_addr_v4(sh_htonl(0x0a4d0301));
	target.resolved = true;
	target.port = 53;
	target.family = SH_IPV4;
	target.state = SH_ACTIVE;
	target.mtu = 1500;
	target.ifindex = 1;
	spec.epoch = 1;
	spec.roles = SH_ROLE_GATEWAY;
	spec.seed[0] = 0x1234, spec.seed[1] = 0x5678;
	spec.sign_key = 1;
	spec.keys.push_back({1, {11, 12}});
	spec.services.push_back({.id = 1,
	                         .address = sh_addr_v4(sh_htonl(0xcb007135)),
	                         .port = 53,
	                         .protocol = SH_UDP,
	                         .family = SH_IPV4,
	                         .idle_ms = 30000});
	spec.redirections.push_back({{1}, SH_SPREAD_BY_FLOW});
	spec.targets.push_back(target);
	return spec;
}

class Ours
{
public:
	Ours(u64 sessions, u8 family) : family_(family)
	{
		std::string problem;
		bool made =
			sessions_.allocate(family == SH_IPV4 ? sessions : 1, family == SH_IPV6 ? sessions : 1, 1, true);

		if (made) {
			auto built = TableBlock::build(spec(), sessions_.geometry());

			if (built.ok())
				block_ = built.take();
			else
				problem = built.status().message();
		}
		if (!block_) {
			fprintf(stderr, "no table of %llu sessions: %s\n", sessions, problem.c_str());
			exit(1);
		}
		env_.tables = block_->tables();
		env_.bucket4 = sessions_.bucket4();
		env_.bucket6 = sessions_.bucket6();
		env_.fragments = sessions_.fragments();
		env_.scratch = scratch_;
	}

	u64 bytes() const
	{
		const SessionGeometry &g = sessions_.geometry();

		return 64 * (u64)(family_ == SH_IPV4 ? g.buckets4 : g.buckets6);
	}

	bool insert(u64 i)
	{
		struct sh_session_key key = key_of(i);
		union sh_session_value value = {}, seen;

		if (sh_session_find(&env_, &key, &seen))
			return true;
		value.last = NOW;
		value.target = 1;
		return sh_session_insert(&env_, &key, value.word) == SH_INSERTED;
	}

	bool hit(u64 i, u32 tick)
	{
		struct sh_session_key key = key_of(i);
		union sh_session_value seen;
		struct sh_session4 *slot = sh_session_find(&env_, &key, &seen);

		return slot && seen.target && sh_session_touch(slot, seen, tick);
	}

	u64 sweep_all(u32 tick)
	{
		u64 from = 0, live = 0;

		do {
			SweepResult part = sweep(sessions_, from, SLICE, tick, *block_, &counts_);

			live += part.live;
			from = part.next;
		} while (from);
		return live;
	}

private:
	struct sh_session_key key_of(u64 i) const
	{
		struct sh_session_key key;
		sh_flow flow = {};

		flow.family = family_;
		flow.source = sh_addr_v4(sh_htonl(0x0a000000 + (u32)(i >> 14)));
		if (family_ == SH_IPV6)
			flow.source.w[0] = sh_htonl(0x20010db8);
		flow.source_port = sh_htons((u16)(1024 + (i & 0x3fff)));
		::sh_session_key(sh_control(&env_), &flow, 1, &key);
		return key;
	}

	u8 family_;
	Sessions sessions_;
	std::unique_ptr<TableBlock> block_;
	SessionCounts counts_;
	sh_env env_ = {};
	alignas(64) u64 scratch_[SH_SCRATCH_BYTES / sizeof(u64)] = {};
};

u64 allocated; // by the map, with malloc's own words

template <typename T> struct Counted {
	using value_type = T;
	Counted() = default;
	template <typename U> Counted(const Counted<U> &) {}
	T *allocate(size_t n)
	{
		void *p = malloc(n * sizeof(T));

		if (!p)
			abort();
		allocated += malloc_usable_size(p) + sizeof(size_t);
		return static_cast<T *>(p);
	}
	void deallocate(T *p, size_t)
	{
		allocated -= malloc_usable_size(p) + sizeof(size_t);
		free(p);
	}
	bool operator==(const Counted &) const { return true; }
};

struct Mixed {
	size_t operator()(u64 claim) const { return sh_mix(claim ^ 0x1234); }
};

class Map
{
public:
	explicit Map(u64 sessions) { map_.reserve(sessions); }
	u64 bytes() const { return allocated; }
	bool insert(u64 i)
	{
		union sh_session_value value = {};
		u64 key = key_of(i);

		if (map_.find(key) != map_.end())
			return true;
		value.last = NOW;
		value.target = 1;
		return map_.emplace(key, value).second;
	}
	bool hit(u64 i, u32 tick)
	{
		auto found = map_.find(key_of(i));

		if (found == map_.end())
			return false;
		found->second.last = tick;
		return true;
	}
	u64 sweep_all(u32 tick)
	{
		u64 live = 0;

		for (auto at = map_.begin(); at != map_.end();) {
			if (sh_session_age(tick, at->second.last) > 100000) {
				at = map_.erase(at);
				continue;
			}
			live++;
			counts_.services[at->first & 0xffff]++;
			counts_.targets[at->second.target]++;
			++at;
		}
		return live;
	}

private:
	static u64 key_of(u64 i) { return (u64)(0x0a000000 + (u32)(i >> 14)) << 32 | (1024 + (i & 0x3fff)) << 16 | 1; }

	using Room = Counted<std::pair<const u64, sh_session_value>>;
	std::unordered_map<u64, sh_session_value, Mixed, std::equal_to<u64>, Room> map_;
	SessionCounts counts_;
};

template <typename Table> Figures measure(Table *table, u64 sessions, bool fill)
{
	Figures f;
	u64 began = now_ns();

	for (u64 i = 0; i < sessions; i++)
		if (!table->insert(i) && f.evicted++ == 0)
			f.full_sessions = i;
	f.insert = (double)(now_ns() - began) / (double)sessions;
	f.bytes = table->bytes();
	began = now_ns();
	f.counted = table->sweep_all(NOW + 1); // records are fresh, and looked at for twins
	f.first_sweep = (double)(now_ns() - began) / (double)sessions;
	for (u32 tick = NOW; tick < NOW + 2; tick++) { // the first time proves them, the second is timed
		began = now_ns();
		for (u64 i = 0; i < LOOKS; i++)
			f.missing += !table->hit(some(i, sessions), tick);
		f.hit = (double)(now_ns() - began) / (double)LOOKS;
	}
	u64 times = 1 + 2000000 / sessions;
	began = now_ns();
	for (u64 i = 0; i < times; i++)
		table->sweep_all(NOW + 2);
	f.sweep = (double)(now_ns() - began) / (double)(times * sessions);
	if (fill && f.evicted == 0)
		for (f.full_sessions = sessions; table->insert(f.full_sessions); f.full_sessions++)
			;
	return f;
}

} // namespace

int main(int argc, char **argv)
{
	std::string subject = argc > 2 ? argv[1] : "";
	u64 sessions = argc > 2 ? strtoull(argv[2], nullptr, 10) : 0;
	bool fill = argc > 3 && strcmp(argv[3], "full") == 0;
	Figures f;

	if (sessions == 0 || sessions > 100000000) {
		fprintf(stderr, "usage: table shunt4|shunt6|unordered_map SESSIONS [full]\n");
		return 2;
	}
	if (subject == "unordered_map") {
		Map map(sessions);

		f = measure(&map, sessions, false); // it has no end
	} else {
		Ours ours(sessions, subject == "shunt6" ? SH_IPV6 : SH_IPV4);

		f = measure(&ours, sessions, fill);
	}
	printf("{\"bytes\":%llu,\"insertNs\":%.2f,\"hitNs\":%.2f,\"firstSweepNs\":%.2f,\"sweepNs\":%.3f,\"counted\":%"
	       "llu,"
	       "\"evicted\":%llu,\"missing\":%llu,\"fullSessions\":%llu}\n",
	       f.bytes, f.insert, f.hit, f.first_sweep, f.sweep, f.counted, f.evicted, f.missing, f.full_sessions);
	return 0;
}
