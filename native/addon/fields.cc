// SPDX-License-Identifier: Apache-2.0
//
// fields.cc - see the header.
#include "addon/fields.h"

#include <cmath>
#include <cstring>

#include "datapath/tag/siphash.h"

namespace shunt
{

// Per thread: a worker_thread of Node.js loads the addon too.
static thread_local std::string first_problem;

void Fields::begin()
{
	first_problem.clear();
}

const std::string &Fields::problem()
{
	return first_problem;
}

void Fields::complain(const std::string &name, const char *what) const
{
	complain_at(place_ + (place_.empty() || name.empty() ? "" : ".") + name, what);
}

void Fields::complain_at(const std::string &place, const char *what)
{
	if (first_problem.empty())
		first_problem = place + " " + what;
}

Fields::Fields(const Napi::Value &value, std::string place) : place_(std::move(place))
{
	if (value.IsObject())
		object_ = value.As<Napi::Object>();
	else
		complain("", "must be an object");
}

Napi::Value Fields::get(const char *name) const
{
	return object_.IsEmpty() ? Napi::Value() : object_.Get(name);
}

Fields Fields::object(const char *name) const
{
	return Fields(get(name), place_.empty() ? name : place_ + "." + name);
}

bool Fields::has(const char *name) const
{
	Napi::Value value = get(name);

	return !value.IsEmpty() && !value.IsUndefined() && !value.IsNull();
}

u64 Fields::number(const char *name, u64 max) const
{
	Napi::Value value = get(name);

	if (value.IsEmpty() || !value.IsNumber()) {
		complain(name, "must be a number");
		return 0;
	}
	double number = value.As<Napi::Number>().DoubleValue();
	if (!(number >= 0) || number != std::floor(number) || number > (double)max) {
		complain(name, ("must be an integer from 0 to " + std::to_string(max)).c_str());
		return 0;
	}
	return static_cast<u64>(number);
}

u64 Fields::number(const char *name, u64 max, u64 otherwise) const
{
	return has(name) ? number(name, max) : otherwise;
}

double Fields::real(const char *name, double otherwise) const
{
	if (!has(name))
		return otherwise;
	Napi::Value value = get(name);
	if (!value.IsNumber() || !(value.As<Napi::Number>().DoubleValue() >= 0)) {
		complain(name, "must be a number, 0 or more");
		return 0;
	}
	return value.As<Napi::Number>().DoubleValue();
}

u64 Fields::bigint(const char *name) const
{
	Napi::Value value = get(name);
	bool lossless;

	if (value.IsEmpty() || !value.IsBigInt()) {
		complain(name, "must be a bigint");
		return 0;
	}
	return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

bool Fields::flag(const char *name, bool otherwise) const
{
	if (!has(name))
		return otherwise;
	Napi::Value value = get(name);
	if (!value.IsBoolean()) {
		complain(name, "must be true or false");
		return false;
	}
	return value.As<Napi::Boolean>().Value();
}

std::string Fields::text(const char *name) const
{
	if (!has(name))
		return "";
	Napi::Value value = get(name);
	if (!value.IsString()) {
		complain(name, "must be a string");
		return "";
	}
	return value.As<Napi::String>().Utf8Value();
}

bool Fields::bytes(const char *name, u8 *out, size_t length) const
{
	Napi::Value value = get(name);

	if (value.IsEmpty() || !value.IsBuffer() || value.As<Napi::Buffer<u8>>().Length() != length) {
		complain(name, ("must be a Buffer of " + std::to_string(length) + " bytes").c_str());
		return false;
	}
	memcpy(out, value.As<Napi::Buffer<u8>>().Data(), length);
	return true;
}

sh_addr Fields::address(const char *name) const
{
	sh_addr address = {};

	bytes(name, address.b, sizeof(address.b));
	return address;
}

void Fields::secret(const char *name, u64 key[2]) const
{
	u8 secret[16] = {};

	bytes(name, secret, sizeof(secret));
	sh_siphash_key(key, secret);
}

void Fields::bigints(const char *name, u64 *out, u32 count) const
{
	u32 i = 0;

	list(name, [&](const Napi::Value &value, const std::string &place) {
		bool lossless;

		if (i < count && value.IsBigInt())
			out[i++] = value.As<Napi::BigInt>().Uint64Value(&lossless);
		else
			complain_at(place, ("must be one of " + std::to_string(count) + " bigints").c_str());
	});
	if (i < count)
		complain(name, ("must be an array of " + std::to_string(count) + " bigints").c_str());
}

void Fields::rows(const char *name, std::vector<u16> *out) const
{
	Napi::Value value = get(name);

	if (value.IsEmpty() || !value.IsTypedArray() ||
	    value.As<Napi::TypedArray>().TypedArrayType() != napi_uint16_array) {
		complain(name, "must be a Uint16Array");
		return;
	}
	Napi::Uint16Array array = value.As<Napi::Uint16Array>();
	out->assign(array.Data(), array.Data() + array.ElementLength());
}

void Fields::list(const char *name,
                  const std::function<void(const Napi::Value &, const std::string &place)> &each) const
{
	if (!has(name))
		return;
	Napi::Value value = get(name);
	if (!value.IsArray()) {
		complain(name, "must be an array");
		return;
	}
	Napi::Array array = value.As<Napi::Array>();
	std::string start = (place_.empty() ? name : place_ + "." + name) + std::string("[");
	for (uint32_t i = 0; i < array.Length(); i++) {
		Napi::HandleScope scope(array.Env());

		each(array.Get(i), start + std::to_string(i) + "]");
	}
}

sh_addr address_of(const Napi::Value &value, const std::string &place)
{
	sh_addr address = {};

	if (!value.IsBuffer() || value.As<Napi::Buffer<u8>>().Length() != sizeof(address.b)) {
		Fields::complain_at(place, "must be a Buffer of 16 bytes");
		return address;
	}
	memcpy(address.b, value.As<Napi::Buffer<u8>>().Data(), sizeof(address.b));
	return address;
}

Napi::Value throw_problem(Napi::Env env, const std::string &problem)
{
	Napi::Error::New(env, problem).ThrowAsJavaScriptException();
	return env.Undefined();
}

} // namespace shunt
