// SPDX-License-Identifier: Apache-2.0
//
// fields.h - reads plain C++ values out of JavaScript objects.
//
// Owns: the checks of arguments. The first value that does not fit is recorded as one sentence with its path; from then
// on every read returns zero, so that a caller reads a whole structure and checks once.
// Must never: throw, or call back into JavaScript.
#ifndef SHUNT_ADDON_FIELDS_H
#define SHUNT_ADDON_FIELDS_H

#include <functional>
#include <napi.h>
#include <string>
#include <vector>

#include "datapath/types.h"

namespace shunt
{

class Fields
{
public:
	// `place`: the path of the value, such as "services[0]"; it begins every sentence about it.
	Fields(const Napi::Value &value, std::string place);
	// A member that is an object.
	Fields object(const char *name) const;
	bool has(const char *name) const; // present, and neither undefined nor null

	u64 number(const char *name, u64 max) const; // an integer from 0 to max
	u64 number(const char *name, u64 max, u64 otherwise) const;
	double real(const char *name, double otherwise) const;
	u64 bigint(const char *name) const; // modulo 2^64
	bool flag(const char *name, bool otherwise) const;
	std::string text(const char *name) const;                   // "" if absent
	sh_addr address(const char *name) const;                    // 16 bytes
	bool bytes(const char *name, u8 *out, size_t length) const; // exactly `length`
	void secret(const char *name, u64 key[2]) const;            // 16 bytes, as a key of SipHash
	void bigints(const char *name, u64 *out, u32 count) const;  // an array of exactly `count`, each modulo 2^64
	void rows(const char *name, std::vector<u16> *out) const;   // a Uint16Array
	// Calls each(element, path) for every element of an array; an absent array is an empty one.
	void list(const char *name,
	          const std::function<void(const Napi::Value &, const std::string &place)> &each) const;

	Napi::Value get(const char *name) const;
	const Napi::Object &object() const { return object_; }
	const std::string &place() const { return place_; }
	void complain(const std::string &name, const char *what) const;

	static void complain_at(const std::string &place, const char *what);
	// The first complaint since begin(), of all Fields of this thread.
	static void begin();
	static const std::string &problem();

private:
	Napi::Object object_;
	std::string place_;
};

sh_addr address_of(const Napi::Value &value, const std::string &place);

// Throws it in JavaScript; returns undefined.
Napi::Value throw_problem(Napi::Env env, const std::string &problem);

} // namespace shunt

#endif
