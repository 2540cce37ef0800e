// SPDX-License-Identifier: Apache-2.0
//
// object.h - the kernel's packet program: loaded with the maps it wants, some of them shared with an earlier one.
//
// Owns: one bpf_object, the sizes of its maps, and the mappings through which the control side reads and writes them.
// Lifetime: make, share(), size(), load(), map(); the kernel's copies live on while a link or a pin holds them.
// Must never: know what a table means (table_maps.h), or where a program is attached (attachment.h).
#ifndef SHUNT_KERNEL_OBJECT_H
#define SHUNT_KERNEL_OBJECT_H

#include <memory>
#include <string>

#include "datapath/types.h"
#include "engine/mapping.h"

struct bpf_object;
struct bpf_map;
struct bpf_link;

namespace shunt
{

// errno's words behind a sentence.
std::string kernel_problem(const std::string &what, int error);

class Object
{
public:
	// The program that this addon carries; or, for measurements and upgrades, the one in `file`. NULL and one sentence.
	static std::unique_ptr<Object> open(const std::string &file, std::string *problem);
	// A program that the addon carries, by its bytes.
	static std::unique_ptr<Object> open(const void *bytes, size_t size, const char *name, std::string *problem);
	~Object();
	Object(const Object &) = delete;

	// Before load(): this map has so many entries; or it is the one behind the descriptor, which stays the caller's.
	bool size(const char *map, u64 entries, std::string *problem);
	bool share(const char *map, int fd, std::string *problem);
	// Before load(): what a map of one constant holds.
	bool set(const char *map, const void *value, size_t bytes, std::string *problem);
	// Before load(): this program is not wanted.
	void leave_out(const char *program);
	// Before load(): this program shall run before or after `function` of another one, as its section says.
	bool aim(const char *program, int at_fd, const char *function, std::string *problem);
	// The verifier reads the program now: a quarter of a second.
	bool load(std::string *problem);

	// After load(). -1: there is no such map or program.
	int map_fd(const char *map) const;
	int program_fd(const char *program) const;
	// Attaches a program where its section says. The link is the caller's to destroy; NULL and one sentence.
	bpf_link *attach(const char *program, std::string *problem);
	u32 program_id(const char *program) const;
	// The whole memory of a map, as the packet program sees it.
	bool map(const char *map, Mapping *mapping, std::string *problem) const;

private:
	explicit Object(std::string what) : what_(std::move(what)) {}
	bpf_map *find(const char *map, std::string *problem) const;

	std::string what_; // in sentences
	bpf_object *object_ = nullptr;
};

// Bytes of a mappable array map's memory, by its descriptor; 0 when it can't be asked.
size_t map_bytes(int fd, u32 *entries = nullptr, u32 *value_bytes = nullptr);

} // namespace shunt

#endif
