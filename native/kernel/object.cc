// SPDX-License-Identifier: Apache-2.0
//
// object.cc - see the header.
#include "kernel/object.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>
#include <vector>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel/bpf/state.h"
#include "kernel/libbpf_warnings.h"
#include <shunt.skel.h> // made by kernel/bpf/build

namespace shunt
{

namespace
{

void begin_warnings()
{
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	begin_libbpf_warnings();
}

// The verifier's message is the line before its count of instructions; elsewhere the first line says the most.
std::string main_warning()
{
	const std::string &warnings = libbpf_warnings();
	size_t end = warnings.find("\nprocessed ");

	if (end == std::string::npos)
		return warnings.substr(0, warnings.find('\n'));
	size_t begin = warnings.rfind('\n', end - 1);
	return warnings.substr(begin + 1, end - begin - 1);
}

// The same failure, with libbpf's words behind it.
Status with_warning(const std::string &step, int error)
{
	Status status = Status::system(step, error);

	return libbpf_warnings().empty() ? status
	                                 : Status::error(status.message() + " (libbpf: " + main_warning() + ")");
}

std::string map_named(const char *map)
{
	return std::string("the BPF map ") + map;
}

} // namespace

void DestroyLink::operator()(bpf_link *link) const
{
	bpf_link__destroy(link);
}

Result<std::unique_ptr<Object>> Object::open(const void *bytes, size_t size, const char *name)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name);
	std::string what = name == std::string("shunt") ? "the packet program" : std::string("the BPF program ") + name;

	begin_warnings();
	bpf_object *object = bpf_object__open_mem(bytes, size, &options);
	if (!object)
		return Status::system(what + " cannot be read", errno);
	return std::unique_ptr<Object>(new Object(what, object));
}

Result<std::unique_ptr<Object>> Object::open(const std::string &file)
{
	if (file.empty()) {
		size_t size;
		const void *bytes = shunt_bpf::elf_bytes(&size);

		return open(bytes, size, "shunt");
	}
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "shunt");

	begin_warnings();
	bpf_object *object = bpf_object__open_file(file.c_str(), &options);
	if (!object)
		return Status::system(file + " cannot be read as a BPF object", errno);
	return std::unique_ptr<Object>(new Object("the packet program", object));
}

Object::~Object()
{
	bpf_object__close(object_);
}

Status Object::no_map(const char *map) const
{
	return Status::error(what_ + " has no map " + map);
}

Status Object::resize(const char *map, u64 entries)
{
	bpf_map *found = bpf_object__find_map_by_name(object_, map);

	if (!found)
		return no_map(map);
	int failed = entries > 0xffffffff ? -E2BIG : bpf_map__set_max_entries(found, (u32)entries);
	if (failed)
		return Status::system(map_named(map) + " cannot have " + std::to_string(entries) + " entries", failed);
	return {};
}

Status Object::share(const char *map, int fd)
{
	bpf_map *found = bpf_object__find_map_by_name(object_, map);

	if (!found)
		return no_map(map);
	if (int failed = bpf_map__reuse_fd(found, fd); failed)
		return Status::system(map_named(map) + " cannot be shared", failed);
	return {};
}

Status Object::set(const char *map, const void *value, size_t bytes)
{
	bpf_map *found = bpf_object__find_map_by_name(object_, map);

	if (!found)
		return no_map(map);
	if (int failed = bpf_map__set_initial_value(found, value, bytes); failed)
		return Status::system(map_named(map) + " cannot be set", failed);
	return {};
}

Status Object::set_attach_target(const char *program, int target_fd, const char *function)
{
	bpf_program *found = bpf_object__find_program_by_name(object_, program);

	begin_libbpf_warnings();
	int failed = found ? bpf_program__set_attach_target(found, target_fd, function) : -ENOENT;
	if (failed)
		return with_warning(what_ + " cannot be attached to " + function, failed);
	return {};
}

void Object::exclude(const char *program)
{
	bpf_program *found = bpf_object__find_program_by_name(object_, program);

	if (found) // an older file may not have it
		bpf_program__set_autoload(found, false);
}

Status Object::load()
{
	begin_libbpf_warnings();
	int failed = bpf_object__load(object_);
	if (!failed)
		return {};
	if (failed == -EPERM)
		return Status::error("the kernel refuses to load BPF programs; CAP_BPF and CAP_NET_ADMIN are needed");
	if (failed == -ENOMEM)
		return Status::error("the kernel has not enough memory for the BPF maps");
	return with_warning("the kernel refused " + what_, failed);
}

int Object::map_fd(const char *map) const
{
	bpf_map *found = bpf_object__find_map_by_name(object_, map);

	return found ? bpf_map__fd(found) : -1;
}

int Object::program_fd(const char *program) const
{
	bpf_program *found = bpf_object__find_program_by_name(object_, program);

	return found ? bpf_program__fd(found) : -1;
}

Result<BpfLink> Object::attach(const char *program)
{
	bpf_program *found = bpf_object__find_program_by_name(object_, program);
	bpf_link *link = found ? bpf_program__attach(found) : nullptr;

	if (!link)
		return Status::system(std::string("the BPF program ") + program + " cannot be attached", errno);
	return BpfLink(link);
}

u32 Object::program_id(const char *program) const
{
	struct bpf_prog_info info = {};
	u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(program_fd(program), &info, &length) ? 0 : info.id;
}

Result<Mapping> Object::map(const char *map) const
{
	int fd = map_fd(map);
	size_t bytes = map_bytes(fd);
	Mapping mapping;

	if (!bytes || !mapping.map(fd, bytes))
		return Status::system(map_named(map) + " cannot be mapped", errno);
	return mapping;
}

Status Object::clear_maps()
{
	bpf_map *map;

	bpf_object__for_each_map(map, object_)
	{
		if (bpf_map__is_internal(map) || bpf_map__type(map) == BPF_MAP_TYPE_PERF_EVENT_ARRAY)
			continue;
		if (bpf_map__map_flags(map) & BPF_F_MMAPABLE) {
			Result<Mapping> memory = this->map(bpf_map__name(map));

			if (!memory.ok())
				return memory.status();
			memset(memory->data(), 0, map_bytes(bpf_map__fd(map)));
			continue;
		}
		size_t each = ((size_t)bpf_map__value_size(map) + 7) / 8 * 8;
		std::vector<u8> zeros(each * (size_t)libbpf_num_possible_cpus()); // a map per processor has as many
		for (u32 key = 0; key < bpf_map__max_entries(map); key++)
			if (bpf_map_update_elem(bpf_map__fd(map), &key, zeros.data(), BPF_ANY))
				return Status::system(map_named(bpf_map__name(map)) + " cannot be cleared", errno);
	}
	return {};
}

size_t map_bytes(int fd, u32 *entries, u32 *value_bytes)
{
	struct bpf_map_info info = {};
	u32 length = sizeof(info);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return 0;
	if (entries)
		*entries = info.max_entries;
	if (value_bytes)
		*value_bytes = info.value_size;
	// kernel/bpf/arraymap.c: entries of whole 8 bytes, on whole pages
	size_t bytes = (size_t)info.max_entries * ((info.value_size + 7) / 8 * 8);
	return (bytes + page - 1) / page * page;
}

} // namespace shunt
