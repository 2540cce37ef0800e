// SPDX-License-Identifier: Apache-2.0
//
// object.h - a BPF object: loaded with its maps, some of them shared with an earlier one.
//
// Owns: one bpf_object, the sizes of its maps, and the mappings through which the control plane reads and writes them.
// Lifetime: open, resize(), share(), load(), map(); the kernel's copies live on while a link or a pin holds them.
// Must never: know what a table means (table_maps.h), or where a program is attached (attachment.h).
#ifndef SHUNT_KERNEL_OBJECT_H
#define SHUNT_KERNEL_OBJECT_H

#include <memory>
#include <string>

#include "datapath/types.h"
#include "engine/mapping.h"
#include "linux/status.h"

struct bpf_object;
struct bpf_map;
struct bpf_link;

namespace shunt
{

struct DestroyLink {
	void operator()(bpf_link *link) const;
};
using BpfLink = std::unique_ptr<bpf_link, DestroyLink>;

class Object
{
public:
	// The packet program that this addon carries; or, for measurements and upgrades, the one in `file`.
	static Result<std::unique_ptr<Object>> open(const std::string &file);
	// A program that the addon carries, by its bytes.
	static Result<std::unique_ptr<Object>> open(const void *bytes, size_t size, const char *name);
	~Object();
	Object(const Object &) = delete;

	// Before load(): the number of a map's entries; or the map itself, by a descriptor that stays the caller's.
	Status resize(const char *map, u64 entries);
	Status share(const char *map, int fd);
	// Before load(): the content of a map of one constant.
	Status set(const char *map, const void *value, size_t bytes);
	// Before load(): leaves a program out.
	void exclude(const char *program);
	// Before load(): attaches a program to `function` of another one, before or after it, as its section says.
	Status set_attach_target(const char *program, int target_fd, const char *function);
	// Runs the verifier: a quarter of a second.
	Status load();

	// After load(). -1: there is no such map or program.
	int map_fd(const char *map) const;
	int program_fd(const char *program) const;
	// Attaches a program as its section says.
	Result<BpfLink> attach(const char *program);
	u32 program_id(const char *program) const;
	// Every map but those of variables as it was created: each entry 0.
	Status clear_maps();
	// The whole memory of a map, as the packet program sees it.
	Result<Mapping> map(const char *map) const;

private:
	Object(std::string what, bpf_object *object) : what_(std::move(what)), object_(object) {}
	Status no_map(const char *map) const;

	std::string what_; // in messages
	bpf_object *object_;
};

// Bytes of a mappable array map's memory, by its descriptor; 0 if the kernel does not tell.
size_t map_bytes(int fd, u32 *entries = nullptr, u32 *value_bytes = nullptr);

} // namespace shunt

#endif
