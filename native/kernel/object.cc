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

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel/bpf/state.h"
#include <shunt.skel.h> // made by kernel/bpf/build

namespace shunt
{

namespace
{

// libbpf speaks through one function for the whole process. Its last warnings are kept: they say what the verifier or the
// kernel did not like, where errno alone says "invalid argument". Each thread hears what its own calls brought about.
thread_local std::string warnings;

int listen_to(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char *text; // the verifier's log comes in one piece

	if (level != LIBBPF_WARN || vasprintf(&text, format, arguments) < 0)
		return 0;
	warnings += text;
	free(text);
	if (warnings.size() > 65536)
		warnings.erase(0, warnings.size() - 65536);
	return 0;
}

// The verifier's complaint is the line before its count of instructions; elsewhere the first line is the most telling.
std::string telling_line()
{
	size_t end = warnings.find("\nprocessed ");

	if (end != std::string::npos) {
		size_t begin = warnings.rfind('\n', end - 1);

		return warnings.substr(begin + 1, end - begin - 1);
	}
	return warnings.substr(0, warnings.find('\n'));
}

} // namespace

std::string kernel_problem(const std::string &what, int error)
{
	return what + ": " + strerror(error < 0 ? -error : error);
}

static void listen()
{
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	libbpf_set_print(listen_to);
	warnings.clear();
}

std::unique_ptr<Object> Object::open(const void *bytes, size_t size, const char *name, std::string *problem)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name);
	std::unique_ptr<Object> object(new Object(
		name == std::string("shunt") ? "the packet program" : std::string("the BPF program ") + name));

	listen();
	object->object_ = bpf_object__open_mem(bytes, size, &options);
	if (object->object_)
		return object;
	*problem = kernel_problem(object->what_ + " can't be read", errno);
	return nullptr;
}

std::unique_ptr<Object> Object::open(const std::string &file, std::string *problem)
{
	if (file.empty()) {
		size_t size;
		const void *bytes = shunt_bpf::elf_bytes(&size);

		return open(bytes, size, "shunt", problem);
	}
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "shunt");
	std::unique_ptr<Object> object(new Object("the packet program"));

	listen();
	object->object_ = bpf_object__open_file(file.c_str(), &options);
	if (object->object_)
		return object;
	*problem = kernel_problem(file + " can't be read", errno);
	return nullptr;
}

Object::~Object()
{
	if (object_)
		bpf_object__close(object_);
}

bpf_map *Object::find(const char *map, std::string *problem) const
{
	bpf_map *found = bpf_object__find_map_by_name(object_, map);

	if (!found)
		*problem = what_ + " has no map " + map;
	return found;
}

bool Object::size(const char *map, u64 entries, std::string *problem)
{
	bpf_map *found = find(map, problem);

	if (!found)
		return false;
	int failed = entries > 0xffffffff ? -E2BIG : bpf_map__set_max_entries(found, (u32)entries);
	if (failed)
		*problem = kernel_problem(
			std::string("the map ") + map + " can't have " + std::to_string(entries) + " entries", failed);
	return !failed;
}

bool Object::share(const char *map, int fd, std::string *problem)
{
	bpf_map *found = find(map, problem);

	if (!found)
		return false;
	int failed = bpf_map__reuse_fd(found, fd);
	if (failed)
		*problem = kernel_problem(std::string("the map ") + map + " can't be shared", failed);
	return !failed;
}

bool Object::set(const char *map, const void *value, size_t bytes, std::string *problem)
{
	bpf_map *found = find(map, problem);

	if (!found)
		return false;
	int failed = bpf_map__set_initial_value(found, value, bytes);
	if (failed)
		*problem = kernel_problem(std::string("the map ") + map + " can't be set", failed);
	return !failed;
}

bool Object::aim(const char *program, int at_fd, const char *function, std::string *problem)
{
	bpf_program *found = bpf_object__find_program_by_name(object_, program);

	warnings.clear();
	int failed = found ? bpf_program__set_attach_target(found, at_fd, function) : -ENOENT;
	if (failed)
		*problem = kernel_problem(what_ + " can't be aimed at " + function, failed) +
		           (warnings.empty() ? "" : "; libbpf said: " + telling_line());
	return !failed;
}

void Object::leave_out(const char *program)
{
	bpf_program *found = bpf_object__find_program_by_name(object_, program);

	if (found) // an older file may have none
		bpf_program__set_autoload(found, false);
}

bool Object::load(std::string *problem)
{
	warnings.clear();
	int failed = bpf_object__load(object_);
	if (!failed)
		return true;
	if (failed == -EPERM)
		*problem = "the kernel refuses BPF programs from us (CAP_BPF and CAP_NET_ADMIN are needed)";
	else if (failed == -ENOMEM)
		*problem = "the kernel has no memory for the maps";
	else
		*problem = kernel_problem("the kernel refused " + what_, failed) +
		           (warnings.empty() ? "" : "; it said: " + telling_line());
	return false;
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

bpf_link *Object::attach(const char *program, std::string *problem)
{
	bpf_program *found = bpf_object__find_program_by_name(object_, program);
	bpf_link *link = found ? bpf_program__attach(found) : nullptr;

	if (!link)
		*problem = kernel_problem(std::string("the BPF program ") + program + " can't be attached", errno);
	return link;
}

u32 Object::program_id(const char *program) const
{
	struct bpf_prog_info info = {};
	u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(program_fd(program), &info, &length) ? 0 : info.id;
}

bool Object::map(const char *map, Mapping *mapping, std::string *problem) const
{
	int fd = map_fd(map);
	size_t bytes = map_bytes(fd);

	if (bytes && mapping->map(fd, bytes))
		return true;
	*problem = kernel_problem(std::string("the map ") + map + " can't be mapped", errno);
	return false;
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
